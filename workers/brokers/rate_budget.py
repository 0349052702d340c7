"""Keep the requests to a broker below its limit: one budget per account in the record, shared by all processes."""

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
from pipeline.store.query import execute, fetch_one
from pipeline.store.record import Record
from pipeline.store.statements import sql

log = structlog.get_logger(__name__)

#: A request is sent within this time after its payment, or is paid for again. So the record counts a payment for 62 s,
#: and the broker never gets more requests in 60 s than the limit allows.
#: An order is sent right after the transaction that pays for it; a process that is suspended in between for longer
#: than its lease does not send it.
GOES_OUT_WITHIN_S = 2.0
#: A process that reads fast pays for this many reads at once.
BLOCK = 3
# A process reads fast when it makes this many payments within a second.
_FAST = 3
# Limits are per minute, so a broker that answered 429 is asked again after a minute at the latest.
_LONGEST_HOLD_S = 60.0
_SHORTEST_HOLD_S = 0.5


class Purpose(StrEnum):
    """The purpose of a request. A more important purpose may use a larger share of the account's limit."""

    #: Orders that open or add to a position, and the reads for them.
    ENTRY = "entry"
    #: Reads of working orders.
    POLL = "poll"
    #: Reads of the account, its positions and transfers, the clock and the calendar.
    WATCH = "watch"
    #: Cancels of entries, and repeated cancels. An exit of another symbol must not wait for them.
    CANCEL = "cancel"
    #: Reads for exits, cancels of exits and of orders in their way, and look-ups of orders that may exist.
    URGENT = "urgent"
    #: Orders of exits. The last request of the limit is reserved for them, so that no read makes such an order wait.
    EXIT = "exit"


#: A request is sent while the account's requests of the last minute are below this share of the limit, in percent.
SHARES: Mapping[Purpose, int] = MappingProxyType(
    {
        Purpose.ENTRY: 75,
        Purpose.POLL: 85,
        Purpose.WATCH: 92,
        Purpose.CANCEL: 96,
        Purpose.URGENT: 100,
        Purpose.EXIT: 100,
    }
)
# Requests of these purposes are sent even if the broker has just refused another request with 429.
_PASSES_HOLDS = frozenset({Purpose.CANCEL, Purpose.URGENT, Purpose.EXIT})


@dataclass(frozen=True, kw_only=True)
class Grant:
    """The record's answer to a payment."""

    granted: int
    #: The time until there is room, if nothing was granted.
    wait: timedelta
    #: The number of requests of all processes in the window.
    spent: int
    #: How many times in a row the broker has answered 429.
    refusals: int
    #: Whether the account's requests wait, because the broker has just answered 429.
    closed: bool


@dataclass(frozen=True, kw_only=True)
class _Closed:
    refusals: int
    wait: timedelta


def ceiling(per_minute: int | None, purpose: Purpose) -> int | None:
    """Return how many requests the window may hold, including one of *purpose*; None without a limit."""
    if per_minute is None:
        return None
    share = per_minute * SHARES[purpose] // 100
    return max(1, share if purpose is Purpose.EXIT else min(share, per_minute - 1))


def fare(account_key: str, per_minute: int | None, *, urgent: bool) -> dict[str, Any]:
    """Return the parameters that `orders.intend` and `orders.send_again` need to count a request; *urgent*: an exit."""
    purpose = Purpose.EXIT if urgent else Purpose.ENTRY
    return {"holder": account_key, "ceiling": ceiling(per_minute, purpose), "urgent": urgent}


def rename_account(connection: Connection[DictRow], executor_id: str, account_number: str) -> None:
    """Move the requests counted under the provisional key to the account. Running it again changes nothing."""
    values = {"old": provisional_key(executor_id), "new": account_number}
    execute(connection, sql("request_budget", "move"), values)


