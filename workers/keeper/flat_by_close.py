"""Close all shares a set time before the market closes, for firms that allow no position overnight."""

import time
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from pipeline.accounts.snapshot import Snapshot
from pipeline.model.errors import BrokerRefusesAccount, BrokerUnavailable, BrokerUnreadable
from pipeline.model.symbols import AssetClass, asset_class
from pipeline.store.record import Record
from pipeline.store.statements import sql
from workers.account.calendar import market_at
from workers.account.refusals import AccountRefused
from workers.account.runtime import ExecutorRuntime
from workers.keeper.closing_exits import ClosingExits
from workers.keeper.entry_cancellation import cancel_entries
from workers.rules.market_hours import Market

log = structlog.get_logger(__name__)

# Far from the close, a snapshot of this age is recent enough: its clock is carried forward.
_SNAPSHOT_AGE = timedelta(seconds=30)
# The greatest age of a snapshot near the close, and at any time the pause between two checks.
_NEAR = timedelta(seconds=2)


@dataclass(kw_only=True)
class FlatByClose:
    """Closes one executor's shares before each session ends, half days included. Needs `firm.flat_before_close_s`."""

    record: Record
    runtime: ExecutorRuntime
    exits: ClosingExits
    _checked_at: float = float("-inf")

    def run_once(self) -> int:
        """Near the close, cancel the entries in shares and close the shares; return how many exits were recorded."""
        before_s = self.runtime.executor.firm.flat_before_close_s
        if before_s is None or time.monotonic() - self._checked_at < _NEAR.total_seconds():
            return 0
        self._checked_at = time.monotonic()
        try:
            snapshot = self.runtime.snapshots.fresh(within=_SNAPSHOT_AGE)
            closes_at = None if isinstance(snapshot, AccountRefused) else self._closing_time(snapshot, before_s)
            if closes_at is None:
                return 0
            snapshot = self.runtime.snapshots.fresh(within=_NEAR)
        except (BrokerUnavailable, BrokerUnreadable, BrokerRefusesAccount) as error:
            log.debug("flat_by.waits", executor_id=self.runtime.executor.id, error=str(error))
            return 0
        return 0 if isinstance(snapshot, AccountRefused) else self._close(snapshot, closes_at=closes_at)

    def _closing_time(self, snapshot: Snapshot, before_s: float) -> str | None:
        """Return the name of the session that ends soon; None when no session does, or when that is not known."""
        now = self.record.one(datetime, sql("accounts", "now"))
        return closing_time(market_at(snapshot, now, self.runtime.calendar.around(now)), before_s=before_s)

    def _close(self, snapshot: Snapshot, *, closes_at: str) -> int:
        shares = [each for each in snapshot.positions if asset_class(each.symbol) is AssetClass.US_EQUITY]
        cancel_entries(self.record, self.runtime, only=AssetClass.US_EQUITY)
        return self.exits.close(shares, taken_at=snapshot.taken_at, root=f"{snapshot.account.number}-{closes_at}")


def closing_time(market: Market | None, *, before_s: float) -> str | None:
    """Return the name of the session that closes within *before_s* seconds: its end, as text. None when none does.

    A market that the clock shows open outside the calendar's sessions is one that is always open: its close means
    nothing. If the calendar does not cover the present, the clock alone decides.
    """
    if market is None or not market.is_open or (_is_covered(market) and not market.by_calendar):
        return None
    near = market.next_close - market.now <= timedelta(seconds=before_s)
    return market.next_close.strftime("%Y-%m-%dT%H:%MZ") if near else None


def _is_covered(market: Market) -> bool:
    """Return whether the calendar covers the present. It does not if it could not be read for a long time."""
    sessions = market.sessions
    return bool(sessions) and sessions[0].opens <= market.now < sessions[-1].closes
