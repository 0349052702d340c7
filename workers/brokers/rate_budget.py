"""Keep what is asked of a broker below its limit: one budget per account, in the record, shared by all processes."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Any

import structlog
from psycopg import Connection
from psycopg.rows import DictRow

from pipeline.accounts.account_key import account_key_of, provisional_key
from pipeline.model.errors import BudgetUsedUp, RecordUnavailable
from pipeline.store.record import Record
from pipeline.store.rows import FromRow
from pipeline.store.statements import sql

log = structlog.get_logger(__name__)

#: A request goes out so soon after it was paid for, or is paid for again; the window in the record counts on it. An
#: order does, since it is sent with a second left of a lease of three.
GOES_OUT_WITHIN_S = 2.0
#: Who reads fast pays for so many reads at once.
BLOCK = 3
# So many payments within a second are fast.
_FAST = 3
# A broker that refuses for its rate is asked again after a minute at the latest: limits are per minute.
_LONGEST_HOLD_S = 60.0
_SHORTEST_HOLD_S = 0.5


class Purpose(StrEnum):
    """What a request is for: the more it matters, the more of the account's limit may be used for it."""

    #: Orders that open or add to a position, and what is read for them.
    ENTRY = "entry"
    #: Following orders.
    POLL = "poll"
    #: The account, its positions, the clock.
    WATCH = "watch"
    #: Exits, cancels and look-ups of orders that may exist.
    URGENT = "urgent"


#: Requests of this purpose go out while all requests of the last minute are below this share of the limit, in percent.
SHARES: Mapping[Purpose, int] = MappingProxyType(
    {Purpose.ENTRY: 75, Purpose.POLL: 85, Purpose.WATCH: 92, Purpose.URGENT: 100}
)


@dataclass(frozen=True, kw_only=True)
class Grant(FromRow):
    """What the record says to a wish for requests."""

    granted: int
    #: Nothing granted: how long until there is room.
    wait: timedelta
    #: What all processes took in the window.
    spent: int
    #: How often the broker has refused for its rate, in a row.
    refusals: int
    #: It has just done so, and the account waits.
    closed: bool


