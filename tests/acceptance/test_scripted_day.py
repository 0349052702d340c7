"""A day on which equity falls through 70, 90 and 100 % of the daily limit while no signal arrives."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

from tests.core_fixtures import Processes, Started
from tests.factories import Core, executor_toml, until
from tests.integration.watching import lose

#: At the limit, argo is halted; prop_firm is halted and its positions are closed.
ON_BREACH = {"argo": "halt", "prop_firm": "flatten"}
_RETRY_FOR_S = 30.0


def table(executor_id: str) -> str:
    text = executor_toml(executor_id, quantity=100).replace('daily_loss_percent = "off"', "daily_loss_percent = 5")
    return text.replace('repeat_window_s = "off"', f'repeat_window_s = "off"\non_breach = "{ON_BREACH[executor_id]}"')


def start(core: Core, processes: Processes) -> list[Started]:
    return [processes.start(core, *command) for command in (["keep"], *(["work", name] for name in ON_BREACH))]


def restart(core: Core, processes: Processes, running: list[Started]) -> list[Started]:
    for process in running:
        os.kill(process.pid, signal.SIGKILL)
        process.wait(10)
    return start(core, processes)


def executions(core: Core, symbol: str, action: str = "BUY") -> dict[str, dict[str, Any]]:
    rows = core.rows(
        "SELECT e.executor_id, e.state, e.reason_code, e.reason_facts FROM execution e JOIN signal s USING (signal_id) "
        "WHERE e.symbol = %s AND e.action = %s AND s.source = 'test'",
        [symbol, action],
    )
    return {row["executor_id"]: row for row in rows}


def ended(core: Core, symbol: str, state: str, action: str = "BUY") -> bool:
    return all(row["state"] == state for row in executions(core, symbol, action).values())


def switches(core: Core) -> dict[str, set[tuple[str, str, bool]]]:
    rows = core.rows(
        "SELECT a.executor_id, s.kind, s.cause, s.flatten FROM account_snapshot a "
        "LEFT JOIN switch s ON s.holder = a.account_number"
    )
    found: dict[str, set[tuple[str, str, bool]]] = {name: set() for name in ON_BREACH}
    for row in rows:
        if row["kind"]:
            found[row["executor_id"]].add((row["kind"], row["cause"], row["flatten"]))
    return found


def kinds(core: Core) -> dict[str, set[str]]:
    return {name: {kind for kind, _, _ in each} for name, each in switches(core).items()}


def warned(core: Core) -> bool:
    return len(core.rows("SELECT 1 FROM account_watch JOIN account_day USING (holder, day) WHERE warned <> '{}'")) == 2


def held(core: Core) -> dict[str, list[str]]:
    return {name: [each.symbol for each in runtime.broker.positions()] for name, runtime in core.runtimes.items()}


def test_a_day_that_falls_through_the_ladder(make_core: Callable[..., Core], processes: Processes) -> None:
    core = make_core(table("argo") + table("prop_firm"))
    core.prices(AAPL=100, MSFT=110)
    running = start(core, processes)
    core.send("AAPL")
    until(lambda: ended(core, "AAPL", "filled"), within_s=_RETRY_FOR_S)
    # This entry does not fill, so that the loss limit has to cancel it.
    core.send("MSFT")
    until(lambda: ended(core, "MSFT", "accepted"), within_s=_RETRY_FOR_S)

    lose(core, 3600)
    until(lambda: warned(core), within_s=_RETRY_FOR_S)
    assert kinds(core) == {"argo": set(), "prop_firm": set()}

    lose(core, 4600)
    until(lambda: kinds(core) == {"argo": {"reducing"}, "prop_firm": {"reducing"}}, within_s=_RETRY_FOR_S)
    until(lambda: ended(core, "MSFT", "canceled"), within_s=_RETRY_FOR_S)
    core.send("TSLA", entry_price=1)
    until(lambda: ended(core, "TSLA", "skipped"), within_s=_RETRY_FOR_S)
    assert {row["reason_code"] for row in executions(core, "TSLA").values()} == {"reducing_daily_loss"}

    lose(core, 5100)
    until(lambda: all("halted" in each for each in kinds(core).values()), within_s=_RETRY_FOR_S)
    until(lambda: held(core) == {"argo": ["AAPL"], "prop_firm": []}, within_s=_RETRY_FOR_S)
    until(lambda: ("halted", "daily_loss", False) in switches(core)["prop_firm"], within_s=_RETRY_FOR_S)

    restart(core, processes, running)
    core.send("NVDA", entry_price=1)
    until(lambda: ended(core, "NVDA", "skipped"), within_s=_RETRY_FOR_S)
    refused = executions(core, "NVDA")
    assert {row["reason_code"] for row in refused.values()} == {"halted_daily_loss"}
    assert {(row["reason_facts"]["lost"], row["reason_facts"]["allowed"]) for row in refused.values()} == {
        ("5100.00", "5000.00")
    }
    core.send("AAPL", "SELL", entry_price=49)
    until(lambda: held(core) == {"argo": [], "prop_firm": []}, within_s=_RETRY_FOR_S)
    until(lambda: executions(core, "AAPL", "SELL")["argo"]["state"] == "filled", within_s=_RETRY_FOR_S)
    assert all("halted" in each for each in kinds(core).values())
