from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.model.errors import InvalidSignal
from pipeline.model.signals import Action, Intent, Signal, read_signal

NOW = datetime(2026, 1, 31, 15, 0, tzinfo=UTC)


def raw(**changes: Any) -> dict[str, Any]:
    whole = {"symbol": "AAPL", "action": "BUY", "confidence": 98, "entry_price": 190} | changes
    return {name: value for name, value in whole.items() if value is not ...}


def read(**changes: Any) -> Signal:
    return read_signal(raw(**changes))


def fault(**changes: Any) -> str:
    with pytest.raises(InvalidSignal) as caught:
        read(**changes)
    assert caught.value.code == "invalid_signal"
    return str(caught.value)


def test_only_tradewires_own_close_may_be_flat_and_close_a_part() -> None:
    sent = {"action": "FLAT", "intent": "close", "close_percent": 50}

    assert read(**sent, source="tradewire:hand").close_percent == 50
    assert "FLAT closes all that is held: leave close_percent out" in fault(**sent, source="desk")
    assert "leave quantity out" in fault(action="FLAT", intent="close", quantity=5, source="tradewire:hand")


def test_the_smallest_signal_is_read() -> None:
    signal = read()

    assert (signal.symbol, signal.action, signal.confidence, signal.entry_price) == ("AAPL", Action.BUY, 98, 190)
    assert (signal.intent, signal.asset_class, signal.executors) == (Intent.AUTO, "us_equity", None)


@pytest.mark.parametrize("confidence", [0.98, "0.5", 1, "1.0", 0.0001])
def test_a_fraction_is_not_taken_for_a_percentage(confidence: Any) -> None:
    message = fault(confidence=confidence)

    assert message.startswith("confidence: is a percentage from 0 to 100")
    assert f"write {Decimal(str(confidence)) * 100} for it" in message


@pytest.mark.parametrize("confidence", [0, "0", "0.0", "0E+1000000", 1.01, 75.3, 100, "100.0"])
def test_a_percentage_is_read_exactly_as_written(confidence: Any) -> None:
    assert read(confidence=confidence).confidence == Decimal(str(confidence))


def test_a_zero_with_a_huge_exponent_is_a_plain_zero() -> None:
    assert str(read(confidence="0E+1000000").confidence) == "0"


@pytest.mark.parametrize(
    "confidence", [-1, 100.01, 101, "NaN", "sNaN", "Infinity", float("nan"), True, "much", [98], ""]
)
def test_a_confidence_that_is_no_percentage_is_refused(confidence: Any) -> None:
    assert fault(confidence=confidence).startswith("confidence")


@pytest.mark.parametrize(
    "price",
    [
        0,
        -1,
        "NaN",
        "-Infinity",
        "1e13",
        "0.000000000000000000001",
        True,
        {},
        "1E-400000",
        pytest.param(10**4000, id="huge"),
    ],
)
@pytest.mark.parametrize("name", ["entry_price", "quantity"])
def test_a_value_that_is_no_price_or_quantity_is_refused(name: str, price: Any) -> None:
    assert fault(**{name: price}).startswith(name)


def test_a_price_keeps_the_decimals_that_were_written() -> None:
    assert str(read(entry_price=190.1).entry_price) == "190.1"
    assert str(read(entry_price="190.10").entry_price) == "190.10"


@pytest.mark.parametrize("written", ["BTC/USD", "BTC-USD", "btcusd"])
def test_a_symbol_is_read_into_its_one_form(written: str) -> None:
    signal = read(symbol=written)

    assert (signal.symbol, signal.asset_class) == ("BTC/USD", "crypto")


@pytest.mark.parametrize("action", ["buy", "Buy", "BUY"])
def test_an_action_is_read_in_any_case(action: str) -> None:
    assert read(action=action).action is Action.BUY


@pytest.mark.parametrize("action", ["HOLD", "", None, 1])
def test_other_actions_are_refused(action: Any) -> None:
    assert fault(action=action).startswith("action")


def test_an_expiry_in_the_future_is_accepted() -> None:
    assert read(expires_at=NOW + timedelta(days=1)).expires_at == NOW + timedelta(days=1)


def test_times_are_kept_in_utc() -> None:
    generated_at = read(generated_at="2026-01-31T09:00:00-05:00").generated_at

    assert generated_at is not None
    assert generated_at.isoformat() == "2026-01-31T14:00:00+00:00"


@pytest.mark.parametrize("moment", ["2026-01-31T14:00:00", "yesterday", "", "nan", 1e300])
@pytest.mark.parametrize("name", ["generated_at", "expires_at"])
def test_a_time_without_its_zone_or_without_sense_is_refused(name: str, moment: Any) -> None:
    assert fault(**{name: moment}).startswith(name)


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+05:00", "9999-12-31T23:59:59-05:00"])
@pytest.mark.parametrize("name", ["generated_at", "expires_at"])
def test_a_time_that_utc_cannot_hold_is_refused(name: str, moment: str) -> None:
    assert "beyond the years" in fault(**{name: moment})


