"""Make and deliver messages about orders that ended, as `fills` of alerts.toml says: "each", or those of a "day"."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import takewhile
from typing import Any
from uuid import UUID

from psycopg import Connection
from psycopg.rows import DictRow

from config.schema.fields import plain
from config.schema.sections import HoursSettings
from pipeline.model.reasons import sentence
from pipeline.model.states import State
from pipeline.model.texts import printable
from pipeline.model.trading_day import trading_day
from pipeline.monitoring.alerts.delivery import MessageDelivery
from pipeline.monitoring.alerts.messages import Message
from pipeline.store.query import execute, fetch_all, fetch_maybe
from pipeline.store.statements import sql

# The most orders that one message lists; it gives only the number of the others.
_LISTED = 50
_MOST = 2000
_LONGEST_TITLE = 120
# Orders that ended longer ago are in no message. A day's message comes when the day is over, which takes up to a day.
_EACH_WITHIN = timedelta(days=1)
_DAY_WITHIN = timedelta(days=2)


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
class _UnreportedOrder(EndedOrder):
    now: datetime
    last_message_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class _Unreported:
    told: int
    published: int


@dataclass(frozen=True, kw_only=True)
class OrderDelivery(MessageDelivery):
    """Makes and delivers the messages about ended orders: each order is in one message."""

    about = "orders"
    #: The hours of each executor, which say when its day is over.
    hours: Mapping[str, HoursSettings] = field(default_factory=dict)

    def _make(self, connection: Connection[DictRow], message_id: UUID) -> None:
        # The row stays locked, so another process cannot make a message of the same orders.
        unreported = fetch_maybe(connection, _Unreported, sql("events", "lock_unreported"))
        if unreported is None:
            return
        by_day = self.alerts.settings.fills == "day"
        within = _DAY_WITHIN if by_day else _EACH_WITHIN
        values = {"after": unreported.told, "through": unreported.published, "limit": _MOST, "within": within}
        if by_day and not self._is_over_for_first(connection, values):
            return
        ended = fetch_all(connection, _UnreportedOrder, sql("events", "unreported_orders"), values)
        orders = list(takewhile(self._is_over, ended)) if by_day else ended
        if ended:
            if not orders or not self._is_due(orders[0].at, now=orders[0].now, last=orders[0].last_message_at):
                return
            days = {self._day(order, order.at) for order in orders}
            self._insert(connection, message_id, compose_days(orders, days) if by_day else compose_orders(orders))
        is_all = len(orders) == len(ended) < _MOST
        execute(
            connection,
            sql("events", "mark_reported"),
            {"through": unreported.published if is_all else orders[-1].event_id},
        )

    def _is_over_for_first(self, connection: Connection[DictRow], values: Mapping[str, Any]) -> bool:
        """Return whether the oldest order's day is over. Until then, the others of the day are not read each second."""
        first = fetch_all(connection, _UnreportedOrder, sql("events", "unreported_orders"), {**values, "limit": 1})
        return all(map(self._is_over, first))

    def _is_over(self, order: _UnreportedOrder) -> bool:
        """Return whether the day of the account in which the order ended is over."""
        return self._day(order, order.at) < self._day(order, order.now)

    def _day(self, order: EndedOrder, at: datetime) -> date:
        hours = self.hours.get(order.data["executor_id"], HoursSettings())
        return trading_day(at, hours.time_zone, hours.day_starts_at).date


def compose_orders(orders: Sequence[EndedOrder]) -> Message:
    """Return the message about at least one order that ended."""
    text = f"tradewire: {orders[0].line}" if len(orders) == 1 else f"tradewire: {len(orders)} orders ended"
    title = text if len(text) <= _LONGEST_TITLE else f"{text[: _LONGEST_TITLE - 1]}…"
    return _message(title, _lines(orders), orders)


def compose_days(orders: Sequence[EndedOrder], days: Collection[date]) -> Message:
    """Return the message about the orders that ended on *days*: how many of each account, and each of them."""
    counts = Counter((order.data["executor_id"], order.data["mode"], order.data["state"]) for order in orders)
    accounts = {(executor_id, mode): list[str]() for executor_id, mode, _ in sorted(counts)}
    for (executor_id, mode, state), count in sorted(counts.items()):
        accounts[executor_id, mode].append(f"{count} {state}")
    sums = [f"{executor_id} ({mode}): {', '.join(states)}" for (executor_id, mode), states in accounts.items()]
    number = "1 order" if len(orders) == 1 else f"{len(orders)} orders"
    when = f"on {min(days)}" if len(days) == 1 else f"from {min(days)} to {max(days)}"
    return _message(f"tradewire: {number} ended {when}", [*sums, *_lines(orders)], orders)


def _lines(orders: Sequence[EndedOrder]) -> list[str]:
    lines = [f"- {order.line} ({order.at:%Y-%m-%d %H:%M:%S} UTC)" for order in orders[:_LISTED]]
    return lines if len(orders) <= _LISTED else [*lines, f"- and {len(orders) - _LISTED} more: tradewire executions"]


def _message(title: str, lines: Sequence[str], orders: Sequence[EndedOrder]) -> Message:
    rejected = any(order.data["state"] == State.REJECTED for order in orders)
    # Channels show `over` as good news.
    return Message(title=title, body="\n".join(lines), severity="warning" if rejected else "over")
