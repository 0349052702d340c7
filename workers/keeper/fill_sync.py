"""Itemise fills: read the broker's list of activities while the record has fills from orders or the stream only."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Final

import structlog

from pipeline.model.errors import BrokerRefusesAccount, BrokerUnavailable, BrokerUnreadable, BudgetUsedUp
from pipeline.model.fills import ITEMISED_WITHIN, FillReport, FillSource
from pipeline.store.record import Record
from pipeline.store.statements import sql
from workers.account.runtime import ExecutorRuntime
from workers.execution.fills import record_fill
from workers.keeper.fill_pace import FillPace

log = structlog.get_logger(__name__)

# The broker's clock and ours differ, so the list starts this much before the oldest fill that is missing.
_CLOCK_TOLERANCE: Final = timedelta(seconds=10)


@dataclass(frozen=True, kw_only=True)
class _Unconfirmed:
    """The fills of an executor that the list of activities has not shown."""

    since: datetime
    #: Since when to read the list for those that were recorded since the last reading; None: there are none.
    new_since: datetime | None
    account_numbers: list[str]
    newest: datetime
    #: The newest of those that the list was read for; None: there are none.
    newest_known: datetime | None
    #: The age of the first fill that was recorded since the last reading, in seconds; None: there is none.
    waited_s: float | None


@dataclass(frozen=True, kw_only=True)
class FillSync:
    """Records the fills that one executor's broker lists. Running it twice changes nothing.

    It makes no request while every fill is confirmed by the list, and reads the list at most once in 10 s. A fill that
    the list does not show within `ITEMISED_WITHIN` stays as it is, and `why` says so. If the request budget has no room
    for a further page, the fills of the pages before are recorded.
    """

    record: Record
    runtime: ExecutorRuntime
    pace: FillPace = field(default_factory=FillPace)
    clock: Callable[[], float] = time.monotonic

    def run_once(self) -> int:
        """Read the list if a fill is missing in the record and the list is due; return how many fills were recorded."""
        if not self.runtime.broker.lists_fills:
            return 0
        values = {"executor_id": self.runtime.executor.id, "within": ITEMISED_WITHIN, "known_until": self.pace.seen}
        missing = self.record.maybe(_Unconfirmed, sql("fills", "unconfirmed"), values)
        if missing is None:
            return 0
        self.pace.not_shown(missing.newest_known)
        now = self.clock()
        if not self.pace.is_due(missing.waited_s, now=now):
            return 0
        since = missing.since if self.pace.reads_all(now=now) else missing.new_since
        self.pace.asks(everything=since in (None, missing.since), now=now)
        listed = self._list(since or missing.since, missing.newest)
        return sum(self._record(account_number, listed) for account_number in missing.account_numbers)

    def _list(self, since: datetime, newest: datetime) -> Sequence[FillReport]:
        """Return the fills that the broker lists since *since*; *newest* is the newest one that is missing."""
        short: list[bool] = []
        try:
            if self.runtime.snapshots.refusal() is not None:
                return ()
            start = self.runtime.snapshots.broker_time(since) - _CLOCK_TOLERANCE
            listed = self.runtime.broker.fills(start, on_short=lambda: short.append(True))
        except BrokerRefusesAccount as error:
            self.runtime.snapshots.refused(str(error))
            return ()
        except (BrokerUnavailable, BrokerUnreadable, BudgetUsedUp) as error:
            log.debug("fills.unread", executor_id=self.runtime.executor.id, error=str(error))
            return ()
        if not short:
            self.pace.read(newest)
        return listed

    def _record(self, account_number: str, listed: Sequence[FillReport]) -> int:
        """Record the fills of this account's orders; return how many were new."""
        values = {"account_number": account_number, "fill_ids": [fill.fill_id for fill in listed]}
        known = set(self.record.all(str, sql("fills", "listed"), values))
        fresh = [fill for fill in listed if fill.fill_id not in known]
        recorded = 0
        # One fill at a time: a transaction that holds the row of one fill's order and symbol must not wait for another.
        for fill in sorted(fresh, key=attrgetter("order_id")):
            recorded += self._record_fill(account_number, fill)
        if recorded:
            log.info("fills.itemised", executor_id=self.runtime.executor.id, count=recorded)
        return recorded

    def _record_fill(self, account_number: str, fill: FillReport) -> bool:
        return self.record.run(
            lambda connection: record_fill(connection, account_number, fill, source=FillSource.ACTIVITY)
        )