def ceiling(per_minute: int | None, purpose: Purpose) -> int | None:
    """Return how many requests the window may hold after one of *purpose*; None without a limit."""
    return None if per_minute is None else max(1, per_minute * SHARES[purpose] // 100)


def fare(account_key: str, per_minute: int | None, *, urgent: bool) -> dict[str, Any]:
    """Return what `orders.intend` and `orders.send_again` pay for an order with.

    Args:
        account_key: the account's number, as the intent names it.
        per_minute: the executor's `limits.requests_per_minute`; None when off.
        urgent: the order is an exit.
    """
    purpose = Purpose.URGENT if urgent else Purpose.ENTRY
    return {"holder": account_key, "ceiling": ceiling(per_minute, purpose), "urgent": urgent}


def rename_account(connection: Connection[DictRow], executor_id: str, account_number: str) -> None:
    """Count what was spent before the account's number was known for the account. Again does nothing."""
    connection.execute(sql("request_budget", "move"), {"old": provisional_key(executor_id), "new": account_number})


class RateBudget:
    """What this process may ask of one executor's broker. Thread-safe."""

    def __init__(self, record: Record, *, executor_id: str, per_minute: int | None) -> None:
        self._record = record
        self._executor_id = executor_id
        self._per_minute = per_minute
        self._lock = threading.Lock()
        # Paid for and not used yet, until when.
        self._kept: dict[Purpose, tuple[int, float]] = {}
        self._paid_at: deque[float] = deque(maxlen=_FAST)
        self._spent = 0
        self._refusals = 0
        self._closed_until = 0.0
        self._ask_again_at = 0.0

    def pay(self, purpose: Purpose) -> None:
        """Pay for one request, which goes out at once. Without a limit this asks nobody.

        Raises:
            BudgetUsedUp: there is no room for this purpose, or the broker has just refused for its rate.
            RecordUnavailable: PostgreSQL is away. Then nothing is asked of the broker either: no answer could be
                written down.
        """
        now = time.monotonic()
        if self._per_minute is None:
            if purpose is not Purpose.URGENT and now < self._closed_until:
                raise BudgetUsedUp(wait_s=self._closed_until - now)
        elif not self._use(purpose, now):
            self._take(purpose, now)

    def left(self, purpose: Purpose) -> int | None:
        """Return how much room there was for *purpose* when this process last paid; None without a limit."""
        most = ceiling(self._per_minute, purpose)
        return None if most is None else max(0, most - self._spent)

    def refused(self, asked_s: float | None) -> None:
        """The broker answered 429: hold the account, for all processes; *asked_s* is what it asks for, in seconds."""
        asked = None if asked_s is None else timedelta(seconds=min(max(asked_s, _SHORTEST_HOLD_S), _LONGEST_HOLD_S))

        def unit(connection: Connection[DictRow]) -> DictRow | None:
            values = {"holder": account_key_of(connection, self._executor_id), "asked": asked}
            return connection.execute(sql("request_budget", "close"), values).fetchone()

        try:
            row = self._record.run(unit, retry_for_s=0.0)
        except RecordUnavailable:
            return  # Whoever asks the broker next needs the record first.
        assert row is not None
        with self._lock:
            self._kept.clear()
            self._closed_until = time.monotonic() + row["wait"].total_seconds()
            before, self._refusals = self._refusals, row["refusals"]
        if before != self._refusals:
            facts = {"wait_s": round(row["wait"].total_seconds(), 1), "in_a_row": self._refusals}
            # The first is news; the longer holds after it are the same story.
            level = log.debug if before else log.warning
            level("requests.refused", executor_id=self._executor_id, **facts)

    def answered(self) -> None:
        """The broker answered something else: after the hold that ends it, and the next one is short again."""
        now = time.monotonic()
        with self._lock:
            # One of many threads is enough.
            if not self._refusals or now < max(self._closed_until, self._ask_again_at):
                return
            self._ask_again_at = now + 1.0

        def unit(connection: Connection[DictRow]) -> DictRow | None:
            values = {"holder": account_key_of(connection, self._executor_id)}
            return connection.execute(sql("request_budget", "reopen"), values).fetchone()

        try:
            row = self._record.run(unit, retry_for_s=0.0)
        except RecordUnavailable:
            return
        self._refusals = 0
        if row is not None:
            log.info("requests.accepted", executor_id=self._executor_id)

    def _use(self, purpose: Purpose, now: float) -> bool:
        """Use a read that is paid for; what was not used in time is lost."""
        with self._lock:
            count, until = self._kept.get(purpose, (0, 0.0))
            if count == 0 or now >= until:
                return False
            self._kept[purpose] = (count - 1, until)
            return True

    def _take(self, purpose: Purpose, now: float) -> None:
        with self._lock:
            self._paid_at.append(now)
            fast = len(self._paid_at) == _FAST and now - self._paid_at[0] < 1.0
        values = {
            "wanted": BLOCK if fast else 1,
            "ceiling": ceiling(self._per_minute, purpose),
            "urgent": purpose is Purpose.URGENT,
        }

        def unit(connection: Connection[DictRow]) -> Grant:
            account_key = {"holder": account_key_of(connection, self._executor_id)}
            # Run again after a lost COMMIT, it pays twice: the account asks less than it may, never more.
            row = connection.execute(sql("request_budget", "take"), values | account_key).fetchone()
            assert row is not None
            return Grant.of(row)

        grant = self._record.run(unit)
        if grant.refusals and not self._refusals:
            self._refusals = grant.refusals
        if grant.granted == 0:
            if not grant.closed:
                self._spent = grant.spent
            raise BudgetUsedUp(wait_s=grant.wait.total_seconds())
        with self._lock:
            self._spent = grant.spent
            if grant.granted > 1:
                self._kept[purpose] = (grant.granted - 1, now + GOES_OUT_WITHIN_S)
