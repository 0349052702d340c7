"""Compare the broker's orders with the record, and update the states of their executions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

import structlog
from psycopg import Connection
from psycopg.rows import DictRow
from psycopg.types.json import Json

from pipeline.model.errors import BrokerUnavailable, BrokerUnreadable
from pipeline.model.orders import BrokerOrder, is_our_order
from pipeline.model.reasons import Code, Reason
from pipeline.model.states import ENDED, WORKING, State
from pipeline.store.query import execute
from pipeline.store.record import Record
from pipeline.store.rows import OrderRow, Role
from pipeline.store.statements import sql
from workers.brokers.guarded import GuardedBroker
from workers.execution.broker_orders import FINAL_STATUSES, follow, matches, record_broker_order
from workers.execution.replaced_orders import cancel_newest, newest
from workers.rules.orders import reduces

log = structlog.get_logger(__name__)

# If the broker shows an order of an execution that is in one of these states here, the order may be late.
_LATE = ENDED | {State.DEAD}
# States in which tradewire or a person ended the execution, whatever happens to the order at the broker.
_GIVEN_UP = frozenset({State.SKIPPED, State.DEAD, State.DISCARDED})


@dataclass(frozen=True, kw_only=True)
class _KnownOrder(OrderRow):
    """An order of the record, and its execution's state."""

    state: State
    reason_code: str | None
    current_generation: int
    #: Above zero: the broker's report may still contain a fill that was taken back.
    busted_quantity: Decimal | None


@dataclass(frozen=True, kw_only=True)
class UnlistedOrder:
    """An order that is working according to our record, and that the broker's lists did not show."""

    execution_id: UUID
    generation: int
    order_id: str


