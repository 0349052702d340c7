"""The protocol of a broker: the methods that workers and the keeper call, in plain values.

An adapter translates and does not decide: it returns the outcome of an order (`Accepted`, `Rejected`, `NotSent`,
`Unknown` or `Duplicate`), and its callers decide what follows. Every adapter passes ``tests/contract/test_brokers*.py``
unchanged.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

from pipeline.model.account import Account, Asset, Clock, MarketSession, Position, Quote, Transfer
from pipeline.model.fills import FillReport
from pipeline.model.orders import BrokerOrder, OrderRequest


@dataclass(frozen=True, kw_only=True)
class Answer:
    """An answer of the broker to one request, or the error that came instead."""

    #: The broker's own id of the request, which its support asks for; None when no answer came, or it had no id.
    request_id: str | None = field(default=None, compare=False)


@dataclass(frozen=True, kw_only=True)
class Accepted(Answer):
    """The broker has the order."""

    order: BrokerOrder


class RefusalKind(StrEnum):
    """Why the broker refuses an order. Only the reasons to which an exit can react are listed."""

    #: Open orders hold the quantity that the order would close.
    HELD = "held"
    #: The order could trade with an open order of the same account on the other side.
    OPPOSED = "opposed"
    #: The asset is traded in whole units only.
    NOT_FRACTIONABLE = "not_fractionable"
    #: The order's cost or quantity is below the broker's minimum.
    TOO_SMALL = "too_small"


@dataclass(frozen=True, kw_only=True)
class Rejected(Answer):
    """The broker refused this order (HTTP 400, 403, 404 or 422 about the order itself)."""

    status: int
    message: str
    code: int | None = None
    #: None: the broker refuses the order for a reason that `RefusalKind` does not list.
    refusal: RefusalKind | None = None
    #: The broker's ids of the orders that block this one, if its answer names them.
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
    5xx. `RATE_LIMITED` means a 429, that our own budget had no room for the request, or that the list was not read to
    its end. `ACCOUNT_REFUSED` means a 401 or a 403.
    """

    message: str
    cause: NotSentCause | None = None
    #: Seconds that the broker asks us to wait; None when it asks for none.
    retry_after_s: float | None = None


Lookup = Found | Absent | NoAnswer


@dataclass(frozen=True, kw_only=True)
class CancelAnswer(Answer):
    """The answer to a request for a cancel; `bool()` of it is true if the broker accepted the request."""

    accepted: bool

    def __bool__(self) -> bool:
        return self.accepted


@dataclass(frozen=True, kw_only=True)
class UnreadableRow:
    """A row of a list that cannot be read. The other rows of the list are read all the same."""

    #: The row's name for people: an id or the symbol; `unnamed` if the row has neither.
    row_id: str
    why: str
    #: The broker's order id; None if the row has none or is a position.
    order_id: str | None = None
    symbol: str | None = None
    #: The row is valid, but of a kind that tradewire never places: an order of several legs.
    expected: bool = False


#: Called for each row of a list that cannot be read.
OnUnreadable = Callable[[UnreadableRow], None]

#: Called before each page of a list except the first, because each page is a request. False ends the list.
More = Callable[[], bool]


class Broker(Protocol):
    """One account at one broker. Thread-safe; one warm connection pool; no retries of its own.

    Reads and cancels raise `BrokerUnavailable` (away, slow, 429, 5xx), `BrokerRefusesAccount` (401, 403) or
    `BrokerUnreadable` (an answer that makes no sense). `submit`, `find` and `find_in_list` do not
    raise these errors: they return a value for each. No exception text holds a key.
    """

    def submit(self, request: OrderRequest) -> Outcome:
        """Send the order once."""

    def find(self, client_order_id: str) -> Lookup:
        """Look an order up by our id."""

    def find_in_list(self, client_order_id: str, *, since: datetime, more: More | None = None) -> Lookup:
        """Look for our id among the orders of any status submitted after *since*, to confirm the answer of `find`.

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
        """Ask for a cancel. The broker does not accept it when the order has ended or is not known."""

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

        A day that is missing from the list has no session.
        """

    def transfers(self, since: datetime) -> Sequence[Transfer]:
        """Read the deposits and withdrawals of cash since *since*, in the order in which they were booked.

        A transfer that has only a date is included when that date, in New York, is the date of *since* or a later
        one. Later calls list the same transfer again: recognise it by its id. A broker may list a transfer late, so
        *since* should be some time before the last call. Transfers of securities and coins are not included.
        """

    def fills(self, since: datetime, *, more: More | None = None) -> Sequence[FillReport]:
        """List the fills since *since*, oldest first, unless *more* ends the list. The log names unreadable rows."""

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
