"""The keeper process watches equity by itself, and a halt outlasts every restart."""

from __future__ import annotations

import os
import signal
from decimal import Decimal

from tests.core_fixtures import Processes
from tests.factories import Core, until
from tests.integration.watching import Settings, baseline, hold, limited, lose, switches


def halted(core: Core) -> bool:
    return ("halted", "daily_loss") in switches(core)


def test_equity_that_falls_with_no_signal_halts_the_account_and_a_restart_lifts_nothing(
    make_core: Settings, processes: Processes
) -> None:
    core = make_core(limited())
    hold(core)
    keeper = processes.start(core, "keep")
    until(lambda: baseline(core)["transfers_asked_at"])

    for loss, reached in ((3600, lambda: baseline(core)["warned"]), (4600, lambda: switches(core))):
        lose(core, loss)
        until(reached)
    lose(core, 5100)
    until(lambda: halted(core))
    for event in ("limit.neared", "account.reduced", "account.halted"):
        until(lambda event=event: event in processes.said(keeper))

    os.kill(keeper.pid, signal.SIGKILL)
    until(lambda: keeper.poll() is not None)
    lose(core, 0)
    read_at = baseline(core)["read_at"]
    again = processes.start(core, "keep")
    until(lambda: baseline(core)["read_at"] > read_at, within_s=30)

    assert halted(core)
    until(lambda: "keeper.leads" in processes.said(again))
    entry = core.run(core.send("MSFT"))
    assert (entry["state"], entry["reason_code"]) == ("skipped", "halted_daily_loss")
    assert {name: entry["reason_facts"][name] for name in ("lost", "allowed")} == {
        "lost": "5100.00",
        "allowed": "5000.00",
    }
    exit_ = core.run(core.send("AAPL", "SELL"))
    assert exit_["state"] in ("accepted", "filled")
    assert exit_["quantity"] == Decimal(100)
