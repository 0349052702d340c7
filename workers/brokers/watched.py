"""Watch a broker: its absence is said once per process, and its return once, whoever asks it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import TypeVar

from pipeline.model.account import Account, Asset, Clock, MarketSession, Position, Transfer
from pipeline.model.errors import BrokerOverRate, BrokerRefusesAccount, BrokerUnavailable
from pipeline.model.orders import BrokerOrder, OrderRequest
from pipeline.model.outages import Outage
from workers.brokers.protocol import Broker, Lookup, More, NoAnswer, NotSent, NotSentCause, Outcome, Unknown

T = TypeVar("T")


class WatchedBroker:
    """The broker given, unchanged but for what is said of its absences. An answer that makes no sense is neither."""

    def __init__(self, broker: Broker, outage: Outage) -> None:
        self._broker = broker
        self._outage = outage

    def submit(self, request: OrderRequest) -> Outcome:
        """Send the order once."""
        outcome = self._broker.submit(request)
        if isinstance(outcome, Unknown):
            self._outage.record_failure(outcome.message)
        else:
            self._heard(outcome.message if isinstance(outcome, NotSent) else "", getattr(outcome, "cause", None))
        return outcome

    def find(self, client_order_id: str) -> Lookup:
        """Look an order up by our id."""
        return self._looked(self._broker.find(client_order_id))

    def find_in_list(self, client_order_id: str, *, since: datetime, more: More | None = None) -> Lookup:
        """Look for our id in the order list."""
        return self._looked(self._broker.find_in_list(client_order_id, since=since, more=more))

    def order(self, order_id: str) -> BrokerOrder | None:
        """Read one order by the broker's id."""
        return self._read(lambda: self._broker.order(order_id))

    def orders(self, *, status: str, since: datetime | None = None, more: More | None = None) -> Sequence[BrokerOrder]:
        """List orders of *status*."""
        return self._read(lambda: self._broker.orders(status=status, since=since, more=more))

    def cancel(self, order_id: str) -> bool:
        """Ask for a cancel."""
        return self._read(lambda: self._broker.cancel(order_id))

    def cancel_all(self) -> int:
        """Ask for a cancel of every open order."""
        return self._read(self._broker.cancel_all)

    def account(self) -> Account:
        """Read the account."""
        return self._read(self._broker.account)

    def positions(self) -> Sequence[Position]:
        """Read all open positions."""
        return self._read(self._broker.positions)

    def position(self, symbol: str) -> Position | None:
        """Read one position."""
        return self._read(lambda: self._broker.position(symbol))

    def asset(self, symbol: str) -> Asset | None:
        """Read what the broker says of *symbol*."""
        return self._read(lambda: self._broker.asset(symbol))

    def clock(self) -> Clock:
        """Read the market clock."""
        return self._read(self._broker.clock)

    def calendar(self, first: date, last: date) -> Sequence[MarketSession]:
        """Read the regular sessions from *first* to *last*."""
        return self._read(lambda: self._broker.calendar(first, last))

    def transfers(self, since: datetime) -> Sequence[Transfer]:
        """Read the deposits and withdrawals since *since*."""
        return self._read(lambda: self._broker.transfers(since))

    def price(self, symbol: str) -> Decimal | None:
        """Read the price of the latest trade. Market data that is away, or answers, is not the broker."""
        return self._broker.price(symbol)

    def close(self) -> None:
        """Release the connections."""
        self._broker.close()

    def _read(self, ask: Callable[[], T]) -> T:
        try:
            answer = ask()
        except BrokerOverRate:
            # It is there, and asked too often: the account's budget says so.
            raise
        except BrokerUnavailable as error:
            self._outage.record_failure(error)
            raise
        except BrokerRefusesAccount:
            self._outage.record_success()
            raise
        self._outage.record_success()
        return answer

    def _looked(self, lookup: Lookup) -> Lookup:
        if not isinstance(lookup, NoAnswer):
            self._outage.record_success()
        elif lookup.cause is not None:
            self._heard(lookup.message, lookup.cause)
        return lookup

    def _heard(self, message: str, cause: NotSentCause | None) -> None:
        if cause is NotSentCause.UNREACHABLE:
            self._outage.record_failure(message)
        elif cause is not NotSentCause.RATE_LIMITED:
            self._outage.record_success()