class RateBudget:
    """The requests that this process may send to one executor's broker. Thread-safe."""

    def __init__(self, record: Record, *, executor_id: str, per_minute: int | None) -> None:
        self._record = record
        self._executor_id = executor_id
        self._per_minute = per_minute
        self._lock = threading.Lock()
        # By purpose: the number of reads that are paid for but not made yet, and the time until which they may be made.
        self._kept: dict[Purpose, tuple[int, float]] = {}
        self._paid_at: deque[float] = deque(maxlen=_FAST)
        self._spent = 0
        self._refusals = 0
        self._closed_until = 0.0
        self._ask_again_at = 0.0

    def pay(self, purpose: Purpose) -> None:
        """Pay for one request, which must be sent at once. Without a limit the record is not read.

        Raises:
            BudgetUsedUp: there is no room for this purpose, or the broker has just answered 429. After a 429, cancels,
                urgent requests and orders of exits are sent all the same.
            RecordUnavailable: PostgreSQL is away. The request must not be sent: its answer could not be recorded.
        """
        now = time.monotonic()
        if self._per_minute is None:
            if purpose not in _PASSES_HOLDS and now < self._closed_until:
                raise BudgetUsedUp(wait_s=self._closed_until - now)
        elif not self._use(purpose, now):
            self._take(purpose, now)

    def left(self, purpose: Purpose) -> int | None:
        """Return how many more requests of *purpose* had room at this process's last payment; None without a limit."""
        most = ceiling(self._per_minute, purpose)
        return None if most is None else max(0, most - self._spent)

    def refused(self, asked_s: float | None) -> None:
        """Hold entries and reads that are not urgent after a 429; *asked_s*: the seconds that the broker asks for.

        All processes hold them. Without a limit, other processes hold only their entries: they do not pay for reads.
        """
        asked = None if asked_s is None else timedelta(seconds=min(max(asked_s, _SHORTEST_HOLD_S), _LONGEST_HOLD_S))

        def unit(connection: Connection[DictRow]) -> _Closed:
            values = {"holder": account_key_of(connection, self._executor_id), "asked": asked}
            return fetch_one(connection, _Closed, sql("request_budget", "close"), values)

        try:
            closed = self._record.run(unit, retry_for_s=0.0)
        except RecordUnavailable:
            return  # With a limit, the next request must be paid for in the record, so it is not sent either.
        wait_s = closed.wait.total_seconds()
        with self._lock:
            self._kept.clear()
            self._closed_until = time.monotonic() + wait_s
            before, self._refusals = self._refusals, closed.refusals
        if before != self._refusals:
            facts = {"wait_s": round(wait_s, 1), "in_a_row": self._refusals}
            # Log only the first refusal in a row as a warning.
            level = log.debug if before else log.warning
            level("requests.refused", executor_id=self._executor_id, **facts)

    def answered(self) -> None:
        """End the hold once the broker has answered a request again. The next hold begins with a short pause."""
        now = time.monotonic()
        with self._lock:
            # Of many threads only one ends the hold.
            if not self._refusals or now < max(self._closed_until, self._ask_again_at):
                return
            self._ask_again_at = now + 1.0

        def unit(connection: Connection[DictRow]) -> bool:
            values = {"holder": account_key_of(connection, self._executor_id)}
            return execute(connection, sql("request_budget", "reopen"), values) > 0

        try:
            reopened = self._record.run(unit, retry_for_s=0.0)
        except RecordUnavailable:
            return
        self._refusals = 0
        if reopened:
            log.info("requests.accepted", executor_id=self._executor_id)

    def _use(self, purpose: Purpose, now: float) -> bool:
        """Use a read that was paid for in advance, and return whether there was one that is not too old to use."""
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
        # Exits and cancels pay for no read in advance: near the limit, an exit's order could lack that request.
        ahead = fast and purpose not in _PASSES_HOLDS
        values = {
            "wanted": BLOCK if ahead else 1,
            "ceiling": ceiling(self._per_minute, purpose),
            "urgent": purpose in _PASSES_HOLDS,
        }

        def unit(connection: Connection[DictRow]) -> Grant:
            account_key = {"holder": account_key_of(connection, self._executor_id)}
            # If the answer to COMMIT is lost, the unit runs again and pays twice: fewer requests are made, not more.
            return fetch_one(connection, Grant, sql("request_budget", "take"), values | account_key)

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
