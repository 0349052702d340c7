"""A broker whose requests count against the account's requests per minute, and whose outages are reported once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal

from pipeline.model.account import Account, Asset, Clock, MarketSession, Position, Quote, Transfer
from pipeline.model.errors import BudgetUsedUp
from pipeline.model.fills import FillReport
from pipeline.model.orders import BrokerOrder, OrderRequest
from workers.brokers.protocol import Broker, CancelAnswer, Lookup, More, OnUnreadable, Outcome
from workers.brokers.rate_budget import Purpose
from workers.brokers.request_guard import Pages, RequestGuard


class GuardedBroker:
    """A broker whose requests go through a guard.

    A request for which the budget has no room is not made: `find` and `find_in_list` then return `NoAnswer`, the other
    methods raise `BudgetUsedUp`. `submit`, `price` and `quote` are not counted here.
    """

    def __init__(self, broker: Broker, guard: RequestGuard, *, keys: str = "") -> None:
        self._broker = broker
        self._guard = guard
        #: Identifies the broker's address and the account's keys without revealing them.
        self.keys = keys

    @property
    def fails(self) -> bool:
        """Return whether the broker gave no answer to the last request of this process."""
        return self._guard.outage.failing

    def urgent(self) -> GuardedBroker:
        """Return the same broker, with all its requests paid for as urgent."""
        return GuardedBroker(self._broker, replace(self._guard, purpose=Purpose.URGENT), keys=self.keys)

    def canceling(self) -> GuardedBroker:
        """Return the same broker, with all its requests, also reads, paid for as cancels of entries."""
        return GuardedBroker(self._broker, replace(self._guard, purpose=Purpose.CANCEL), keys=self.keys)

    def polling(self) -> GuardedBroker:
        """Return the same broker, with all its requests paid for as polls of orders."""
        return GuardedBroker(self._broker, replace(self._guard, purpose=Purpose.POLL), keys=self.keys)

    def submit(self, request: OrderRequest) -> Outcome:
        """Send the order once. The request was paid for when the intent was recorded."""
        return self._guard.submit(lambda: self._broker.submit(request))

    def submit_paid(self, request: OrderRequest) -> Outcome:
        """Pay for the request, and send an order that has no intent in the record."""
        self._guard.pay_for_order()
        return self.submit(request)

    def find(self, client_order_id: str) -> Lookup:
        """Look an order up by our id."""
        return self._guard.look_up(lambda: self._broker.find(client_order_id))

    def find_in_list(self, client_order_id: str, *, since: datetime, more: More | None = None) -> Lookup:
        """Look for our id in the order list; each page counts as a request."""
        pages = Pages(self._guard, Purpose.URGENT, more)
        return self._guard.look_up(
            lambda: self._broker.find_in_list(client_order_id, since=since, more=pages), pages=pages
        )

    def order(self, order_id: str) -> BrokerOrder | None:
        """Read one order by the broker's id."""
        return self._guard.read(Purpose.POLL, lambda: self._broker.order(order_id))

    def orders(
        self,
        *,
        status: str,
        since: datetime | None = None,
        more: More | None = None,
        on_unreadable: OnUnreadable | None = None,
    ) -> Sequence[BrokerOrder]:
        """List orders of *status*; each page counts as a request."""
        pages = Pages(self._guard, Purpose.POLL, more)
        return self._guard.read(
            Purpose.POLL,
            lambda: self._broker.orders(status=status, since=since, more=pages, on_unreadable=on_unreadable),
        )

    def cancel(self, order_id: str) -> CancelAnswer:
        """Ask for a cancel. It counts as the cancel of an entry, and through `urgent()` as urgent."""
        return self._guard.read(Purpose.CANCEL, lambda: self._broker.cancel(order_id))

    def cancel_all(self) -> int:
        """Ask for a cancel of every open order."""
        return self._guard.read(Purpose.URGENT, self._broker.cancel_all)

    def account(self) -> Account:
        """Read the account."""
        return self._guard.read(Purpose.WATCH, self._broker.account)

    def positions(self, *, on_unreadable: OnUnreadable | None = None) -> Sequence[Position]:
        """Read all open positions."""
        return self._guard.read(Purpose.WATCH, lambda: self._broker.positions(on_unreadable=on_unreadable))

    def position(self, symbol: str) -> Position | None:
        """Read one position. This is urgent: an exit reads here what is left to close."""
        return self._guard.read(Purpose.URGENT, lambda: self._broker.position(symbol))

    def asset(self, symbol: str) -> Asset | None:
        """Read the broker's data on *symbol*."""
        return self._guard.read(Purpose.ENTRY, lambda: self._broker.asset(symbol))

    def clock(self) -> Clock:
        """Read the market clock."""
        return self._guard.read(Purpose.WATCH, self._broker.clock)

    def calendar(self, first: date, last: date) -> Sequence[MarketSession]:
        """Read the regular sessions from *first* to *last*."""
        return self._guard.read(Purpose.WATCH, lambda: self._broker.calendar(first, last))

    def transfers(self, since: datetime) -> Sequence[Transfer]:
        """Read the deposits and withdrawals since *since*. Only the request for the first page is counted."""
        return self._guard.read(Purpose.WATCH, lambda: self._broker.transfers(since))

    @property
    def lists_fills(self) -> bool:
        """Return whether the broker has a list of fills. One that was written for an earlier release has none."""
        return hasattr(self._broker, "fills")

    def fills(
        self, since: datetime, *, more: More | None = None, on_short: Callable[[], None] | None = None
    ) -> Sequence[FillReport]:
        """List the fills since *since*; each page is paid for.

        Where the budget has no room for a further page, the list ends, and *on_short* is called. Without it,
        BudgetUsedUp is raised.
        """
        pages = Pages(self._guard, Purpose.POLL, more)

        def paid() -> bool:
            try:
                return pages()
            except BudgetUsedUp:
                if on_short is None:
                    raise
                on_short()
                return False

        return self._guard.read(Purpose.POLL, lambda: self._broker.fills(since, more=paid))

    def price(self, symbol: str) -> Decimal | None:
        """Read the price of the latest trade. Market data has a request limit of its own, so this is not paid for."""
        return self._broker.price(symbol)

    def quote(self, symbol: str) -> Quote | None:
        """Read the latest bid and ask. Like `price`, this is not paid for."""
        return self._broker.quote(symbol)

    def close(self) -> None:
        """Release the connections."""
        self._broker.close()
