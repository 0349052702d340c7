"""Make and deliver messages about orders that ended, if `fills` of alerts.toml is "each"."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from psycopg import Connection
from psycopg.rows import DictRow

from config.schema.fields import plain
from pipeline.model.reasons import sentence
from pipeline.model.states import State
from pipeline.model.texts import printable
from pipeline.monitoring.alerts.delivery import MessageDelivery
from pipeline.monitoring.alerts.messages import Message
from pipeline.store.query import execute, fetch_all, fetch_maybe
from pipeline.store.statements import sql

# The most orders that one message lists; it gives only the number of the others.
_LISTED = 50
_MOST = 2000
_LONGEST_TITLE = 120


@dataclass(frozen=True, kw_only=True)
class EndedOrder:
    """An order that ended at the broker, as its event describes it."""

    event_id: int
    at: datetime
    data: Mapping[str, Any]

    @property
    def line(self) -> str:
        """Return the outcome of the order as a line of text for a person."""
        data = self.data
        quantity = Decimal(data["filled_quantity"] or 0)
        price = data["filled_average_price"]
        filled = (
            f"{plain(quantity)}{'' if price is None else f' at {plain(Decimal(price))}'}" if quantity else "nothing"
        )
        state = data["state"]
        outcome = f"filled, {filled}" if state == State.FILLED else f"{state}, {filled} filled"
        reason = f": {sentence(data['reason_code'], data['reason_facts'])}" if data["reason_code"] else ""
        return printable(f"{data['executor_id']} ({data['mode']}): {data['action']} {data['symbol']} {outcome}{reason}")


@dataclass(frozen=True, kw_only=True)
class _UntoldOrder(EndedOrder):
    now: datetime
    last_message_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class _Untold:
    told: int
    published: int


class OrderDelivery(MessageDelivery):
    """Makes and delivers the messages about ended orders: each order is in one message."""

    about = "orders"

    def _make(self, connection: Connection[DictRow], message_id: UUID) -> None:
        # The row stays locked, so another process cannot make a message of the same orders.
        untold = fetch_maybe(connection, _Untold, sql("events", "lock_untold"))
        if untold is None:
            return
        values = {"after": untold.told, "through": untold.published, "limit": _MOST}
        orders = fetch_all(connection, _UntoldOrder, sql("events", "untold_orders"), values)
        if orders:
            if not self._is_due(orders[0].at, now=orders[0].now, last=orders[0].last_message_at):
                return
            self._insert(connection, message_id, compose_orders(orders))
        through = orders[-1].event_id if len(orders) == _MOST else untold.published
        execute(connection, sql("events", "told"), {"through": through})


def compose_orders(orders: Sequence[EndedOrder]) -> Message:
    """Return the message about at least one order that ended."""
    lines = [f"- {order.line} ({order.at:%Y-%m-%d %H:%M:%S} UTC)" for order in orders[:_LISTED]]
    if len(orders) > _LISTED:
        lines.append(f"- and {len(orders) - _LISTED} more: tradewire executions")
    text = f"tradewire: {orders[0].line}" if len(orders) == 1 else f"tradewire: {len(orders)} orders ended"
    title = text if len(text) <= _LONGEST_TITLE else f"{text[: _LONGEST_TITLE - 1]}…"
    rejected = any(order.data["state"] == State.REJECTED for order in orders)
    # Channels show `over` as good news.
    return Message(title=title, body="\n".join(lines), severity="warning" if rejected else "over")