@dataclass(frozen=True, kw_only=True)
class OrderUpdates:
    """Applies the answers of one executor's broker. Applying them twice changes nothing."""

    record: Record
    broker: GuardedBroker
    who: str

    def apply(self, orders: Sequence[BrokerOrder], seen: set[str], *, request_id: str | None = None) -> int:
        """Update the executions of changed orders, and add our client order ids to *seen*; return how many changed.

        *request_id* is the broker's own id of the look-up that found the orders.
        """
        ours = {order.client_order_id: order for order in orders if is_our_order(order.client_order_id)}
        if not ours:
            return 0
        seen.update(ours)
        moved = 0
        for intent in self._known(ours):
            # Once the end of an order is recorded, its replacement cannot change it any more, and is not read.
            order = ours[intent.client_order_id]
            following = self.newest(order) if intent.ended_at is None else order
            if following is None:
                # The broker does not show the replacement, so the present state of this order is not known.
                del ours[intent.client_order_id]
                seen.discard(intent.client_order_id)
            else:
                moved += self._apply(intent, following, request_id)
        self.record.do(sql("keeper", "record_polled"), {"client_order_ids": list(ours)})
        return moved

    def newest(self, order: BrokerOrder) -> BrokerOrder | None:
        """Return *order* as its newest replacement stands; None if that is not shown or cannot be read."""
        try:
            return newest(self.broker, order)
        except BrokerUnreadable as error:
            # If a replacement cannot be read, the other orders of the list are applied all the same.
            log.debug("poll.failed", order_id=order.order_id, error=str(error))
            return None

    def strays(self, orders: Sequence[BrokerOrder]) -> list[BrokerOrder]:
        """Return the orders with an id of ours that the record does not know, or knows as another order."""
        ours = {order.client_order_id: order for order in orders if is_our_order(order.client_order_id)}
        for intent in self._known(ours):
            if intent.order_id is not None or matches(intent, ours[intent.client_order_id]):
                del ours[intent.client_order_id]
        return list(ours.values())

    def vanished(self, order: UnlistedOrder) -> None:
        """Make the execution a dead letter if the broker has not shown its order for a minute: a person checks that."""
        reason = Reason(code=Code.ORDER_VANISHED, facts={"order_id": order.order_id})
        values = {
            "execution_id": order.execution_id,
            "generation": order.generation,
            "reason_code": reason.code,
            "reason_facts": Json(reason.to_json()),
            "moved_by": self.who,
        }
        if self.record.do(sql("keeper", "vanished"), values):
            log.error("order.vanished", execution_id=str(order.execution_id), order_id=order.order_id)

    def _known(self, ours: Mapping[str, BrokerOrder]) -> Sequence[_KnownOrder]:
        return self.record.all(_KnownOrder, sql("keeper", "known_orders"), {"client_order_ids": list(ours)})

    def _apply(self, intent: _KnownOrder, order: BrokerOrder, request_id: str | None) -> bool:
        if intent.generation != intent.current_generation:
            self._apply_older(intent, order)
            return False
        # A worker or a look-up decides undecided executions and adopts their orders. An order that does not match the
        # intent is not ours to adopt.
        if intent.state not in WORKING | _LATE or (intent.order_id is None and not matches(intent, order)):
            return False
        late = _is_late(intent, order)
        if late or intent.reason_code == Code.LATE_ORDER:
            self._stop_late(intent, order, new=late)
        # After a bust, a report that equals the record shows that it excludes the fill.
        if not late and not intent.busted_quantity and not _is_changed(intent, order):
            return False

        def unit(connection: Connection[DictRow]) -> bool:
            record_broker_order(connection, order)
            key = (intent.execution_id, intent.generation)
            return follow(connection, *key, order, by=self.who, late=late, request_id=request_id)

        moved = self.record.run(unit)
        if moved and not late:
            facts = {"order_status": order.raw_status, "filled_quantity": str(order.filled_quantity)}
            log.info("order.followed", execution_id=str(intent.execution_id), order_id=order.order_id, **facts)
        return moved

    def _apply_older(self, intent: OrderRow, order: BrokerOrder) -> None:
        """Prevent an old order, which a requeue took for absent, from trading beside the new one.

        If no new order was sent yet, the execution continues with the old one. Otherwise the old one is canceled; an
        exit only if it would close more than is held.
        """
        if not matches(intent, order):
            return
        if not self.record.run(lambda connection: self._return(connection, intent, order)):
            self._stop_late(intent, order, new=intent.order_id is None)

    def _return(self, connection: Connection[DictRow], intent: OrderRow, order: BrokerOrder) -> bool:
        if _is_changed(intent, order):
            record_broker_order(connection, order)
        values = {"execution_id": intent.execution_id, "generation": intent.generation}
        return execute(connection, sql("keeper", "return_to_older"), values) > 0

    def _stop_late(self, intent: OrderRow, order: BrokerOrder, *, new: bool) -> None:
        """Cancel an order that must not trade any more, if it may open a position; if it is *new*, report it first."""
        facts = {"execution_id": str(intent.execution_id), "order_id": order.order_id}
        if new:
            log.error("order.late", **facts, order_status=order.raw_status)
        if order.status in FINAL_STATUSES:
            return
        try:
            if intent.role is Role.ENTRY or not self._is_left(order):
                # A late exit would open a position if less is left to close than its own quantity.
                broker = self.broker.canceling() if intent.role is Role.ENTRY else self.broker.urgent()
                cancel_newest(broker, order.order_id)
        except (BrokerUnavailable, BrokerUnreadable) as error:
            # The next poll repeats the cancel.
            log.warning("cancel.failed", **facts, error=str(error))

    def _is_left(self, order: BrokerOrder) -> bool:
        """Return whether the account still holds the unfilled quantity of *order*, which is an exit."""
        position = self.broker.position(order.symbol)
        held = position.quantity if position is not None else Decimal(0)
        left = (order.quantity or Decimal(0)) - order.filled_quantity
        return reduces(order.side, held) and abs(held) >= left


def _is_changed(intent: OrderRow, order: BrokerOrder) -> bool:
    known = (intent.order_id, intent.order_status, intent.filled_quantity)
    is_resized = order.replacement_quantity not in (None, intent.replacement_quantity)
    return is_resized or known != (order.order_id, order.raw_status, order.filled_quantity)


def _is_late(intent: _KnownOrder, order: BrokerOrder) -> bool:
    """Return whether *order* is late: its execution ended without it, or was given up although it works or changes."""
    if intent.state not in _LATE or intent.order_id is None:
        return intent.state in _LATE
    return intent.state in _GIVEN_UP and (_is_changed(intent, order) or order.status not in FINAL_STATUSES)
