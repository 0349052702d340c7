"""Write down what became of an execution: by compare-and-set on its fence, or on the broker's word."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import structlog
from psycopg import Connection
from psycopg.rows import DictRow
from psycopg.types.json import Json

from pipeline.model.orders import BrokerOrder, OrderStatus
from pipeline.model.reasons import Code, Reason, storable
from pipeline.model.states import State
from pipeline.store.record import Record
from pipeline.store.rows import ClaimedExecution, OrderRow, Role
from pipeline.store.statements import sql
from workers.account.snapshots import Snapshots
from workers.brokers.protocol import NotSent, NotSentCause, Outcome
from workers.execution.order_intents import Intended
from workers.rules.retry_policy import STATE_OF, Transition, settled_by

log = structlog.get_logger(__name__)

#: What the broker says of an order that will not trade any more.
LAST_WORDS = frozenset(
    {
        OrderStatus.FILLED,
        OrderStatus.CANCELED,
        OrderStatus.EXPIRED,
        OrderStatus.REJECTED,
        OrderStatus.REPLACED,
    }
)


@dataclass(frozen=True, kw_only=True)
class ResultRecorder:
    """Records answers for one executor. Every method may be run again with the same values."""

    record_: Record
    snapshots: Snapshots
    worker: str

    def settle(self, claimed: ClaimedExecution, transition: Transition, intended: Intended | None = None) -> None:
        """Move an execution that we hold the lease of. When somebody moved it first, that stands."""

        def unit(connection: Connection[DictRow]) -> bool:
            moved = self._settle(connection, claimed, transition)
            # Only the holder of the fence knows that nobody else is sending this intent.
            if moved and intended is not None and not transition.may_exist:
                self._never_taken(connection, intended)
            return moved

        self._say(claimed, transition, moved=self.record_.run(unit, retry_for_s=None))

    def record(
        self, claimed: ClaimedExecution, intended: Intended, outcome: Outcome, transition: Transition, *, took_ms: float
    ) -> None:
        """Record the broker's answer to a send, and the attempt, in one transaction."""
        if isinstance(outcome, NotSent) and outcome.cause is NotSentCause.ACCOUNT_REFUSED:
            self.snapshots.refused(outcome.message)

        def unit(connection: Connection[DictRow]) -> bool:
            if transition.order is not None:
                record_broker_order(connection, transition.order)
            connection.execute(sql("orders", "record_attempt"), _attempt(claimed, outcome, transition, took_ms))
            moved = self._settle(connection, claimed, transition)
            # Only the holder of the fence knows that nobody else is sending this intent.
            if moved and transition.state is State.REJECTED and transition.order is None:
                # Refused: it will never work, and the broker certainly does not hold it.
                key = _key(claimed) | {"generation": claimed.generation, "order_status": None}
                connection.execute(sql("orders", "end"), key)
                self._never_taken(connection, intended)
            elif moved and not transition.may_exist:
                self._never_taken(connection, intended)
            # The fence is gone, but the broker's word is a fact whoever brings it: adopt it where it is news.
            return moved or (
                transition.order is not None
                and follow(connection, claimed.execution_id, claimed.generation, transition.order, by=self.worker)
                is not None
            )

        moved = self.record_.run(unit, retry_for_s=None)
        self._say(claimed, transition, moved=moved)

    def _never_taken(self, connection: Connection[DictRow], intended: Intended) -> None:
        order = intended.order
        connection.execute(
            sql("orders", "never_taken"),
            {"execution_id": order.execution_id, "generation": order.generation, "sole": intended.sole},
        )

    def _settle(self, connection: Connection[DictRow], claimed: ClaimedExecution, transition: Transition) -> bool:
        values = _key(claimed) | {
            "fence": claimed.fence,
            "state": transition.state,
            "reason_code": transition.reason.code if transition.reason else None,
            "reason_facts": Json(transition.reason.to_json() if transition.reason else {}),
            "due_in": _spread(transition),
            "attempts": transition.attempts,
            "moved_by": self.worker,
        }
        return connection.execute(sql("executions", "settle"), values).fetchone() is not None

    def _say(self, claimed: ClaimedExecution, transition: Transition, *, moved: bool) -> None:
        event = f"execution.{transition.state}" if moved else "execution.taken_over"
        serious = not moved or transition.state in (State.DEAD, State.UNKNOWN, State.REJECTED)
        # While the broker is away an execution is held again and again; only the first time is news.
        again = transition.state is State.HELD and claimed.from_state is State.HELD
        level = log.warning if serious else log.debug if again else log.info
        level(
            event,
            execution_id=str(claimed.execution_id),
            executor_id=claimed.executor_id,
            symbol=claimed.symbol,
            reason=str(transition.reason) if transition.reason else None,
            order_id=transition.order.order_id if transition.order else None,
        )


