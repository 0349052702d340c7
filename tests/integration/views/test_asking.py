"""`why SYMBOL` shows the newest signals of the symbol, or else each source's last signals and refused input."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pipeline.model.errors import InvalidSignal
from pipeline.views.symbol_history import ask
from tests.core_fixtures import Processes
from tests.factories import Core


def answered(core: Core, processes: Processes, *arguments: str, ends: int = 0) -> str:
    process = processes.start(core, "why", *arguments)
    assert process.wait(60) == ends
    return processes.said(process)


def refuse(core: Core, **changes: Any) -> None:
    with pytest.raises(InvalidSignal):
        core.intake.record({"symbol": "AAPL", "action": "HOLD"} | changes, source="tv")


def test_the_newest_signals_of_a_symbol_come_first(core: Core) -> None:
    ids = [core.execution(core.send("AAPL", confidence=number))["signal_id"] for number in (80, 81, 82, 83)]
    core.send("MSFT")

    assert ask(core.record, "AAPL", at=None).signal_ids == (ids[3], ids[2], ids[1])


def test_around_a_time_the_nearest_come_first_and_far_ones_not_at_all(core: Core) -> None:
    now = datetime.now(UTC)
    ages = {"one hour": 60, "ten minutes": 10, "two minutes": 2}
    ids = {}
    for name, minutes in ages.items():
        ids[name] = core.execution(core.send("AAPL"))["signal_id"]
        at = now - timedelta(minutes=minutes)
        core.rows("UPDATE signal SET recorded_at = %s WHERE signal_id = %s", [at, ids[name]])

    around = ask(core.record, "AAPL", at=now - timedelta(minutes=11))

    assert around.signal_ids == (ids["ten minutes"], ids["two minutes"])


def test_without_signals_the_last_sources_and_refused_input_are_named(core: Core) -> None:
    core.intake.record({"symbol": "MSFT", "action": "BUY", "confidence": 90, "entry_price": 1}, source="replay")
    refuse(core)
    refuse(core, symbol="IBM")
    answer = ask(core.record, "AAPL", at=None)

    assert answer.signal_ids == ()
    assert answer.last_of_symbol is None
    assert [(row.source, row.symbol) for row in answer.last_of_sources] == [("replay", "MSFT")]
    assert [row.mentions_symbol for row in answer.refused] == [True, False]
    assert answer.silence().startswith("no signal for AAPL from ")
    assert "last signals: `replay` at " in answer.silence()
    assert "a delivery of `tv` refused at " in answer.silence()
    assert "action" in answer.silence()


def test_a_pair_is_found_in_a_payload_however_it_was_written(core: Core) -> None:
    refuse(core, symbol="BTC/USD")
    refuse(core, symbol="btcusd")

    assert [row.mentions_symbol for row in ask(core.record, "BTC/USD", at=None).refused] == [True, True]


def test_the_last_one_before_the_day_is_named_too(core: Core) -> None:
    core.send("AAPL")
    core.rows("UPDATE signal SET recorded_at = now() - interval '3 days'")
    answer = ask(core.record, "AAPL", at=None)

    assert answer.signal_ids == ()
    assert answer.last_of_symbol is not None
    assert "its last was from `test`" in answer.silence()
    assert "no source sent a signal in the day before" in answer.silence()


def test_the_command_takes_a_symbol_in_any_form_and_an_id_as_before(core: Core, processes: Processes) -> None:
    execution = core.send("AAPL", confidence=10)
    by_id = answered(core, processes, str(execution))
    by_symbol = answered(core, processes, "aapl")
    body = json.loads(answered(core, processes, "AAPL", "--json"))
    silent = answered(core, processes, "IBM", "--at", "2h")
    wrong = answered(core, processes, "no symbol", ends=2)

    assert by_id == by_symbol
    assert "confidence_below_minimum" in by_symbol
    assert [each["signal"]["symbol"] for each in body["signals"]] == ["AAPL"]
    assert silent.startswith("no signal for IBM from ")
    assert "neither an id nor a symbol" in wrong


def test_the_command_prints_each_part_of_a_silence_on_a_line(core: Core, processes: Processes) -> None:
    refuse(core)
    refuse(core, symbol="IBM")

    lines = answered(core, processes, "AAPL").splitlines()

    assert lines[0].startswith("no signal for AAPL from ")
    assert [line.split(" refused")[0] for line in lines[2:]] == ["  a delivery of `tv`"] * 2
