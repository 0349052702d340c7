"""Decide whether an update of the stream can be applied. Pure.

The stream is a hint, and the poll is the truth. An update is applied only if a poll would have the same result without
reading anything else.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from pipeline.model.orders import OrderStatus
from pipeline.model.reasons import Code
from pipeline.model.states import UNDECIDED, State
from pipeline.store.rows import OrderRow
from workers.brokers.alpaca.stream_frames import OrderUpdate
from workers.execution.broker_orders import FINAL_STATUSES

# States in which tradewire or a person ended the execution, whatever happens to the order at the broker.
_GIVEN_UP: Final = frozenset({State.SKIPPED, State.DEAD, State.DISCARDED})


@dataclass(frozen=True, kw_only=True)
class KnownOrder(OrderRow):
    """An order of the record, and its execution's state."""

    state: State
    reason_code: str | None
    current_generation: int
    #: None: no fill of the order was taken back or corrected.
    busted_quantity: Decimal | None = None


@dataclass(frozen=True, kw_only=True)
class Apply:
    """The update is newer than the record."""

    #: True if the order filled by more than this update's trade, so that an earlier trade was missed.
    fill_missed: bool


@dataclass(frozen=True)
class FillOnly:
    """The order's state is not newer than the record, or only a poll can tell. Its trade may still be unknown."""

    #: Why a poll has to tell the order's state; None: the record has it.
    poll: str | None = None


@dataclass(frozen=True)
class TooEarly:
    """The sender has not recorded the broker's answer yet, and will within milliseconds."""


@dataclass(frozen=True, kw_only=True)
class Poll:
    """Only a poll can settle the order."""

    why: str


@dataclass(frozen=True)
class NotOurs:
    """Another executor has sent the order."""


Verdict = Apply | FillOnly | TooEarly | Poll | NotOurs


def verdict_of(known: KnownOrder | None, update: OrderUpdate, *, executor_id: str) -> Verdict:
    """Return what to do with *update* of an order that the record has as *known*."""
    if known is None:
        return Poll(why="the record does not know the order")
    if known.executor_id != executor_id:
        return NotOurs()
    if why := _not_ordinary(known, update):
        return Poll(why=why)
    if known.state in UNDECIDED:
        return TooEarly()
    return _by_figures(known, update)


def _not_ordinary(known: KnownOrder, update: OrderUpdate) -> str | None:
    """Return why only a poll can settle the order; None if its state and the record's are ordinary."""
    replaced = known.replacement_quantity is not None
    another = known.order_id not in (None, update.order.order_id)
    late = known.state in _GIVEN_UP or known.reason_code == Code.LATE_ORDER
    unexpected = known.order_id is None and known.state not in UNDECIDED
    ended = known.ended_at is not None and known.state not in UNDECIDED | {State.REJECTED}
    exceptions = (
        (known.generation != known.current_generation, "the order is of an earlier try"),
        (replaced, "the order was replaced"),
        (another, "the record has another order under this id"),
        (late or unexpected, "the order is late"),
        (ended and update.order.status is OrderStatus.REJECTED, "the order was rejected after its end"),
    )
    return next((why for holds, why in exceptions if holds), None)


def _by_figures(known: KnownOrder, update: OrderUpdate) -> Verdict:
    """Compare the quantities and the status. Alpaca repeats events, and they may come late and in another order."""
    if known.busted_quantity is not None:
        # A repeated event shows the order with the fill, and would count it again.
        return FillOnly(poll="a fill of the order was taken back")
    order = update.order
    is_final = order.status in FINAL_STATUSES
    if order.filled_quantity < known.filled_quantity:
        return Poll(why="an end reports less than was filled") if is_final else FillOnly()
    grew = order.filled_quantity > known.filled_quantity
    if not grew and (known.ended_at is not None or order.raw_status == known.order_status):
        return FillOnly()
    heard = known.filled_quantity + (update.fill.quantity if update.fill is not None else 0)
    return Apply(fill_missed=order.filled_quantity > heard)