def record_broker_order(connection: Connection[DictRow], order: BrokerOrder) -> None:
    """Write down what the broker says of an order; figures never go back."""
    connection.execute(
        sql("orders", "record_broker_update"),
        {
            "client_order_id": order.client_order_id,
            "order_id": order.order_id,
            "order_status": order.raw_status,
            "filled_quantity": order.filled_quantity,
            "filled_average_price": order.filled_average_price,
            "ended": order.status in LAST_WORDS,
        },
    )


def follow(
    connection: Connection[DictRow],
    execution_id: UUID,
    generation: int,
    order: BrokerOrder,
    *,
    by: str,
    late: bool = False,
) -> DictRow | None:
    """Move an execution to where the broker's word puts it; None when it is there or may not move there."""
    transition = settled_by(order)
    reason = transition.reason
    if late:
        reason = Reason(code=Code.LATE_ORDER, facts={"order_status": order.raw_status})
    return connection.execute(
        sql("executions", "follow"),
        {
            "execution_id": execution_id,
            "generation": generation,
            "state": STATE_OF[order.status],
            "reason_code": reason.code if reason else None,
            "reason_facts": Json(reason.to_json() if reason else {}),
            "moved_by": by,
        },
    ).fetchone()


def matches(intent: OrderRow, order: BrokerOrder) -> bool:
    """Say whether *order* is the one that *intent* means: symbol, side and quantity equal, not older than it."""
    # Brokers' clocks differ from ours a little; an order of yesterday is another's.
    not_older = order.created_at is None or order.created_at > intent.intended_at - timedelta(seconds=60)
    return (
        order.symbol == intent.symbol and order.side == intent.side and order.quantity == intent.quantity and not_older
    )


def is_unfilled_entry(intent: OrderRow, order: BrokerOrder) -> bool:
    """Say whether a late order is one to cancel: an entry that still works."""
    return intent.role is Role.ENTRY and order.status not in LAST_WORDS


def _spread(transition: Transition) -> timedelta | None:
    """Return when to go on; after a wait for the broker not everybody at once, and never sooner than it asked."""
    code = transition.reason.code if transition.reason else None
    if transition.due_in is None or code not in (Code.BROKER_AWAY, Code.RATE_LIMITED):
        return transition.due_in
    return transition.due_in * random.uniform(1.0, 1.25)  # noqa: S311 -- not a secret


def _key(claimed: ClaimedExecution) -> dict[str, Any]:
    return {"execution_id": claimed.execution_id}


def _attempt(claimed: ClaimedExecution, outcome: Outcome, transition: Transition, took_ms: float) -> dict[str, Any]:
    return {
        "execution_id": claimed.execution_id,
        "fence": claimed.fence,
        "generation": claimed.generation,
        "outcome": type(outcome).__name__.lower(),
        "message": storable(str(getattr(outcome, "message", "")))[:500] or None,
        "took_ms": round(took_ms, 3),
        "order_id": transition.order.order_id if transition.order else None,
    }
