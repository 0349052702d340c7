"""The protocol of a broker: the methods that workers and the keeper call, in plain values.

An adapter translates and does not decide: it returns *accepted*, *rejected*, *not sent* or *unknown*, and its callers
decide what follows. Every adapter passes ``tests/contract/test_brokers*.py`` unchanged.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

from pipeline.model.account import Account, Asset, Clock, MarketSession, Position, Quote, Transfer
from pipeline.model.orders import BrokerOrder, OrderRequest


@dataclass(frozen=True, kw_only=True)
class Answer:
    """An answer of the broker to one request, or the fault in its place."""

    #: The broker's own id of the request, which its support asks for; None when no answer came, or without an id.
    request_id: str | None = field(default=None, compare=False)


@dataclass(frozen=True, kw_only=True)
class Accepted(Answer):
    """The broker has the order."""

    order: BrokerOrder


class RefusalKind(StrEnum):
    """Why the broker refuses an order, where another order, or another form of this one, can be taken."""

    #: Open orders hold the quantity that it would close.
    HELD = "held"
    #: It could trade with an open order of the other side.
    OPPOSED = "opposed"
    #: The asset is traded in whole units only.
    NOT_FRACTIONABLE = "not_fractionable"
    #: Its cost or quantity is below the broker's least.
    TOO_SMALL = "too_small"


@dataclass(frozen=True, kw_only=True)
class Rejected(Answer):
    """The broker refused this order (HTTP 400, 403, 404 or 422 about the order itself)."""

    status: int
    message: str
    code: int | None = None
    #: None: for any other reason.
    refusal: RefusalKind | None = None
    #: The broker's ids of the orders that it names as being in the way.
    orders: tuple[str, ...] = ()


class NotSentCause(StrEnum):
    """Why an order certainly did not reach the broker's book."""

    UNREACHABLE = "unreachable"
    RATE_LIMITED = "rate_limited"
    #: The answer concerns more than this one order: the keys, the account, or every order that opens a position.
    ACCOUNT_REFUSED = "account_refused"
    #: The order would open a position instead of closing one, or the other way round: the position has changed.
    POSITION_CHANGED = "position_changed"


@dataclass(frozen=True, kw_only=True)
class NotSent(Answer):
    """The broker certainly did not take the order: no connection, a 429, or a refusal that is not the order's fault."""

    cause: NotSentCause
    message: str
    #: Seconds that the broker asks us to wait; None when it asks for none.
    retry_after_s: float | None = None


@dataclass(frozen=True, kw_only=True)
class Unknown(Answer):
    """The broker may or may not have the order: timeout, reset, 3xx, 5xx, an unreadable answer."""

    message: str


@dataclass(frozen=True, kw_only=True)
class Duplicate(Answer):
    """The broker reports that this client_order_id is taken: an earlier send has reached it."""

    message: str


Outcome = Accepted | Rejected | NotSent | Unknown | Duplicate


@dataclass(frozen=True, kw_only=True)
class Found(Answer):
    """The broker holds an order with this client_order_id."""

    order: BrokerOrder


@dataclass(frozen=True, kw_only=True)
class Absent(Answer):
    """The broker answered that it knows no such order. Reads lag, so one such answer proves nothing."""


@dataclass(frozen=True, kw_only=True)
class NoAnswer(Answer):
    """The look-up failed, so nothing is known of the order.

    *cause* is None when the broker's answer makes no sense. `UNREACHABLE` means no connection, no answer in time, or a
    5xx. `RATE_LIMITED` means a 429, or a request that was not paid for.
    """

    message: str
    cause: NotSentCause | None = None
    #: Seconds that the broker asks us to wait; None when it asks for none.
    retry_after_s: float | None = None


Lookup = Found | Absent | NoAnswer


@dataclass(frozen=True, kw_only=True)
class CancelAnswer(Answer):
    """The answer to a request for a cancel; it is true when the broker accepted the request."""

    accepted: bool

    def __bool__(self) -> bool:
        return self.accepted


