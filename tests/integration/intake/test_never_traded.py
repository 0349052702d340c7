"""An executor that can never trade a signal of its source is named when the producer starts (entry B8 of ORIGIN.md)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from tests.core_fixtures import Processes
from tests.factories import Core, until

EXECUTORS = """
[executors.argo]
mode = "exchange"
size = {method = "quantity", value = 1}
limits = {open_positions = 1}
[executors.prop_firm]
mode = "exchange"
size = {method = "quantity", value = 1}
limits = {open_positions = 1}
route = {symbols = ["SPY", "QQQ"]}
"""


def test_the_producer_warns_of_the_executor_that_can_never_trade(
    make_core: Callable[..., Core], processes: Processes
) -> None:
    core = make_core(EXECUTORS)
    producer = processes.start(core, "produce", TRADEWIRE_SOURCE="replay")

    until(lambda: "source.never_traded" in processes.said(producer))

    lines = [json.loads(line) for line in processes.said(producer).splitlines() if line.startswith("{")]
    (told,) = [line for line in lines if line["event"] == "source.never_traded"]
    assert told["level"] == "warning"
    assert told["key"] == "executors.prop_firm.route.symbols"
    assert "AAPL, FB, GOOG, IBM, MSFT" in told["why"]


def test_up_prints_it_before_any_process_runs(
    make_core: Callable[..., Core], processes: Processes, tmp_path: Path
) -> None:
    core = make_core(EXECUTORS)

    # A wrong name makes `up` exit after it has printed its notes on the file, but before it starts a process.
    up = processes.start(core, "up", "--without", "nonsense", TRADEWIRE_HOME=str(tmp_path / "home"))

    assert up.wait(30) == 2
    said = processes.said(up)
    assert "note: executors.prop_firm.route.symbols: takes none of the symbols" in said
    assert "executors.argo" not in said
