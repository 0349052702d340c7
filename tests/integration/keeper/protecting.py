"""Protect holdings in tests: one keeper, and the workers that place its stop orders."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.factories import Core, until
from tests.integration.keeper.test_stops import closing, followed
from workers.keeper.protection import Protection


def keeper(core: Core, executor: str = "argo") -> Protection:
    return Protection(record=core.record, intake=core.intake, runtime=core.runtimes[executor])


def run_due(core: Core) -> None:
    """Run the executions that wait, and record what the broker reports."""
    for row in core.rows("SELECT execution_id FROM execution WHERE state IN ('queued', 'held') ORDER BY seq"):
        core.run(row["execution_id"])
    core.follower().run_once()


def step(core: Core) -> None:
    """Let the keeper and the worker take their next steps."""
    keeper(core).run_once()
    run_due(core)


def steps_until(core: Core, true: Callable[[], Any]) -> Any:
    """Let the keeper and the worker work until *true* returns a true value, and return it."""

    def read() -> Any:
        step(core)
        return true()

    return until(read)


def stop_orders(core: Core, *, status: str = "new", executor: str = "argo") -> list[dict[str, Any]]:
    """Return the stop orders at the exchange that rest."""
    return [
        each for each in core.orders(executor) if each["type"] in ("stop", "stop_limit") and each["status"] == status
    ]


def protected(
    core: Core, symbol: str = "AAPL", *, stop: int = 90, quantity: int = 10, **changes: Any
) -> dict[str, Any]:
    """Buy with a stop, and return the stop order that rests then."""
    core.prices(**{symbol: 100})
    entry = core.send(symbol, quantity=quantity, stop_price=stop, **changes)
    core.run(entry)
    followed(core, entry, "filled")
    found: list[dict[str, Any]] = steps_until(core, lambda: stop_orders(core))
    return found[0]


def protections(core: Core) -> list[dict[str, Any]]:
    """Return the executions of stop orders."""
    return closing(core, "protect")
