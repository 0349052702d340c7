"""Cancel one of tradewire's orders at a person's request. The request is recorded here, and the keeper sends it."""

import threading
import time
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

import structlog
from psycopg import Connection
from psycopg.rows import DictRow

from config.schema.fields import plain
from pipeline.accounts.switches import flatten_requests
from pipeline.model.errors import NotPossible
from pipeline.model.reasons import Code, storable
from pipeline.model.sources import OWN
from pipeline.model.states import State
from pipeline.store.query import execute, fetch_all
from pipeline.store.record import Record
from pipeline.store.rows import Role
from pipeline.store.statements import sql

log = structlog.get_logger(__name__)

_READ_EVERY_S = 0.1


@dataclass(frozen=True, kw_only=True)
class NamedOrder:
    """An execution that a person named, and its order. Without an order, the fields from *generation* on are None."""

    execution_id: UUID
    executor_id: str
    symbol: str
    state: State
    source: str
    generation: int | None
    role: Role | None
    side: str | None
    order_id: str | None
    client_order_id: str | None
    quantity: Decimal | None
    filled_quantity: Decimal | None
    filled_average_price: Decimal | None
    order_status: str | None
    ended_at: datetime | None
    cancel_requested_at: datetime | None
    cancel_requested_by: str | None
    cancel_requested_why: str | None

    def __str__(self) -> str:
        quantity = "" if self.quantity is None else f" {plain(self.quantity)}"
        return f"{self.side}{quantity} {self.symbol} at {self.executor_id} (order {self.order_id})"

    @property
    def why_it_is_needed(self) -> str | None:
        """Return what a cancel of an exit or a stop order leaves behind; None: it needs no reason."""
        if self.ended_at is not None:
            return None
        if self.role is Role.EXIT:
            return "is an exit, and without it the position stays open"
        return "is a stop order, and without it the position has no stop" if self.role is Role.PROTECTION else None

    @property
    def progress(self) -> str:
        """Return how much is filled, as in `4 of 10 filled at 101.5`."""
        price = "" if self.filled_average_price is None else f" at {plain(self.filled_average_price)}"
        return f"{plain(self.filled_quantity or Decimal(0))} of {plain(self.quantity or Decimal(0))} filled{price}"


def orders_named(record: Record, text: str) -> list[NamedOrder]:
    """Return the orders that *text* names: by the broker's id, by our `client_order_id`, or by the execution's id.

    An id of an execution without an order returns the execution alone.

    Raises:
        RecordUnavailable: PostgreSQL is away.
    """
    return record.run(lambda connection: _named(connection, text))


def not_one(text: str, found: list[NamedOrder]) -> str:
    """Return the sentence for a *text* that names no order, or several."""
    if not found:
        return f"there is no order and no execution {storable(text)!r}; `tradewire orders list` lists the open orders"
    named = ", ".join(f"{each.client_order_id} at {each.executor_id}" for each in found)
    return f"{storable(text)!r} names several orders: name one by its client_order_id: {named}"


def request_cancel(record: Record, order: NamedOrder, *, by: str, why: str | None) -> NamedOrder:
    """Record the request to cancel *order*. An earlier request stays, so that a second one changes nothing.

    Raises:
        NotPossible: there is nothing to cancel, or a flatten would send the exit again; the message says what to do.
        RecordUnavailable: PostgreSQL is away.
    """
    values = {
        "execution_id": order.execution_id,
        "generation": order.generation,
        "by": storable(by),
        "why": None if why is None else storable(why),
        "reason_code": Code.CANCELED_BY_PERSON,
    }

    if order.why_it_is_needed and not (why or "").strip():
        raise NotPossible(f"{order} {order.why_it_is_needed}: say why it is canceled")

    def unit(connection: Connection[DictRow]) -> NamedOrder:
        _refuse_repeated(connection, order)
        recorded = order.generation is not None and execute(connection, sql("orders_by_hand", "request_cancel"), values)
        now = _again(connection, order)
        if not recorded:
            raise NotPossible(_refusal(now))
        return now

    requested = record.run(unit)
    facts = {"execution_id": str(order.execution_id), "order_id": order.order_id}
    log.info("order.cancel_requested", **facts, by=requested.cancel_requested_by)
    return requested


def wait_for_end(record: Record, order: NamedOrder, *, wait_s: float) -> NamedOrder:
    """Wait until the end of *order* is recorded, for *wait_s* seconds at most, and return it as it is then.

    Raises:
        RecordUnavailable: PostgreSQL is away.
    """
    deadline = time.monotonic() + wait_s
    while True:
        now = record.run(lambda connection: _again(connection, order))
        if now.ended_at is not None or time.monotonic() >= deadline:
            return now
        threading.Event().wait(_READ_EVERY_S)


def _named(connection: Connection[DictRow], text: str) -> list[NamedOrder]:
    try:
        execution_id = UUID(text)
    except ValueError:
        execution_id = None
    values = {"text": storable(text), "execution_id": execution_id}
    return fetch_all(connection, NamedOrder, sql("orders_by_hand", "named"), values)


def _again(connection: Connection[DictRow], order: NamedOrder) -> NamedOrder:
    found = _named(connection, order.client_order_id or str(order.execution_id))
    return next(each for each in found if each.execution_id == order.execution_id)


def _refuse_repeated(connection: Connection[DictRow], order: NamedOrder) -> None:
    """Refuse to cancel an exit that the keeper would send again."""
    if order.role is not Role.EXIT or order.ended_at is not None:
        return
    if order.source == f"{OWN}flat_by":
        raise NotPossible("the position is closed for `firm.flat_before_close_s`, which would send the exit again")
    if order.source == f"{OWN}flatten" and flatten_requests(connection, order.executor_id):
        resume = f"`tradewire resume {order.executor_id}`"
        raise NotPossible(f"a flatten closes the account, and would send the exit again: {resume} ends the flatten")


def _refusal(order: NamedOrder) -> str:
    """Return why the order cannot be canceled, and what to do instead."""
    which = f"execution {order.execution_id}"
    if order.ended_at is not None and order.order_id is not None:
        return f"order {order.order_id} has ended already: {order.order_status or order.state.value}, {order.progress}"
    match order.state:
        case State.DEAD:
            return f"{which} is a dead letter: see `tradewire dead show {order.execution_id}`"
        case State.QUEUED | State.HELD if order.order_id is None and order.generation is None:
            return f"{which} is {order.state} and has no order: `tradewire end {order.execution_id} --why TEXT` ends it"
        case State.QUEUED | State.HELD | State.SUBMITTING | State.UNKNOWN:
            return f"{which} is {order.state}: try again when `tradewire why {order.execution_id}` shows its order"
        case _:
            return f"{which} has ended already: {order.state}"
