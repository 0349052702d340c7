"""The simulated broker of the model test. Its book is the truth; the model chooses the outcome of each request."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import count

from pipeline.model.account import Account, Asset, Clock, MarketSession, Position, Quote, Transfer
from pipeline.model.errors import BrokerRefusesAccount, BrokerUnavailable, BrokerUnreadable
from pipeline.model.fills import FillReport
from pipeline.model.orders import BrokerOrder, OrderRequest, OrderSide, OrderStatus
from tests.integration.execution.model_stage import AFTER_READ, ON_THE_WIRE, ModelClock, stop
from workers.brokers.protocol import (
    Absent,
    Accepted,
    CancelAnswer,
    Duplicate,
    Found,
    Lookup,
    More,
    NoAnswer,
    NotSent,
    NotSentCause,
    OnUnreadable,
    Outcome,
    Rejected,
    Unknown,
)

#: The possible outcomes of a request. A delayed request arrives or is lost within LONGEST_WAY_S.
WORDS = (
    "accept",
    "accept and fill",
    "accept and fill a part",
    "accept and lose the answer",
    "accept and answer garbage",
    "accept and break the client",
    "lose before",
    "delay",
    "reject",
    "say duplicate",
    "429",
    "unreachable",
    "refuse the account",
)
#: The outcomes of a request that is lost on its way to the broker.
LOST = ("lose before", "unreachable")
LONGEST_WAY_S = 30.0
#: Reads show an order at most this long after its arrival.
LONGEST_LAG_S = 1.2

_OVER = (OrderStatus.FILLED, OrderStatus.CANCELED, OrderStatus.EXPIRED, OrderStatus.REJECTED)


@dataclass(kw_only=True)
class Held:
    """One order in the book."""

    request: OrderRequest
    order_id: str
    arrived_at: float
    seen_from: float
    status: OrderStatus = OrderStatus.WORKING
    filled: Decimal = Decimal(0)
    late: bool = False

    @property
    def works(self) -> bool:
        return self.status not in _OVER

    @property
    def trades(self) -> bool:
        """Whether the order is open or has a fill."""
        return self.works or self.filled > 0

    @property
    def rest(self) -> Decimal:
        return self.request.quantity - self.filled


@dataclass(frozen=True, kw_only=True)
class OnTheWay:
    """A request that may still arrive after its sender has given up."""

    request: OrderRequest
    sent_at: float


class ModelBroker:
    """One account. It accepts a client order id only once, accepts a sale of more than the position, and reads lag."""

    def __init__(self, clock: ModelClock, *, held: dict[str, Decimal]) -> None:
        self.book: dict[str, Held] = {}
        self.on_the_way: list[OnTheWay] = []
        self.positions_held = dict(held)
        #: The outcome of reads: `fine`, `away`, `unreadable` or `refuses`.
        self.weather = "fine"
        self.lag_s = 0.0
        #: The hooks that are called before a request leaves, and after it arrived.
        self.on_send: Callable[[OrderRequest], None] = lambda _request: None
        self.on_arrival: Callable[[Held], None] = lambda _held: None
        self._clock = clock
        self._numbers = count(1)

    # Changes at the broker.

    def arrive(self, request: OrderRequest) -> Held | None:
        """Add an order to the book; return None if its client order id is already used."""
        if request.client_order_id in self.book:
            return None
        now = self._clock.monotonic()
        order_id = f"order-{next(self._numbers)}"
        held = Held(request=request, order_id=order_id, arrived_at=now, seen_from=now + self.lag_s)
        self.book[request.client_order_id] = held
        self.on_arrival(held)
        return held

    def fill(self, held: Held, quantity: Decimal) -> None:
        sign = 1 if held.request.side is OrderSide.BUY else -1
        symbol = held.request.symbol
        self.positions_held[symbol] = self.positions_held.get(symbol, Decimal(0)) + sign * quantity
        held.filled += quantity
        held.status = OrderStatus.PARTIALLY_FILLED if held.rest else OrderStatus.FILLED

    def selling(self, symbol: str) -> Decimal:
        """Return how much of *symbol* the working orders may still sell."""
        orders = [held for held in self.book.values() if held.request.symbol == symbol and held.works]
        return sum((held.rest for held in orders if held.request.side is OrderSide.SELL), Decimal(0))

    # The methods of the broker protocol.

    def submit(self, request: OrderRequest) -> Outcome:  # noqa: PLR0911 -- a line per word of the script
        self.on_send(request)
        sent_at = self._clock.monotonic()
        word = stop(ON_THE_WIRE)
        if word not in LOST and self._clock.monotonic() - sent_at > LONGEST_WAY_S:
            word = "lose before"
        match word:
            case "lose before":
                return Unknown(message="timeout")
            case "delay":
                self.on_the_way.append(OnTheWay(request=request, sent_at=sent_at))
                return Unknown(message="timeout")
            case "reject":
                return Rejected(status=403, message="insufficient buying power")
            case "say duplicate":
                return Duplicate(message="client_order_id must be unique")
            case "429":
                return NotSent(cause=NotSentCause.RATE_LIMITED, message="too many requests", retry_after_s=2)
            case "unreachable":
                return NotSent(cause=NotSentCause.UNREACHABLE, message="connection refused")
            case "refuse the account":
                return NotSent(cause=NotSentCause.ACCOUNT_REFUSED, message="unauthorized")
        return self._accept(request, word)

    def _accept(self, request: OrderRequest, word: str) -> Outcome:
        held = self.arrive(request)
        if held is not None and word == "accept and fill":
            self.fill(held, held.rest)
        if held is not None and word == "accept and fill a part" and held.rest > 1:
            self.fill(held, Decimal(1))
        if word == "accept and lose the answer":
            return Unknown(message="reset")
        if word == "accept and answer garbage":
            return Unknown(message="200, and no JSON")
        if word == "accept and break the client":
            raise RuntimeError("the client fell over the answer")
        if held is None:
            return Duplicate(message="client_order_id must be unique")
        return Accepted(order=self._shown(held))

    def find(self, client_order_id: str) -> Lookup:
        match self.weather:
            case "away":
                return NoAnswer(message="504", cause=NotSentCause.UNREACHABLE)
            case "unreadable":
                return NoAnswer(message="200, and no JSON")
            case "refuses":
                return NoAnswer(message="unauthorized", cause=NotSentCause.ACCOUNT_REFUSED)
        held = self.book.get(client_order_id)
        return Found(order=self._shown(held)) if held is not None and self._seen(held) else Absent()

    def find_in_list(self, client_order_id: str, *, since: datetime, more: More | None = None) -> Lookup:  # noqa: ARG002 - one page
        lookup = self.find(client_order_id)
        if isinstance(lookup, Found) and lookup.order.created_at is not None and lookup.order.created_at < since:
            return Absent()
        return lookup

    def order(self, order_id: str) -> BrokerOrder | None:
        self._answer()
        return next((self._shown(held) for held in self._visible() if held.order_id == order_id), None)

    def orders(
        self,
        *,
        status: str,
        since: datetime | None = None,
        more: More | None = None,  # noqa: ARG002 - one page
        on_unreadable: OnUnreadable | None = None,  # noqa: ARG002 - all can be read
    ) -> Sequence[BrokerOrder]:
        self._answer()
        wanted = {"all": (True, False), "open": (True,), "closed": (False,)}[status]
        shown = [self._shown(held) for held in self._visible() if held.works in wanted]
        return [order for order in shown if since is None or (order.created_at and order.created_at >= since)]

    def cancel(self, order_id: str) -> CancelAnswer:
        self._answer()
        for held in self.book.values():
            if held.order_id == order_id and held.works:
                held.status = OrderStatus.CANCELED
                return CancelAnswer(accepted=True)
        return CancelAnswer(accepted=False)

    def cancel_all(self) -> int:
        return sum(bool(self.cancel(held.order_id)) for held in list(self.book.values()))

    def account(self) -> Account:
        self._answer()
        money = Decimal(1_000_000)
        return Account(
            number="PA1",
            currency="USD",
            equity=money,
            last_equity=money,
            cash=money,
            buying_power=money,
            non_marginable_buying_power=money,
            blocked=False,
            shorting_enabled=True,
            raw={},
        )

    def positions(self, *, on_unreadable: OnUnreadable | None = None) -> Sequence[Position]:  # noqa: ARG002
        self._answer()
        return [position for symbol in self.positions_held if (position := self._position(symbol)) is not None]

    def position(self, symbol: str) -> Position | None:
        self._answer()
        position = self._position(symbol)
        stop(AFTER_READ)
        return position

    def _position(self, symbol: str) -> Position | None:
        held = self.positions_held.get(symbol)
        if not held:
            return None
        price = Decimal(100)
        return Position(symbol=symbol, quantity=held, available=held, average_entry_price=price, current_price=price)

    def asset(self, symbol: str) -> Asset | None:
        self._answer()
        return Asset(symbol=symbol, asset_class="us_equity", tradable=True, fractionable=False, shortable=True)

    def clock(self) -> Clock:
        now = datetime.now(UTC)
        return Clock(timestamp=now, is_open=True, next_open=now, next_close=now + timedelta(hours=1))

    def calendar(self, first: date, last: date) -> Sequence[MarketSession]:
        days = (first + timedelta(days=number) for number in range((last - first).days + 1))
        opens = [datetime(day.year, day.month, day.day, tzinfo=UTC) for day in days]
        return [MarketSession(date=each.date(), opens=each, closes=each + timedelta(hours=24)) for each in opens]

    def transfers(self, since: datetime) -> Sequence[Transfer]:  # noqa: ARG002 - nothing is ever moved
        return []

    def fills(self, since: datetime, *, more: More | None = None) -> Sequence[FillReport]:  # noqa: ARG002 - none
        return []

    def price(self, symbol: str) -> Decimal | None:  # noqa: ARG002 - all trade at one price
        return Decimal(100)

    def quote(self, symbol: str) -> Quote | None:  # noqa: ARG002 - the same
        return Quote(bid=Decimal(100), ask=Decimal(100), at=datetime.now(UTC))

    def close(self) -> None:
        """Do nothing, because there is no connection."""

    def _answer(self) -> None:
        match self.weather:
            case "away":
                raise BrokerUnavailable("504")
            case "unreadable":
                raise BrokerUnreadable("200, and no JSON")
            case "refuses":
                raise BrokerRefusesAccount("unauthorized")

    def _seen(self, held: Held) -> bool:
        return held.seen_from <= self._clock.monotonic()

    def _visible(self) -> list[Held]:
        return [held for held in self.book.values() if self._seen(held)]

    def _shown(self, held: Held) -> BrokerOrder:
        return BrokerOrder(
            order_id=held.order_id,
            client_order_id=held.request.client_order_id,
            symbol=held.request.symbol,
            side=held.request.side,
            quantity=held.request.quantity,
            filled_quantity=held.filled,
            filled_average_price=Decimal(100) if held.filled else None,
            status=held.status,
            raw_status=held.status.value,
            # A jump of the model's clock moves all times in the record back, so this one must move too.
            created_at=datetime.now(UTC) - timedelta(seconds=self._clock.monotonic() - held.arrived_at),
        )
