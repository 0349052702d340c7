"""Flatten an account directly at its broker, without the record, the queue and the keeper."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from uuid import uuid4

from pipeline.accounts.exposure import position_value
from pipeline.model.account import Position
from pipeline.model.errors import BrokerUnavailable, BrokerUnreadable
from pipeline.model.orders import BrokerOrder, OrderRequest, OrderSide, client_order_id, position_intent
from pipeline.model.symbols import AssetClass, asset_class
from workers.brokers.protocol import Absent, Accepted, Broker, Found, NotSent, Outcome, Rejected, UnreadableRow
from workers.execution.broker_orders import FINAL_STATUSES
from workers.execution.repeated_cancels import RepeatedCancels
from workers.flatten.journal import JournaledOrder
from workers.flatten.optional_journal import OptionalJournal
from workers.rules.orders import reduces_position
from workers.rules.retry_policy import may_send_again

_STEP_EVERY_S = 0.5
# The pause in a symbol after its order has ended or was refused. The broker may show a fill in its positions later
# than in its orders, and a quantity that was just sold must not be sold again.
_AGAIN_AFTER_S = 2.0
_CLOCK_EVERY_S = 5.0


@dataclass(kw_only=True)
class UnderWay:
    """An order of ours that may still fill."""

    sent: JournaledOrder
    absences: int = 0


@dataclass(kw_only=True)
class DirectFlatten:
    """Cancels orders and closes positions until the broker shows neither. A symbol has at most one order of ours."""

    broker: Broker
    journal: OptionalJournal
    #: Called with each line that a person should read.
    say: Callable[[str], None]
    #: Called to record an order after its answer, unless the order did not reach the broker.
    on_answer: Callable[[JournaledOrder], None]
    #: The quantities that are held, by symbol, as last read; None before the first reading.
    left: dict[str, Decimal] | None = None
    _under_way: dict[str, UnderWay] = field(default_factory=dict)
    _not_before: dict[str, float] = field(default_factory=dict)
    _unsent: dict[str, JournaledOrder] = field(default_factory=dict)
    _last_error: str = ""
    _unreadable: frozenset[str] = frozenset()
    _said: set[str] = field(default_factory=set)
    #: As last read. True is assumed until the clock can be read: if the market is closed, a close waits at the broker.
    _is_open: bool = True
    _clock_due: float = 0.0

    def __post_init__(self) -> None:
        self._cancels = RepeatedCancels(on_failure=self._say_not_canceled)

    def run(self, *, wait_s: float) -> bool:
        """Cancel and close until the account is flat, for *wait_s* seconds at most; return whether it is flat.

        Raises:
            BrokerRefusesAccount: the broker refuses the keys or the account.
        """
        deadline = time.monotonic() + wait_s
        flat = False
        if self._market_is_open():
            self._cancel_all()
        while not flat:
            try:
                flat = self._step()
            except (BrokerUnavailable, BrokerUnreadable) as error:
                self._say_error(f"the broker cannot be reached, trying again: {error}")
            if time.monotonic() >= deadline:
                break
            time.sleep(0 if flat else _STEP_EVERY_S)
        self.journal.write("ended", flat=flat, left=self.left)
        return flat

    def _cancel_all(self) -> None:
        """Cancel all orders in one request. A failure does no harm: each step cancels the orders that are left."""
        try:
            self.say(f"canceling every open order: {self.broker.cancel_all()} requested")
        except (BrokerUnavailable, BrokerUnreadable) as error:
            self._say_error(f"canceling the orders one by one: {error}")

    def _step(self) -> bool:
        """Cancel orders that are not ours, follow ours, and close positions; return whether the account is flat."""
        orders, unreadable = self._list_orders()
        odd: list[UnreadableRow] = []
        try:
            positions = [each for each in self.broker.positions(on_unreadable=odd.append) if each.quantity]
        except (BrokerUnavailable, BrokerUnreadable):
            self._cancel_others(orders, unreadable, None)
            raise
        self._cancel_others(orders, unreadable, None if odd else {each.symbol: each.quantity for each in positions})
        self._follow_orders()
        self._say_left({each.symbol: each.quantity for each in positions})
        self._say_unreadable(odd)
        busy = {order.symbol for order in orders} | self._under_way.keys()
        for position in positions:
            if position.symbol not in busy and time.monotonic() >= self._not_before.get(position.symbol, 0.0):
                self._close(position)
        return not (positions or odd or orders or unreadable or self._under_way)

    def _cancel_others(
        self, orders: Sequence[BrokerOrder], unreadable: Sequence[UnreadableRow], held: Mapping[str, Decimal] | None
    ) -> None:
        """Cancel orders that are not ours, but keep one that reduces a position until a close can fill at once.

        *held* are the quantities by symbol. None: not all positions are known, so only stops count as reducing.
        """
        ours = {each.sent.request.client_order_id for each in self._under_way.values()}
        others = [order for order in orders if order.client_order_id not in ours]
        kept = [order for order in others if reduces_position(order, held) and not self._can_fill_now(order.symbol)]
        for order in kept:
            self._say_once(f"{order.symbol}: while the market is closed, this order stays: {order}")
        ids = [order.order_id for order in others if order not in kept]
        self._cancels.ask(self.broker, [*ids, *(row.order_id for row in unreadable if row.order_id is not None)])

    def _can_fill_now(self, symbol: str) -> bool:
        return asset_class(symbol) is AssetClass.CRYPTO or self._market_is_open()

    def _market_is_open(self) -> bool:
        """Return whether the market was open at the last reading of the clock, which is read at most every 5 s."""
        now = time.monotonic()
        if now >= self._clock_due:
            try:
                self._is_open = self.broker.clock().is_open
            except (BrokerUnavailable, BrokerUnreadable) as error:
                self._say_error(f"the market's hours cannot be read: {error}")
            self._clock_due = now + _CLOCK_EVERY_S
        return self._is_open

    def _list_orders(self) -> tuple[Sequence[BrokerOrder], list[UnreadableRow]]:
        unreadable: list[UnreadableRow] = []
        return self.broker.orders(status="open", on_unreadable=unreadable.append), unreadable

    def _follow_orders(self) -> None:
        """Look up each of our orders. Forget one that has ended; send one that stays absent again under the same id."""
        for symbol, order in list(self._under_way.items()):
            lookup = self.broker.find(order.sent.request.client_order_id)
            if isinstance(lookup, Found):
                order.absences = 0
                if lookup.order.status in FINAL_STATUSES:
                    self.say(f"{symbol}: {lookup.order.raw_status}, {lookup.order.filled_quantity} filled")
                    self._end(symbol)
            elif isinstance(lookup, Absent):
                order.absences += 1
                if may_send_again(absences=order.absences, since_sent=datetime.now(UTC) - order.sent.sent_at):
                    self._send(order.sent)

    def _close(self, position: Position) -> None:
        """Send an order that closes *position*.

        If the last order did not reach the broker and still fits, send the same order again, under the same id.
        """
        side = OrderSide.SELL if position.quantity > 0 else OrderSide.BUY
        unsent = self._unsent.pop(position.symbol, None)
        if unsent is not None and (unsent.request.side, unsent.request.quantity) == (side, abs(position.quantity)):
            self._send(unsent)
        else:
            self._send(closing_order(position, side))

    def _send(self, sent: JournaledOrder) -> None:
        """Write the order to the journal, then send it, so that it is in the journal after a crash, too."""
        self.journal.write(
            "order",
            execution_id=sent.execution_id,
            request=sent.request.to_json(),
            reference_price=sent.reference_price,
        )
        sent.sent_at = datetime.now(UTC)
        symbol = sent.request.symbol
        self._under_way[symbol] = UnderWay(sent=sent)
        outcome = self.broker.submit(sent.request)
        self._write_answer(sent, outcome)
        if isinstance(outcome, Rejected | NotSent):
            self._end(symbol)
        if isinstance(outcome, NotSent):
            self._unsent[symbol] = sent
        else:
            self.on_answer(sent)

    def _write_answer(self, sent: JournaledOrder, outcome: Outcome) -> None:
        sent.outcome, sent.message = type(outcome).__name__.lower(), getattr(outcome, "message", "")
        sent.order_id = outcome.order.order_id if isinstance(outcome, Accepted) else None
        sent.request_id = outcome.request_id
        facts = {"outcome": sent.outcome, "message": sent.message[:500], "order_id": sent.order_id}
        facts["request_id"] = sent.request_id
        self.journal.write("answer", execution_id=sent.execution_id, **facts)
        request, answer = sent.request, f"{sent.outcome} {sent.message[:200]}".rstrip()
        self.say(f"{request.symbol}: {request.side.value} {request.quantity}: {answer}")

    def _end(self, symbol: str) -> None:
        """Forget the symbol's order, and pause before the next one."""
        self._under_way.pop(symbol)
        self._not_before[symbol] = time.monotonic() + _AGAIN_AFTER_S

    def _say_left(self, left: dict[str, Decimal]) -> None:
        if left != self.left:
            held = ", ".join(f"{symbol} {quantity}" for symbol, quantity in left.items())
            self.say(f"held: {held or 'nothing'}")
        self.left, self._last_error = left, ""

    def _say_unreadable(self, rows: Sequence[UnreadableRow]) -> None:
        names = frozenset(row.row_id for row in rows)
        for name in sorted(names - self._unreadable):
            self.say(f"{name}: this position cannot be read; close it at the broker")
        self._unreadable = names

    def _say_not_canceled(self, order_id: str, error: Exception) -> None:
        self._say_error(f"the order {order_id} could not be canceled: {error}")

    def _say_once(self, line: str) -> None:
        if line not in self._said:
            self._said.add(line)
            self.say(line)

    def _say_error(self, error: str) -> None:
        if error != self._last_error:
            self.say(error)
        self._last_error = error


def closing_order(position: Position, side: OrderSide) -> JournaledOrder:
    """Return a market order that closes *position*."""
    execution_id = uuid4()
    request = OrderRequest(
        client_order_id=client_order_id(execution_id, 1),
        symbol=position.symbol,
        side=side,
        quantity=abs(position.quantity),
        type="market",
        time_in_force="gtc" if asset_class(position.symbol) is AssetClass.CRYPTO else "day",
        position_intent=position_intent(position.symbol, side, closes=True),
    )
    # The value of one unit in dollars; 1 if it is not known. It is not always the price: an option contract is worth a
    # multiple of its price, and some pairs are priced in a coin.
    value = position_value(position) / abs(position.quantity) or Decimal(1)
    return JournaledOrder(
        execution_id=execution_id, request=request, reference_price=format(value, "f"), sent_at=datetime.now(UTC)
    )
