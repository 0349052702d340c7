"""Run `tradewire orders` in this process, and the steps of the keeper and the worker that follow."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from typer.testing import CliRunner

from pipeline.model.errors import ConfigInvalid, TradewireError
from tests.command import app
from tests.factories import Core, until
from workers.keeper.account_controls import account_controls_of
from workers.keeper.exit_follow_up import ExitFollowUp


@dataclass(frozen=True)
class Said:
    """The exit code that the process would have, and what it would print."""

    code: int
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


def orders(*arguments: str) -> Said:
    """Run `tradewire orders` with *arguments*."""
    result = CliRunner().invoke(app, ["orders", *arguments])
    if isinstance(result.exception, TradewireError):
        return Said(2 if isinstance(result.exception, ConfigInvalid) else 1, str(result.exception))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return Said(result.exit_code, result.stdout or result.output)


def keep(core: Core, executor: str = "argo") -> None:
    """Take one step of the keeper's controls."""
    account_controls_of(core.record, core.intake, core.runtimes[executor], who="test keeper").run_once()


def follow_ups(core: Core) -> int:
    """Let the keeper follow up exits, while the market is open."""
    return ExitFollowUp(
        record=core.record, intake=core.intake, runtime=core.runtimes["argo"], market_is_open=lambda: True
    ).run_once()


def followed(core: Core, execution: UUID, state: str) -> dict[str, Any]:
    """Let the keeper poll until the execution is in *state*; return its columns."""
    until(lambda: core.follower().run_once() or core.state(execution) == state)
    return core.execution(execution)


def closes(core: Core) -> list[dict[str, Any]]:
    """Return the executions of a person's closes and their further tries, in their order."""
    return core.rows(
        "SELECT e.*, s.source_id, s.quantity FROM execution e JOIN signal s USING (signal_id) "
        "WHERE s.source = 'tradewire:hand' ORDER BY e.seq"
    )


def closed(core: Core, *arguments: str) -> UUID:
    """Record a close of AAPL at argo, and return the id of its execution."""
    said = orders("close", "AAPL", "--executor", "argo", "--wait", "0", "--json", *arguments)
    return UUID(said.json["execution_id"])


def worked(core: Core, execution: UUID, *states: str) -> dict[str, Any]:
    """Let worker and keeper work on an execution until it has one of *states*; return its columns."""

    def step() -> dict[str, Any] | None:
        core.due_now(execution)
        if core.state(execution) in ("queued", "held"):
            core.run(execution)
        follow_ups(core)
        core.follower().run_once()
        row = core.execution(execution)
        return row if row["state"] in states else None

    return dict(until(step))


def held(core: Core, symbol: str = "AAPL") -> int:
    """Return what the account holds of *symbol* at the exchange."""
    position = core.runtimes["argo"].broker.position(symbol)
    return 0 if position is None else int(position.quantity)


def at_exchange(core: Core) -> list[tuple[str, str, str, str]]:
    """Return side, quantity, type and status of every order that tradewire sent."""
    return [(each["side"], each["qty"], each["type"], each["status"]) for each in core.orders()]
