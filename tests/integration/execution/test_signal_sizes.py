"""A signal's own size becomes the order's quantity: money, a percentage of the equity, a share of the position."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from config.webhooks import WebhookSettings
from pipeline.intake.webhooks.body import read_body
from pipeline.intake.webhooks.translate import translate
from pipeline.model.errors import InvalidSignal
from tests.factories import Core
from tests.integration.limited_stage import changed_toml, filled

Make = Callable[..., Core]


def ordered(core: Core, **changes: Any) -> Decimal | str:
    """Return the quantity of a signal's order, or the reason why it has none."""
    row = core.run(core.send(**{"confidence": 100, "entry_price": 100} | changes))
    return row["reason_code"] or Decimal(core.orders()[-1]["qty"])


@pytest.fixture
def seven(core: Core) -> Core:
    """A core whose account holds seven AAPL."""
    core.run(core.send(quantity=7))
    core.filled_at_exchange()
    core.follower().run_once()
    return core


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        # The limit price is 100.50.
        ({"notional": 1500}, 14),
        ({"notional": "100.50"}, 1),
        ({"notional": 100}, "below_one_share"),
        # The equity is 100,000.
        ({"equity_percent": 2}, 19),
        ({"equity_percent": "0.1005"}, 1),
        ({"quantity": "3.9"}, 3),
    ],
)
def test_an_entry_has_the_size_that_its_signal_names(core: Core, size: dict[str, Any], expected: Any) -> None:
    assert ordered(core, **size) == expected


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ({"close_percent": 50}, 3),
        ({"close_percent": 100}, 7),
        ({"close_percent": "99.9"}, 6),
        ({"close_percent": 1}, "below_one_share"),
        ({"quantity": 2}, 2),
        ({"quantity": 20}, 7),
        ({}, 7),
    ],
)
def test_a_close_closes_the_share_that_its_signal_names(seven: Core, size: dict[str, Any], expected: Any) -> None:
    assert ordered(seven, action="SELL", intent="close", **size) == expected


@pytest.mark.parametrize("price", [100, None])
@pytest.mark.parametrize("faults", [(), ({"on": "assets", "kind": "5xx_before"},)])
def test_half_of_a_fraction_of_a_share_is_closed(make_core: Make, price: int | None, faults: Any) -> None:
    core = make_core(changed_toml(value="1.5\nfractional = true"))
    core.prices(AAPL=100)
    filled(core)
    core.rows("DELETE FROM asset")
    core.runtimes["argo"].assets._kept.clear()
    core.faults(*faults)

    assert ordered(core, action="SELL", intent="close", close_percent=50, entry_price=price) == Decimal("0.75")


def test_a_sale_in_money_sells_for_that_much(seven: Core) -> None:
    assert ordered(seven, action="SELL", notional=250) == 2
    assert {order["side"] for order in seven.orders()[-1:]} == {"sell"}


def test_an_alert_orders_in_money_and_closes_a_share(core: Core) -> None:
    def alert(text: str) -> dict[str, Any]:
        own = WebhookSettings(name="mine")
        return translate(read_body(text.encode()), own, now=datetime.now(UTC)).signal

    bought = alert(
        '{"symbol": "AAPL", "action": "buy", "price": 100, "quantityType": "dollar_amount", "quantity": 750}'
    )
    core.run(core.record_signal(bought).execution_id)
    core.filled_at_exchange()
    core.follower().run_once()
    sold = alert("symbol=AAPL action=close percent=50")
    core.run(core.record_signal(sold).execution_id)

    assert [(order["side"], order["qty"]) for order in core.orders()] == [("buy", "7"), ("sell", "3")]


@pytest.mark.parametrize(
    "wrong",
    [
        {"quantity": 5, "notional": 1000},
        {"notional": 1000, "equity_percent": 5},
        {"quantity": 5, "close_percent": 50, "intent": "close"},
        {"close_percent": 50},
        {"close_percent": 0, "intent": "close"},
        {"close_percent": 101, "intent": "close"},
        {"notional": 1000, "intent": "close"},
        {"equity_percent": 5, "intent": "close"},
        {"equity_percent": 101},
        {"notional": 0},
        {"notional": -5},
        {"percent": 5},
    ],
    ids=str,
)
def test_a_size_that_says_two_things_is_refused(core: Core, wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidSignal):
        core.send(**wrong)
    assert core.rows("SELECT code FROM refusal") == [{"code": "invalid_signal"}]
