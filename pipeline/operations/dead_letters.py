"""List dead letters, the executions that stopped and need a person, and requeue or discard them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import structlog
from psycopg import Connection
from psycopg.rows import DictRow

from pipeline.model.errors import NotPossible
from pipeline.model.reasons import sentence
from pipeline.model.signals import Action
from pipeline.model.states import State
from pipeline.queues.dispatcher import description
from pipeline.queues.jobs import DEAD_PREFIX, DeadJob
from pipeline.store.query import execute, fetch_maybe
from pipeline.store.record import Record
from pipeline.store.statements import sql

log = structlog.get_logger(__name__)

_MOST = 1000


@dataclass(frozen=True, kw_only=True)
class DeadLetter:
    """An open dead letter."""

    execution_id: UUID
    number: int
    executor_id: str
    signal_id: UUID
    symbol: str
    action: Action
    confidence: Decimal | None
    source: str
    source_id: str | None
    reason_code: str
    reason_facts: dict[str, Any]
    attempts: int
    opened_at: datetime
    created_at: datetime

    @property
    def reason(self) -> str:
        """Return the reason as people read it."""
        return sentence(self.reason_code, self.reason_facts)

    def job(self) -> DeadJob:
        """Return the job that RQ shows for this dead letter. Its reason may quote an answer of the broker."""
        return DeadJob(
            execution_id=self.execution_id,
            executor_id=self.executor_id,
            number=self.number,
            description=description(self.action, self.symbol, self.confidence, self.executor_id),
            reason=self.reason,
        )


class DeadLetters:
    """Lists, requeues and discards dead letters."""

    def __init__(self, record: Record) -> None:
        self._record = record

    def open(self, executor_id: str | None = None, *, limit: int | None = _MOST) -> Sequence[DeadLetter]:
        """Return the open dead letters, oldest first; all of them when *limit* is None. Raises RecordUnavailable."""
        values = {"executor_id": executor_id, "limit": limit}
        return self._record.all(DeadLetter, sql("dead_letters", "open"), values)

    def requeue(self, execution_id: UUID, *, by: str, why: str, accept_age: bool = False) -> None:
        """Queue an execution again. An order that may exist is looked up before anything is sent.

        Raises:
            NotPossible: the execution is not dead.
            RecordUnavailable: PostgreSQL is away.
        """
        if not self._requeue(execution_id, None, by=by, why=why, accept_age=accept_age):
            raise self._not_dead(execution_id)

    def requeue_from_dashboard(self, job_id: str, execution_id: UUID) -> bool:
        """Requeue the dead letter that *job_id* names, because a person requeued its job on rq-dashboard.

        Each dead letter is requeued once. Return False if another request has already closed it.
        """
        # The number belongs to one dead letter of the execution. The job of an earlier dead letter requeues nothing.
        number = job_id.removeprefix(DEAD_PREFIX).rpartition("-")[2]
        if not number.isdecimal():
            return False
        why = "requeued on rq-dashboard"
        return self._requeue(execution_id, int(number), by="rq-dashboard", why=why, accept_age=False)

    def discard(self, execution_id: UUID, *, by: str, why: str) -> None:
        """Close a dead letter for good.

        Raises:
            NotPossible: the execution is not dead.
            RecordUnavailable: PostgreSQL is away.
        """
        if not self._close("discard", {"execution_id": execution_id, "by": by, "why": why}, ending="discarded"):
            raise self._not_dead(execution_id)
        log.info("dead_letter.discarded", execution_id=str(execution_id), by=by, why=why)

    def _requeue(self, execution_id: UUID, number: int | None, *, by: str, why: str, accept_age: bool) -> bool:
        values = {"execution_id": execution_id, "number": number, "by": by, "why": why, "accept_age": accept_age}
        requeued = self._close("requeue", values, ending="requeued")
        if requeued:
            log.info("dead_letter.requeued", execution_id=str(execution_id), by=by)
        return requeued

    def _close(self, statement: str, values: dict[str, Any], *, ending: str) -> bool:
        tries = 0

        def unit(connection: Connection[DictRow]) -> bool:
            nonlocal tries
            tries += 1
            if execute(connection, sql("dead_letters", statement), values):
                return True
            # The previous try may have been committed, and only the answer to its COMMIT lost.
            ours = values | {"ending": ending}
            return tries > 1 and execute(connection, sql("dead_letters", "closed"), ours) > 0

        return self._record.run(unit)

    def _not_dead(self, execution_id: UUID) -> NotPossible:
        state = self._record.run(lambda connection: state_of(connection, execution_id))
        return NotPossible(
            f"there is no execution {execution_id}"
            if state is None
            else f"execution {execution_id} is {state}, not dead: only dead letters are requeued or discarded"
        )


def state_of(connection: Connection[DictRow], execution_id: UUID) -> State | None:
    """Return the state of an execution; None if no execution has that id."""
    return fetch_maybe(connection, State, sql("executions", "state_of"), {"execution_id": execution_id})
