"""Executors with limits, positions and market hours, for tests that trade."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

from tests.factories import Core, executor_toml, until

MONDAY, MONDAY_EVENING = "2026-11-23T10:00:00-05:00", "2026-11-23T21:00:00-05:00"


def changed_toml(executor_id: str = "argo", *, factory: dict[str, Any] | None = None, **keys: str) -> str:
    """Return the table that `executor_toml` makes from *factory*, with these values of *keys* (in TOML) put in."""
    text = executor_toml(executor_id, **(factory or {}))
    for name, value in keys.items():
        text, count = re.subn(rf"^{name} = .*$", f"{name} = {value}", text, flags=re.MULTILINE)
        assert count == 1, name
    return text


def filled(core: Core, symbol: str = "AAPL", action: str = "BUY", *, executor: str = "argo", **changes: Any) -> UUID:
    """Send a signal, and wait until its fill is recorded."""
    execution_id = core.send(symbol, action, executor=executor, **changes)
    core.run(execution_id, executor)
    follow_to(core, execution_id, "filled", executor=executor)
    return execution_id


def follow_to(core: Core, execution_id: UUID, state: str, *, executor: str = "argo") -> None:
    """Let the keeper poll until the execution is in *state*."""
    until(lambda: core.follower(executor).run_once() or core.state(execution_id) == state)


def clock(core: Core, now: str) -> None:
    """Set the exchange's clock to *now*, from where it runs on. The market has the hours of the calendar."""
    core.exchange.admin("clock", {"mode": "fixed", "now": now})
