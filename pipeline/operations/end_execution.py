"""End an execution that waits, on a person's word."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

import structlog
from psycopg import Connection
from psycopg.rows import DictRow
from psycopg.types.json import Json

from pipeline.model.errors import NotPossible
from pipeline.model.reasons import Code, Reason, storable
from pipeline.model.states import UNDECIDED, State
from pipeline.store.record import Record
from pipeline.store.statements import sql

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class EndedExecution:
    """An execution that a person ended."""

    execution_id: UUID
    signal_id: UUID
    executor_id: str
    symbol: str


def end_execution(record: Record, execution_id: UUID, *, by: str, why: str) -> EndedExecution:
    """End an execution that is queued or held: it is skipped, and what waited for its symbol may go.

    Raises:
        NotPossible: it does not wait, the broker may have its order, or there is none of that id.
        RecordUnavailable: PostgreSQL is away.
    """
    reason = Reason(code=Code.ENDED_BY_PERSON, facts={"by": storable(by)})
    key = {
        "execution_id": execution_id,
        "reason_code": reason.code,
        "reason_facts": Json(reason.to_json()),
        "by": storable(by),
        "why": storable(why),
    }
    tries = 0

    def unit(connection: Connection[DictRow]) -> EndedExecution:
        nonlocal tries
        tries += 1
        row = connection.execute(sql("end_execution", "end"), key).fetchone()
        if row is None and tries > 1:
            # The try before may have been committed, and only its answer lost.
            row = connection.execute(sql("end_execution", "ended"), key).fetchone()
        if row is None:
            raise _refusal(connection, execution_id)
        connection.execute(sql("keeper", "free_symbol"), row)
        return EndedExecution(
            execution_id=execution_id,
            signal_id=row["signal_id"],
            executor_id=row["executor_id"],
            symbol=row["symbol"],
        )

    ended = record.run(unit)
    log.info("execution.ended", execution_id=str(execution_id), by=by, why=why)
    return ended


def _refusal(connection: Connection[DictRow], execution_id: UUID) -> NotPossible:
    row = connection.execute(sql("executions", "state_of"), {"execution_id": execution_id}).fetchone()
    if row is None:
        return NotPossible(f"there is no execution {execution_id}")
    state = State(row["state"])
    return NotPossible(f"execution {execution_id} is {state}: {_hint(state, execution_id)}")


def _hint(state: State, execution_id: UUID) -> str:
    match state:
        case State.DEAD:
            return f"a dead letter is closed by `tradewire dead discard {execution_id} --why TEXT`"
        case State.ACCEPTED | State.PARTIALLY_FILLED:
            return "its order works at the broker: cancel it there, and the keeper hears of it"
        case State.HELD | State.QUEUED:
            return "the broker may have its order; it is looked up, so try again when `why` says what became of it"
        case _ if state in UNDECIDED:
            return "it is being executed or looked up; try again in some seconds"
        case _:
            return "it is over"
