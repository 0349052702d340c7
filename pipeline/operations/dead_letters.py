"""Dead letters: executions that only a person can move on, and how a person does."""

from __future__ import annotations

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
from pipeline.model.orders import PROVED_ABSENT_AFTER
from pipeline.model.reasons import sentence
from pipeline.model.signals import Action
from pipeline.model.states import State
from pipeline.queues.dispatcher import description
from pipeline.queues.jobs import DEAD_PREFIX, DeadJob
from pipeline.store.record import Record
from pipeline.store.rows import FromRow
from pipeline.store.statements import sql

log = structlog.get_logger(__name__)

_MOST = 1000


@dataclass(frozen=True, kw_only=True)
class DeadLetter(FromRow):
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
        """Return how RQ shows it. The reason's figures are text: RQ's pages get no foreign markup."""
        return DeadJob(
            execution_id=self.execution_id,
            executor_id=self.executor_id,
            number=self.number,
            description=description(
                action=self.action,
                symbol=self.symbol,
                confidence=self.confidence,
                executor_id=self.executor_id,
            ),
            reason=self.reason,
        )


class DeadLetters:
    """Lists, requeues and discards dead letters."""

    def __init__(self, record: Record) -> None:
        self._record = record

    def open(self, executor_id: str | None = None, *, limit: int | None = _MOST) -> Sequence[DeadLetter]:
        """Return the open ones, oldest first; all of them when *limit* is None.

        Raises:
            RecordUnavailable: PostgreSQL is away.
        """
        key = {"executor_id": executor_id, "limit": limit}
        rows = self._record.run(lambda connection: connection.execute(sql("dead_letters", "open"), key).fetchall())
        return [DeadLetter.of(row) for row in rows]

    def requeue(self, execution_id: UUID, *, by: str, why: str, accept_age: bool = False) -> None:
        """Put one back to work. An order that may exist is looked up before anything is sent.

        Raises:
            NotPossible: it is not dead.
            RecordUnavailable: PostgreSQL is away.
        """
        values = {
            "execution_id": execution_id,
            "by": by,
            "why": why,
            "accept_age": accept_age,
            "number": None,
        }
        if not self._requeue(values):
            raise self._not_dead(execution_id)

    def requeue_from_dashboard(self, job_id: str, execution_id: UUID) -> bool:
        """Put one back to work because its job came back from RQ's FailedJobRegistry; once per dead letter."""
        number = job_id.removeprefix(DEAD_PREFIX).rpartition("-")[2]
        values = {
            "execution_id": execution_id,
            "by": "rq-dashboard",
            "why": "requeued on rq-dashboard",
            "accept_age": False,
            "number": int(number) if number.isdecimal() else -1,
        }
        return self._requeue(values)

    def discard(self, execution_id: UUID, *, by: str, why: str) -> None:
        """Close one for good.

        Raises:
            NotPossible: it is not dead.
            RecordUnavailable: PostgreSQL is away.
        """
        if not self._close("discard", {"execution_id": execution_id, "by": by, "why": why}, ending="discarded"):
            raise self._not_dead(execution_id)
        log.info("dead_letter.discarded", execution_id=str(execution_id), by=by, why=why)

    def _requeue(self, values: dict[str, Any]) -> bool:
        proof = {"proved_absent_after": PROVED_ABSENT_AFTER}
        requeued = self._close("requeue", values | proof, ending="requeued")
        if requeued:
            log.info("dead_letter.requeued", execution_id=str(values["execution_id"]), by=values["by"])
        return requeued

    def _close(self, statement: str, values: dict[str, Any], *, ending: str) -> bool:
        """Close an open letter; False when there is none. Run again, it knows its own work."""
        tries = 0

        def unit(connection: Connection[DictRow]) -> bool:
            nonlocal tries
            tries += 1
            if connection.execute(sql("dead_letters", statement), values).fetchone() is not None:
                return True
            # The try before may have been committed, and only its answer lost.
            ours = values | {"ending": ending}
            return tries > 1 and connection.execute(sql("dead_letters", "closed"), ours).fetchone() is not None

        return self._record.run(unit)

    def _not_dead(self, execution_id: UUID) -> NotPossible:
        row = self._record.run(
            lambda connection: connection.execute(
                sql("executions", "state_of"), {"execution_id": execution_id}
            ).fetchone()
        )
        if row is None:
            return NotPossible(f"there is no execution {execution_id}")
        state = State(row["state"])
        return NotPossible(
            f"execution {execution_id} is {state}, not dead: only dead letters are requeued or discarded"
        )