@dataclass(frozen=True, kw_only=True)
class UnreadableRow:
    """A row of a list that cannot be read. It hides no other row of the list."""

    #: Its name for people: the broker's id of the order, or another name of an order or a position.
    row_id: str
    why: str
    #: The broker's id of the order. None: the row has none, or is a position.
    order_id: str | None = None
    symbol: str | None = None
    #: The broker lists such rows as a rule, such as orders of several legs, which tradewire never places.
    expected: bool = False


#: Called for each row of a list that cannot be read.
OnUnreadable = Callable[[UnreadableRow], None]

#: Called before each page of a list after the first, since each page is a request. False ends the list.
More = Callable[[], bool]


class Broker(Protocol):
    """One account at one broker. Thread-safe; one warm connection pool; no retries of its own.

    Reads raise `BrokerUnavailable` (away, slow, 429, 5xx), `BrokerRefusesAccount` (401, 403 about the
    account) or `BrokerUnreadable` (an answer that makes no sense). `submit` and `find` never raise for
    these: they return a value for each of them. No exception text holds a key.
    """

    def submit(self, request: OrderRequest) -> Outcome:
        """Send the order once."""

    def find(self, client_order_id: str) -> Lookup:
        """Look an order up by our id."""

    def find_in_list(self, client_order_id: str, *, since: datetime, more: More | None = None) -> Lookup:
        """Look for our id in the order list (any status), to confirm the answer of `find`.

        The answer is `NoAnswer` when *more* ended the list before our id was found.
        """

    def order(self, order_id: str) -> BrokerOrder | None:
        """Read one order by the broker's id; None when the broker does not know it."""

    def orders(
        self,
        *,
        status: str,
        since: datetime | None = None,
        more: More | None = None,
        on_unreadable: OnUnreadable | None = None,
    ) -> Sequence[BrokerOrder]:
        """List orders of *status* (`open`, `closed` or `all`), submitted after *since*, the oldest first.

        All pages are read, unless *more* ends the list. *on_unreadable* gets the rows that cannot be read; the log
        names them.
        """

    def cancel(self, order_id: str) -> CancelAnswer:
        """Ask for a cancel. The answer is false when the order is over or unknown."""

    def cancel_all(self) -> int:
        """Ask for a cancel of every open order, in one request. Return how many cancels the broker accepted."""

    def account(self) -> Account:
        """Read the account."""

    def positions(self, *, on_unreadable: OnUnreadable | None = None) -> Sequence[Position]:
        """Read all open positions. *on_unreadable* gets the rows that cannot be read; the log names them."""

    def position(self, symbol: str) -> Position | None:
        """Read one position; None when flat."""

    def asset(self, symbol: str) -> Asset | None:
        """Read the broker's data on *symbol*; None when it does not know the symbol."""

    def clock(self) -> Clock:
        """Read the market clock."""

    def calendar(self, first: date, last: date) -> Sequence[MarketSession]:
        """Read the regular sessions from *first* to *last*, both included, in their order.

        A day without an entry has no session: a weekend, a holiday.
        """

    def transfers(self, since: datetime) -> Sequence[Transfer]:
        """Read the deposits and withdrawals of cash since *since*, in the order in which they were booked.

        A transfer that has only a date is included when that date, in New York, is the date of *since* or a later
        one. The same transfer is listed again by later calls: tell transfers apart by their ids. A broker may list a
        transfer late, so *since* should be some time before the last call. Transfers of securities and coins are not
        included.
        """

    def price(self, symbol: str) -> Decimal | None:
        """Read the price of the latest trade in *symbol*, however long ago that was; None when none is known.

        Market data is another service with its own request limit. Its outages and refusals do not concern orders.
        """

    def quote(self, symbol: str) -> Quote | None:
        """Read the latest bid and ask of *symbol*, however long ago they were; None when either is not known.

        It comes from the same service as `price`.
        """

    def close(self) -> None:
        """Release the connections."""
