"""The ledger of signals is made from a seed and stored in a file, and each signal is sent when it is due."""

from __future__ import annotations

import threading
import time
import tomllib
from pathlib import Path

import pytest

from pipeline.entrypoints.drill.sending import (
    make_pairs,
    make_signals,
    read_ledger,
    real_exits,
    symbols,
    timed,
    write_ledger,
)
from pipeline.entrypoints.drill.source import open_source
from pipeline.intake.sources.protocol import SourceContext
from pipeline.model.errors import ConfigInvalid
from pipeline.model.signals import Intent, read_signal

CLOSE = {"symbol": "QAAA", "action": "SELL", "intent": "close"}


def test_the_same_seed_makes_the_same_signals() -> None:
    assert make_signals(3, 50) == make_signals(3, 50)
    assert make_signals(3, 50) != make_signals(4, 50)


def test_every_signal_is_valid_and_has_an_id_of_its_own() -> None:
    signals = make_signals(1, 300)

    read = [read_signal(body) for body in signals]
    assert len({signal.source_id for signal in read}) == 300


def test_signals_share_symbols_and_some_of_them_sell() -> None:
    signals = make_signals(1, 300)

    assert 50 < len({body["symbol"] for body in signals}) <= 100
    assert 0 < sum(body["action"] == "SELL" for body in signals) < 150


@pytest.mark.parametrize("seed", range(10))
def test_half_of_the_signals_of_a_drill_with_exits_close_what_the_others_opened(seed: int) -> None:
    signals = make_pairs(seed, 400)
    opened: set[str] = set()

    for signal in map(read_signal, signals):
        if signal.intent is Intent.CLOSE:
            opened.remove(signal.symbol)
        else:
            assert signal.symbol not in opened
            opened.add(signal.symbol)
    assert opened == set()
    assert sum(body.get("intent") == "close" for body in signals) == 200
    assert signals == make_pairs(seed, 400) != make_pairs(seed + 1, 400)


def test_an_exit_is_real_when_every_executor_took_its_entry() -> None:
    ledger = timed(make_pairs(1, 400), begins=0.0, seconds=400.0)
    confidence: dict[str, int] = {}

    expected = []
    for sent in ledger:
        if sent.closes and confidence[sent.body["symbol"]] >= 82:
            expected.append((sent.due, sent.body["symbol"]))
        elif not sent.closes:
            confidence[sent.body["symbol"]] = sent.body["confidence"]

    assert 0 < len(expected) < 200
    assert expected == real_exits(ledger)


def test_the_drill_knows_the_highest_minimum_of_its_executors() -> None:
    tables = tomllib.loads(Path("config/executors.load.toml").read_text())["executors"].values()

    taken = timed([{"symbol": "QAAA", "action": "BUY", "confidence": 82}, CLOSE], begins=0.0, seconds=2.0)
    not_taken = timed([{"symbol": "QAAA", "action": "BUY", "confidence": 81}, CLOSE], begins=0.0, seconds=2.0)
    assert max(table["route"]["minimum_confidence"] for table in tables) == 82
    assert (real_exits(taken), real_exits(not_taken)) == ([(1.0, "QAAA")], [])


def test_an_odd_signal_opens_a_position_that_stays() -> None:
    assert [body["action"] for body in make_pairs(1, 1)] == ["BUY"]
    assert sum(body["action"] == "BUY" for body in make_pairs(1, 21)) == 11


def test_no_two_symbols_are_the_same() -> None:
    assert len(set(symbols(17_000))) == 17_000


def test_signals_are_due_evenly() -> None:
    ledger = timed(make_signals(1, 4), begins=100.0, seconds=10.0)

    assert [sent.due for sent in ledger] == [100.0, 102.5, 105.0, 107.5]


def test_a_ledger_is_read_as_it_was_written(tmp_path: Path) -> None:
    ledger = timed(make_signals(1, 20), begins=100.0, seconds=10.0)
    write_ledger(tmp_path / "ledger.jsonl", ledger)

    assert ledger == list(read_ledger(tmp_path / "ledger.jsonl"))


def test_the_source_waits_for_its_ledger_and_returns_due_signals(tmp_path: Path) -> None:
    path, stop = tmp_path / "ledger.jsonl", threading.Event()
    source = open_source(SourceContext(path=str(path)))
    assert source.poll(stop) == []

    signals = make_signals(1, 4)
    write_ledger(path, timed(signals, begins=time.time() - 100, seconds=200))

    assert [signals[0], signals[1], signals[2]] == source.poll(stop)
    assert source.poll(stop) == []


def test_a_restarted_source_returns_all_due_signals_again(tmp_path: Path) -> None:
    path, stop = tmp_path / "ledger.jsonl", threading.Event()
    signals = make_signals(1, 4)
    write_ledger(path, timed(signals, begins=time.time() - 100, seconds=4))

    assert signals == open_source(SourceContext(path=str(path))).poll(stop)
    assert signals == open_source(SourceContext(path=str(path))).poll(stop)


def test_a_source_without_a_ledger_says_what_it_needs() -> None:
    with pytest.raises(ConfigInvalid, match="ledger"):
        open_source(SourceContext())
