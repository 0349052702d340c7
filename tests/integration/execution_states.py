"""Executions in every state, written as the workers and the keeper write them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from pipeline.intake.intake import Intake
from tests.factories import signal

Rows = Callable[..., list[dict[str, Any]]]

ENDS = {"filled", "canceled", "expired", "rejected", "skipped", "discarded"}


class ExecutionStates:
    """Moves executions through their states with plain SQL, without the code under test."""

    def __init__(self, intake: Intake, rows: Rows) -> None:
        self._intake = intake
        self._rows = rows

    def recorded(self, **changes: Any) -> UUID:
        """Record a signal and return the id of its execution at argo."""
        return self._intake.record(signal(**changes), source="test").executions[0].execution_id

    def claimed(self, execution_id: UUID) -> None:
        self.moved(execution_id, "submitting")

    def moved(self, execution_id: UUID, state: str, code: str | None = None, **facts: Any) -> None:
        lease = "now() + interval '3 seconds'" if state == "submitting" else "NULL"
        due = "now()" if state in {"held", "unknown"} else "NULL"
        ended = "now()" if state in ENDS else "NULL"
        self._rows(
            f"UPDATE execution SET state = %s, reason_code = %s, reason_facts = %s, moved_by = 'a worker', "
            f"lease_until = {lease}, due_at = {due}, ended_at = {ended} WHERE execution_id = %s",
            [state, code, Jsonb(facts), execution_id],
        )

    def ordered(self, execution_id: UUID, *, order_id: str | None, after_ms: float = 10, filled: int = 0) -> None:
        """Write the execution's order. If *order_id* is given, it was accepted *after_ms* after the signal came."""
        self._rows(
            """
            INSERT INTO broker_order (execution_id, generation, executor_id, account_number, client_order_id, role,
                symbol, side, quantity, reference_price, request, intended_at, first_sent_at, order_id, order_status,
                filled_quantity, filled_average_price, accepted_at)
            SELECT execution_id, generation, executor_id, 'PA1', 'tw-' || execution_id || '-' || generation, 'entry',
                symbol, 'buy', 5, 100, '{"qty": "5"}', created_at, created_at, %(order_id)s, 'new',
                %(filled)s, CASE WHEN %(filled)s > 0 THEN 100.5 END,
                CASE WHEN %(order_id)s::text IS NOT NULL THEN created_at + %(after_ms)s * interval '1 millisecond' END
            FROM execution WHERE execution_id = %(execution_id)s
            """,
            {"execution_id": execution_id, "order_id": order_id, "after_ms": after_ms, "filled": filled},
        )

    def attempted(self, execution_id: UUID, request_id: str | None = None) -> None:
        """Write an attempt to send the order, which the broker rejected."""
        self._rows(
            "INSERT INTO attempt (execution_id, fence, generation, outcome, message, took_ms, sent_at, request_id) "
            "VALUES (%s, 1, 1, 'rejected', 'insufficient', 12.5, now(), %s)",
            [execution_id, request_id],
        )

    def reached(self, state: str, code: str | None = None, **order: Any) -> UUID:
        """Record a signal, claim its execution, write an order if *order* is given, and move it to *state*."""
        execution_id = self.recorded()
        self.claimed(execution_id)
        if order:
            self.ordered(execution_id, **order)
        self.moved(execution_id, state, code)
        return execution_id
