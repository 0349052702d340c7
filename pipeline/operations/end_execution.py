"""End a waiting execution at a person's request."""

from dataclasses import asdict, dataclass
from uuid import UUID

import structlog
from psycopg import Connection
from psycopg.rows import DictRow
from psycopg.types.json import Json

from pipeline.model.errors import NotPossible
from pipeline.model.reasons import Code, Reason, storable
from pipeline.model.states import UNDECIDED, State
from pipeline.operations.dead_letters import state_of
from pipeline.store.query import execute, fetch_maybe
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
    #: Its place in the order of recording, needed to release the next execution of the symbol. It is not printed.
    seq: int


def end_execution(record: Record, execution_id: UUID, *, by: str, why: str) -> EndedExecution:
    """End an execution that is queued or held: it is skipped, and the next one of its symbol may go.

    Raises:
        NotPossible: it is neither queued nor held, the broker may have its order, or no execution has that id.
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
        ended = fetch_maybe(connection, EndedExecution, sql("end_execution", "end"), key)
        if ended is None and tries > 1:
            # The previous try may have been committed, and only the answer to its COMMIT lost.
            ended = fetch_maybe(connection, EndedExecution, sql("end_execution", "ended"), key)
        if ended is None:
            raise _refusal(connection, execution_id)
        execute(connection, sql("keeper", "free_symbol"), asdict(ended))
        return ended

    ended = record.run(unit)
    log.info("execution.ended", execution_id=str(execution_id), by=by, why=why)
    return ended


def _refusal(connection: Connection[DictRow], execution_id: UUID) -> NotPossible:
    state = state_of(connection, execution_id)
    if state is None:
        return NotPossible(f"there is no execution {execution_id}")
    return NotPossible(f"execution {execution_id} is {state}: {_hint(state, execution_id)}")


def _hint(state: State, execution_id: UUID) -> str:
    match state:
        case State.DEAD:
            return f"a dead letter is closed by `tradewire dead discard {execution_id} --why TEXT`"
        case State.ACCEPTED | State.PARTIALLY_FILLED:
            return f"its order works at the broker: `tradewire orders cancel {execution_id}` cancels it"
        # An execution in these states is ended unless the broker may have its order.
        case State.HELD | State.QUEUED:
            return "its order may be at the broker and is looked up; try again when `tradewire why` shows the result"
        case _ if state in UNDECIDED:
            return "it is being executed or looked up; try again in a few seconds"
        case _:
            return "it has ended already"
