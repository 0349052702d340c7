"""Pay for each request before it goes out, so that the account stays below the broker's limit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import TypeVar

from pipeline.model.account import Account, Asset, Clock, MarketSession, Position, Transfer
from pipeline.model.errors import BrokerOverRate, BrokerRefusesAccount, BrokerUnreadable, BudgetUsedUp
from pipeline.model.orders import BrokerOrder, OrderRequest
from workers.brokers.protocol import (
    Broker,
    Lookup,
    More,
    NoAnswer,
    NotSent,
    NotSentCause,
    Outcome,
    Unknown,
)
from workers.brokers.rate_budget import Purpose, RateBudget

T = TypeVar("T")

_SAYS_NOTHING = (NotSentCause.UNREACHABLE, NotSentCause.RATE_LIMITED)


class MeteredBroker:
    """The broker given, paid for. What is not paid for is not asked: `BudgetUsedUp`, as if the broker were away.

    An order was paid for with its intent, and prices are not the account's to pay for.
    """

    def __init__(self, broker: Broker, budget: RateBudget, *, purpose: Purpose | None = None) -> None:
        """Read for *purpose* whatever is read; left out, each read has its own."""
        self._broker = broker
        self._budget = budget
        self._purpose = purpose

    def submit(self, request: OrderRequest) -> Outcome:
        """Send the order once; the intent has paid."""
        outcome = self._broker.submit(request)
        if isinstance(outcome, NotSent) and outcome.cause in _SAYS_NOTHING:
            if outcome.cause is NotSentCause.RATE_LIMITED:
                self._budget.refused(outcome.retry_after_s)
        elif not isinstance(outcome, Unknown):
            self._budget.answered()
        return outcome

    def find(self, client_order_id: str) -> Lookup:
        """Look an order up by our id."""
        return self._look(lambda: self._broker.find(client_order_id))

    def find_in_list(self, client_order_id: str, *, since: datetime, more: More | None = None) -> Lookup:
        """Look for our id in the order list, each page paid for."""
        pages = _Pages(lambda: self._pay(Purpose.URGENT), more)
        return self._look(
            lambda: self._broker.find_in_list(client_order_id, since=since, more=pages), unpaid=lambda: pages.unpaid
        )

    def order(self, order_id: str) -> BrokerOrder | None:
        """Read one order by the broker's id."""
        return self._read(Purpose.POLL, lambda: self._broker.order(order_id))

    def orders(self, *, status: str, since: datetime | None = None, more: More | None = None) -> Sequence[BrokerOrder]:
        """List orders of *status*, each page paid for."""
        pages = _Pages(lambda: self._pay(Purpose.POLL), more)
        return self._read(Purpose.POLL, lambda: self._broker.orders(status=status, since=since, more=pages))

    def cancel(self, order_id: str) -> bool:
        """Ask for a cancel."""
        return self._read(Purpose.URGENT, lambda: self._broker.cancel(order_id))

    def cancel_all(self) -> int:
        """Ask for a cancel of every open order."""
        return self._read(Purpose.URGENT, self._broker.cancel_all)

    def account(self) -> Account:
        """Read the account."""
        return self._read(Purpose.WATCH, self._broker.account)

    def positions(self) -> Sequence[Position]:
        """Read all open positions."""
        return self._read(Purpose.WATCH, self._broker.positions)

    def position(self, symbol: str) -> Position | None:
        """Read one position: an exit sells what is held now."""
        return self._read(Purpose.URGENT, lambda: self._broker.position(symbol))

    def asset(self, symbol: str) -> Asset | None:
        """Read what the broker says of *symbol*."""
        return self._read(Purpose.ENTRY, lambda: self._broker.asset(symbol))

    def clock(self) -> Clock:
        """Read the market clock."""
        return self._read(Purpose.WATCH, self._broker.clock)

    def calendar(self, first: date, last: date) -> Sequence[MarketSession]:
        """Read the regular sessions from *first* to *last*."""
        return self._read(Purpose.WATCH, lambda: self._broker.calendar(first, last))

    def transfers(self, since: datetime) -> Sequence[Transfer]:
        """Read the deposits and withdrawals since *since*; they fit one page but for a hundred and more."""
        return self._read(Purpose.WATCH, lambda: self._broker.transfers(since))

    def price(self, symbol: str) -> Decimal | None:
        """Read the price of the latest trade: another service, with a limit of its own."""
        return self._broker.price(symbol)

    def close(self) -> None:
        """Release the connections."""
        self._broker.close()

    def _pay(self, purpose: Purpose) -> None:
        self._budget.pay(self._purpose or purpose)

    def _read(self, purpose: Purpose, ask: Callable[[], T]) -> T:
        self._pay(purpose)
        try:
            answer = ask()
        except BudgetUsedUp:
            raise  # A later page: the broker said nothing.
        except BrokerOverRate as error:
            self._budget.refused(error.wait_s)
            raise
        except (BrokerRefusesAccount, BrokerUnreadable):
            self._budget.answered()
            raise
        self._budget.answered()
        return answer

    def _look(self, ask: Callable[[], Lookup], *, unpaid: Callable[[], bool] = lambda: False) -> Lookup:
        try:
            self._pay(Purpose.URGENT)
        except BudgetUsedUp as error:
            return NoAnswer(message=str(error), cause=NotSentCause.RATE_LIMITED)
        lookup = ask()
        if not isinstance(lookup, NoAnswer) or lookup.cause not in _SAYS_NOTHING:
            self._budget.answered()
        elif lookup.cause is NotSentCause.RATE_LIMITED and not unpaid():
            self._budget.refused(lookup.retry_after_s)
        return lookup


class _Pages:
    """Pays for each further page of a list, and knows when that failed: the broker said nothing then."""

    def __init__(self, pay: Callable[[], None], more: More | None) -> None:
        self._pay = pay
        self._more = more
        self.unpaid = False

    def __call__(self) -> bool:
        if self._more is not None and not self._more():
            self.unpaid = True
            return False
        try:
            self._pay()
        except BudgetUsedUp:
            self.unpaid = True
            raise
        return True