@pytest.mark.parametrize("missing", ["symbol", "action"])
def test_a_missing_field_is_named(missing: str) -> None:
    assert fault(**{missing: ...}) == f"{missing} is missing"


@pytest.mark.parametrize("intent", ["open", "auto"])
def test_only_a_close_needs_neither_confidence_nor_price(intent: str) -> None:
    assert read(confidence=..., entry_price=..., intent="close").entry_price is None
    assert fault(confidence=..., entry_price=..., intent=intent).startswith(
        "confidence and entry_price may be left out"
    )


def test_a_key_that_is_not_known_is_named() -> None:
    assert fault(price=1) == 'price takes only "market"; a number belongs under entry_price'


def test_every_fault_is_reported_at_once() -> None:
    message = fault(symbol="???", action="HOLD", confidence=0.5, colour="red")

    assert [part.split(":")[0].split(" ")[0] for part in message.split("; ")] == [
        "symbol",
        "action",
        "confidence",
        "colour",
    ]


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"stop_price": 190}, "stop_price of a BUY must be below"),
        ({"stop_price": 191}, "stop_price of a BUY must be below"),
        ({"target_price": 189}, "target_price of a BUY must be above"),
        ({"target_price": 190}, "target_price of a BUY must be above"),
        ({"action": "SELL", "stop_price": 190}, "stop_price of a SELL must be above"),
        ({"action": "SELL", "target_price": 190}, "target_price of a SELL must be below"),
        ({"action": "SELL", "stop_price": 189}, "stop_price of a SELL must be above"),
        ({"action": "SELL", "target_price": 190.5}, "target_price of a SELL must be below"),
    ],
)
def test_a_stop_or_target_that_would_be_reached_at_once_is_refused(changes: dict[str, Any], wrong: str) -> None:
    assert wrong in fault(**changes)


def test_a_close_may_name_any_stop() -> None:
    assert read(intent="close", stop_price=500).stop_price == 500


@pytest.mark.parametrize("executors", [[], "argo", [""], [1], ["a\nb"]])
def test_executors_are_a_list_of_names_that_is_not_empty(executors: Any) -> None:
    assert "executors" in fault(executors=executors)


@pytest.mark.parametrize("name", ["source", "source_id", "strategy", "regime"])
@pytest.mark.parametrize("value", ["", "a\x00b", "a\nb", "x" * 201, "\ud800"])
def test_names_are_short_text_on_one_line(name: str, value: str) -> None:
    assert fault(**{name: value}).startswith(name)


@pytest.mark.parametrize("thing", [[], "signal", 1, None])
def test_only_an_object_is_a_signal(thing: Any) -> None:
    with pytest.raises(InvalidSignal, match="a signal is a JSON object"):
        read_signal(thing)


def test_a_repeat_with_other_times_and_another_way_to_write_numbers_has_the_same_content() -> None:
    first = read(entry_price="190.0", generated_at=NOW, source="a", source_id="1")
    again = read(entry_price=190, generated_at=NOW - timedelta(seconds=9), expires_at=NOW, source="a", source_id="2")

    assert first.content_hash() == again.content_hash()


@pytest.mark.parametrize(
    "changes",
    [
        {"action": "SELL"},
        {"symbol": "MSFT"},
        {"confidence": 97},
        {"entry_price": "190.01"},
        {"quantity": 1},
        {"stop_price": 180},
        {"target_price": 200},
        {"strategy": "other"},
        {"regime": "BULL"},
        {"intent": "open"},
        {"executors": ["argo"]},
    ],
)
def test_every_value_that_matters_changes_the_content(changes: dict[str, Any]) -> None:
    assert read(**changes).content_hash() != read().content_hash()


_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.decimals()
_KEYS = st.sampled_from([*Signal.model_fields, "surprise"])


@given(
    st.dictionaries(_KEYS, _SCALARS | st.lists(_SCALARS, max_size=3) | st.dictionaries(st.text(), _SCALARS, max_size=2))
)
def test_any_payload_is_a_signal_or_is_refused_with_a_message(sent: dict[str, Any]) -> None:
    with suppress(InvalidSignal):
        assert len(read_signal(raw(**sent)).content_hash()) == 64


def test_the_digits_of_a_binary_fraction_are_accepted() -> None:
    signal = read(confidence=75.1 + 0.2, entry_price=0.1 + 0.2)

    assert signal.confidence == Decimal(repr(75.1 + 0.2))
    assert signal.entry_price == Decimal("0.30000000000000004")


@pytest.mark.parametrize("key", ["quantity", "entry_price", "confidence"])
@pytest.mark.parametrize("number", ["\u0663\u0660", "\uff15\uff10", "5_0", "\u00a050"])
def test_a_number_is_written_in_the_digits_0_to_9(key: str, number: str) -> None:
    raw = {"symbol": "AAPL", "action": "BUY", "confidence": 90, "entry_price": 71, key: number}

    with pytest.raises(InvalidSignal, match=f"{key}: must be a number in the digits 0 to 9"):
        read_signal(raw)
