"""Guard the requests to a broker: pay for each before it is sent, and report whether the broker answered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from pipeline.model.errors import (
    BrokerOverRate,
    BrokerRefusesAccount,
    BrokerUnavailable,
    BrokerUnreadable,
    BudgetUsedUp,
)
from pipeline.model.outages import Outage
from workers.brokers.protocol import Lookup, More, NoAnswer, NotSent, NotSentCause, Outcome, Unknown
from workers.brokers.rate_budget import Purpose, RateBudget

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class RequestGuard:
    """Pays out of the account's budget and reports outages of the broker. Thread-safe."""

    outage: Outage
    #: None: requests are not counted, since there is no record.
    budget: RateBudget | None = None
    #: The purpose of every request; None: each kind of request has its own.
    purpose: Purpose | None = None

    def pay(self, purpose: Purpose) -> None:
        """Pay for one request of the guard's own purpose, or else of *purpose*.

        Raises:
            BudgetUsedUp, RecordUnavailable: the request must not be sent.
        """
        if self.budget is not None:
            self.budget.pay(self.purpose or purpose)

    def pay_for_order(self) -> None:
        """Pay for an order that reduces a position, whatever the guard's own purpose.

        Raises:
            BudgetUsedUp, RecordUnavailable: the order must not be sent.
        """
        if self.budget is not None:
            self.budget.pay(Purpose.EXIT)

    def read(self, purpose: Purpose, ask: Callable[[], T]) -> T:
        """Pay for a read, make it, and report how the broker answered."""
        self.pay(purpose)
        try:
            value = ask()
        except BudgetUsedUp:
            raise  # There was no room for a later page, so the broker was not asked for it.
        except BrokerOverRate as error:
            self._refused(error.wait_s)
            raise
        except BrokerUnavailable as error:
            self.outage.record_failure(error)
            raise
        except BrokerRefusesAccount:
            self._answered()
            raise
        except BrokerUnreadable:
            self._made_no_sense()
            raise
        self._answered()
        return value

    def look_up(self, ask: Callable[[], Lookup], *, pages: Pages | None = None) -> Lookup:
        """Pay for the look-up of an order, make it, and report how the broker answered."""
        try:
            self.pay(Purpose.URGENT)
        except BudgetUsedUp as error:
            return NoAnswer(message=str(error), cause=NotSentCause.RATE_LIMITED)
        lookup = ask()
        if not isinstance(lookup, NoAnswer):
            self._answered()
        elif lookup.cause is None:
            self._made_no_sense()
        elif pages is None or not pages.unpaid or lookup.cause is not NotSentCause.RATE_LIMITED:
            self._failed(lookup.cause, lookup.message, lookup.retry_after_s)
        return lookup

    def submit(self, send: Callable[[], Outcome]) -> Outcome:
        """Send an order whose request is paid for already, and report how the broker answered."""
        outcome = send()
        if isinstance(outcome, Unknown):
            self.outage.record_failure(outcome.message)
        elif isinstance(outcome, NotSent):
            self._failed(outcome.cause, outcome.message, outcome.retry_after_s)
        else:
            self._answered()
        return outcome

    def _failed(self, cause: NotSentCause, message: str, retry_after_s: float | None) -> None:
        match cause:
            case NotSentCause.UNREACHABLE:
                self.outage.record_failure(message)
            case NotSentCause.RATE_LIMITED:
                self._refused(retry_after_s)
            case NotSentCause.ACCOUNT_REFUSED | NotSentCause.POSITION_CHANGED:
                self._answered()

    def _refused(self, retry_after_s: float | None) -> None:
        """Hold the account's requests after a 429. The broker has answered, so this is not an outage."""
        if self.budget is not None:
            self.budget.refused(retry_after_s)

    def _made_no_sense(self) -> None:
        """End a hold after a 429, but do not end an outage: a proxy may have answered in the broker's place."""
        if self.budget is not None:
            self.budget.answered()

    def _answered(self) -> None:
        self.outage.record_success()
        if self.budget is not None:
            self.budget.answered()


class Pages:
    """Pays for each page of a list except the first, and remembers in `unpaid` whether the list was cut short."""

    def __init__(self, guard: RequestGuard, purpose: Purpose, more: More | None) -> None:
        self._guard = guard
        self._purpose = purpose
        self._more = more
        self.unpaid = False

    def __call__(self) -> bool:
        """Return whether the next page may be read.

        Raises:
            BudgetUsedUp: there is no room for its request.
        """
        if self._more is not None and not self._more():
            self.unpaid = True
            return False
        try:
            self._guard.pay(self._purpose)
        except BudgetUsedUp:
            self.unpaid = True
            raise
        return True
