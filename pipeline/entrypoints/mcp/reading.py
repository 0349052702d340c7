"""The tools that look: each reads the record as the command of its name does, and changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Annotated, Any

from pydantic import Field

from config.schema.executor import ExecutorSettings
from pipeline.accounts.limit_usage import headroom as rooms_of
from pipeline.accounts.switches import Switches
from pipeline.entrypoints.doctor.examine import examine
from pipeline.entrypoints.doctor.findings import findings_json
from pipeline.entrypoints.mcp.common_args import id_of, record_now, settings_now
from pipeline.model.errors import ConfigInvalid
from pipeline.model.states import State
from pipeline.model.symbols import canonical
from pipeline.operations.dead_letters import DeadLetters
from pipeline.startup.context import executors_for, since
from pipeline.views import lists
from pipeline.views.account_schemas import HeadroomView, SwitchStatusView
from pipeline.views.history import signal_history
from pipeline.views.report import report as make_report
from pipeline.views.schemas import DeadLetterView
from pipeline.views.symbol_history import ask

#: The most that one answer lists; whoever wants more narrows the question.
MOST = 200

Answer = dict[str, Any]
Since = Annotated[
    str | None, Field(description="Only from then on: RFC 3339, or a span before now like 90s, 15m, 2h, 3d.")
]
Executor = Annotated[str | None, Field(description="Only of the executor of this name.")]
Limit = Annotated[int, Field(ge=1, le=MOST, description="At most so many.")]


def why(
    of: Annotated[str, Field(description="The id of a signal or an execution, or a symbol like AAPL.")],
    at: Annotated[str | None, Field(description="Of a symbol: around then; RFC 3339, or 15m, 2h, 3d ago.")] = None,
) -> Answer:
    """Tell a signal's whole life at every executor: moves with times and reasons, tries at sending, orders.

    Of a symbol: its newest signals, or those nearest to a time; without any, who was last heard and what was refused.
    """
    with record_now() as (settings, record):
        executors: Mapping[str, ExecutorSettings] = {}
        # A file that is broken now does not keep anybody from looking at the past.
        with suppress(ConfigInvalid):
            executors = executors_for(settings)
        symbol = _symbol(of)
        if symbol is None:
            return signal_history(record, id_of(of, "of"), executors=executors).to_json()
        answer = ask(record, symbol, at=since(at))
        lives = [signal_history(record, each, executors=executors).to_json() for each in answer.signal_ids]
        return answer.to_json() | {"signals": lives, "silence": None if lives else answer.silence()}


def _symbol(text: str) -> str | None:
    try:
        return canonical(text)
    except ValueError:
        return None


def report(after: Since = None) -> Answer:
    """Count signals and what became of them: by state, reason and executor; execution rate, fill rate, latency."""
    with record_now() as (_, record):
        return make_report(record, since=since(after)).to_json()


def doctor() -> Answer:
    """Examine every part of the system: what was seen, the likely cause of what is wrong, and what mends it."""
    settings = settings_now()
    return findings_json(examine(settings, executors_for(settings)))


def executions(
    executor: Executor = None,
    signal: Annotated[str | None, Field(description="Only of the signal of this id.")] = None,
    symbol: Annotated[str | None, Field(description="Only of this symbol, like AAPL or BTC/USD.")] = None,
    status: Annotated[State | None, Field(description="Only in this state.")] = None,
    after: Since = None,
    limit: Limit = 50,
) -> Answer:
    """List executions (one signal at one executor), newest first, each with its order id or its reason."""
    with record_now() as (_, record):
        found = lists.executions(
            record,
            signal_id=None if signal is None else id_of(signal, "signal"),
            state=status,
            executor_id=executor,
            symbol=None if symbol is None else _symbol(symbol) or symbol,
            since=since(after),
            limit=limit,
        )
    return {"executions": [each.to_json() for each in found.items], "has_more": found.has_more}


def dead_letters(executor: Executor = None, limit: Limit = 50) -> Answer:
    """List the open dead letters, oldest first: executions that only a person can move on."""
    with record_now() as (_, record):
        letters = DeadLetters(record).open(executor, limit=limit)
    return {"dead_letters": [DeadLetterView.model_validate(letter).to_json() for letter in letters]}


def dead_letter(execution_id: Annotated[str, Field(description="The execution's id.")]) -> Answer:
    """Show the whole life of a dead letter."""
    with record_now() as (_, record):
        return signal_history(record, id_of(execution_id, "execution_id")).to_json()


def headroom() -> Answer:
    """Say how much of each of its limits every account has used, and how much is left; money as strings."""
    with record_now() as (settings, record):
        return {
            "headroom": [
                HeadroomView.model_validate(room).to_json() for room in rooms_of(record, executors_for(settings))
            ]
        }


def switches() -> Answer:
    """Say which switches stand at every executor (paused, reducing, halted), who turned them, when and why."""
    with record_now() as (settings, record):
        stands = [
            SwitchStatusView.of(Switches(record).active_switches(each)).to_json() for each in executors_for(settings)
        ]
    return {"switches": [{key: stand[key] for key in ("executor_id", "account", "switches")} for stand in stands]}


READING: tuple[Callable[..., Answer], ...] = (
    why,
    report,
    doctor,
    executions,
    dead_letters,
    dead_letter,
    headroom,
    switches,
)
