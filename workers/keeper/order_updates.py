"""Compare what the broker says of orders with what the record knows, and move their executions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from psycopg import Connection
from psycopg.rows import DictRow
from psycopg.types.json import Json

from pipeline.model.errors import BrokerUnavailable, BrokerUnreadable
from pipeline.model.orders import BrokerOrder, is_our_order
from pipeline.model.reasons import Code, Reason
from pipeline.model.states import ENDED, WORKING, State
from pipeline.store.record import Record
from pipeline.store.rows import OrderRow
from pipeline.store.statements import sql
from workers.brokers.protocol import Broker
from workers.execution.results import LAST_WORDS, follow, is_unfilled_entry, matches, record_broker_order

log = structlog.get_logger(__name__)

_LATE = ENDED | {State.DEAD}
# Ended by us, whatever the broker does with the order.
_GIVEN_UP = frozenset({State.SKIPPED, State.DEAD, State.DISCARDED})


@dataclass(frozen=True, kw_only=True)
class OrderUpdates:
    """Hears what one executor's broker says. Hearing it twice changes nothing."""

    record: Record
    broker: Broker
    who: str

    def apply(self, orders: Sequence[BrokerOrder], seen: set[str]) -> int:
        """Follow the differences, add our orders' ids to *heard*, and return how many executions moved.

        Raises:
            RecordUnavailable: PostgreSQL is away.
        """
        ours = {order.client_order_id: order for order in orders if is_our_order(order.client_order_id)}
        if not ours:
            return 0
        seen.update(ours)
        key = {"client_order_ids": list(ours)}
        rows = self.record.run(lambda connection: connection.execute(sql("keeper", "known_orders"), key).fetchall())
        moved = sum(self._follow(row, ours[row["client_order_id"]]) for row in rows)
        self.record.run(lambda connection: connection.execute(sql("keeper", "note_polled"), key))
        return moved

    def vanished(self, row: DictRow) -> None:
        """The broker no longer knows an order that it had accepted: a person has to look."""
        reason = Reason(code=Code.ORDER_VANISHED, facts={"order_id": row["order_id"]})
        values = {
            "execution_id": row["execution_id"],
            "generation": row["generation"],
            "reason_code": reason.code,
            "reason_facts": Json(reason.to_json()),
            "moved_by": self.who,
        }
        moved = self.record.run(lambda connection: connection.execute(sql("keeper", "vanished"), values).fetchone())
        if moved is not None:
            log.error("order.vanished", execution_id=str(row["execution_id"]), order_id=row["order_id"])

    def _follow(self, row: DictRow, order: BrokerOrder) -> bool:
        state, intent = State(row["state"]), OrderRow.of(row)
        if row["generation"] != row["current_generation"]:
            self._follow_older(intent, order)
            return False
        # The worker or the look-up has the word on the undecided ones; they adopt the order themselves. An order that
        # is not the one we meant is nobody's to adopt.
        if state not in WORKING | _LATE or (intent.order_id is None and not matches(intent, order)):
            return False
        late = _is_late(state, intent, order)
        if late or row["reason_code"] == Code.LATE_ORDER:
            self._stop_late(intent, order, new=late)
        if not late and not _is_news(intent, order):
            return False

        def unit(connection: Connection[DictRow]) -> DictRow | None:
            record_broker_order(connection, order)
            return follow(connection, intent.execution_id, intent.generation, order, by=self.who, late=late)

        moved = self.record.run(unit)
        if moved is not None and not late:
            log.info(
                "order.followed",
                execution_id=str(intent.execution_id),
                order_id=order.order_id,
                order_status=order.raw_status,
                filled_quantity=str(order.filled_quantity),
            )
        return moved is not None

    def _follow_older(self, intent: OrderRow, order: BrokerOrder) -> None:
        """Stop an order that was proved absent and replaced at a requeue: it must not trade beside the new one."""
        if matches(intent, order):
            self._stop_late(intent, order, new=intent.order_id is None)
            if _is_news(intent, order):
                self.record.run(lambda connection: record_broker_order(connection, order))

    def _stop_late(self, intent: OrderRow, order: BrokerOrder, *, new: bool) -> None:
        """Say that the broker holds what had ended here, and cancel it while it is an entry that has not filled.

        A cancel that fails is asked for again with the next poll.
        """
        facts = {"execution_id": str(intent.execution_id), "order_id": order.order_id}
        if new:
            log.error("order.late", **facts, order_status=order.raw_status)
        if is_unfilled_entry(intent, order):
            try:
                self.broker.cancel(order.order_id)
            except (BrokerUnavailable, BrokerUnreadable) as error:
                log.warning("cancel.failed", **facts, error=str(error))


def _is_news(intent: OrderRow, order: BrokerOrder) -> bool:
    known = (intent.order_id, intent.order_status, intent.filled_quantity)
    return known != (order.order_id, order.raw_status, order.filled_quantity)


def _is_late(state: State, intent: OrderRow, order: BrokerOrder) -> bool:
    """Say whether the broker holds an order for an execution that we had ended without one, or against it."""
    if state not in _LATE or intent.order_id is None:
        return state in _LATE
    return state in _GIVEN_UP and (_is_news(intent, order) or order.status not in LAST_WORDS)
