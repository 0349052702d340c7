"""Helpers for tests of the equity monitor: an account that holds 100 shares with a falling price."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from tests.factories import Core, executor_toml
from workers.keeper.equity_monitor import EquityMonitor

Settings = Callable[..., Core]


def limited(executor_id: str = "argo", *, daily: Any = 5, drawdown: Any = '"off"', **more: str) -> str:
    """Return an executor's table with loss limits and further lines of `.limits`."""
    table = executor_toml(executor_id, quantity=100)
    table = table.replace('daily_loss_percent = "off"', f"daily_loss_percent = {daily}")
    table = table.replace('drawdown_percent = "off"', f"drawdown_percent = {drawdown}")
    further = "\n".join(f"{key} = {value}" for key, value in more.items())
    return table.replace("[executors.argo.retry]", f"{further}\n[executors.argo.retry]")


def watch(core: Core) -> EquityMonitor:
    return EquityMonitor(record=core.record, runtime=core.runtimes["argo"], who="test keeper")


def look(core: Core, watching: EquityMonitor | None = None) -> EquityMonitor:
    """Read the account and evaluate the reading."""
    watching = watching or watch(core)
    core.runtimes["argo"].snapshots.read()
    watching.run_once()
    return watching


def hold(core: Core, *, price: int = 100) -> None:
    """Give an account with an equity of 100,000 a position of 100 shares, bought at *price*."""
    core.prices(AAPL=price)
    core.run(core.send("AAPL", quantity=100, entry_price=price))
    core.filled_at_exchange()
    core.follower().run_once()


def baseline(core: Core) -> dict[str, Any]:
    (row,) = core.rows("SELECT * FROM account_watch JOIN account_day USING (holder, day)")
    return row


def switches(core: Core) -> list[tuple[str, str]]:
    return [(row["kind"], row["cause"]) for row in core.rows("SELECT * FROM switch ORDER BY kind, cause")]


def turns(core: Core) -> list[tuple[str, str]]:
    return [(row["turned"], row["kind"]) for row in core.rows("SELECT * FROM switch_history ORDER BY history_id")]


def lose(core: Core, amount: int) -> None:
    """Let the price of 100 shares bought at 100 fall, so that the loss is *amount* in total."""
    core.prices(AAPL=Decimal(100) - Decimal(amount) / 100)
