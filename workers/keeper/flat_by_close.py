"""Close all shares some time before the market does, where a firm wants no position overnight."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta

import structlog

from pipeline.accounts.snapshot import Snapshot
from pipeline.model.errors import BrokerRefusesAccount, BrokerUnavailable, BrokerUnreadable
from pipeline.model.symbols import AssetClass, asset_class
from pipeline.store.record import Record
from pipeline.store.statements import sql
from workers.account.calendar import market_at
from workers.account.runtime import ExecutorRuntime
from workers.account.snapshots import AccountRefused
from workers.keeper.closing_exits import ClosingExits
from workers.keeper.entry_cancellation import cancel_entries
from workers.rules.market_hours import Market

log = structlog.get_logger(__name__)

# Far from the close a clock of so long ago will do: it is carried forward.
_READING = timedelta(seconds=30)
# Near it the positions are read as often.
_NEAR = timedelta(seconds=2)


@dataclass(kw_only=True)
class FlatByClose:
    """Closes one executor's shares before each session's end, half days included. Crypto has no close."""

    record: Record
    runtime: ExecutorRuntime
    closing: ClosingExits
    _looked_at: float = float("-inf")

    def run_once(self) -> int:
        """Close what is held if the time has come; return how many exits were recorded.

        Raises:
            RecordUnavailable: PostgreSQL is away.
        """
        before_s = self.runtime.executor.firm.flat_before_close_s
        if before_s is None or time.monotonic() - self._looked_at < _NEAR.total_seconds():
            return 0
        self._looked_at = time.monotonic()
        try:
            snapshot = self.runtime.snapshots.fresh(within=_READING)
            closes_at = None if isinstance(snapshot, AccountRefused) else self._closing_time(snapshot, before_s)
            if closes_at is None:
                return 0
            snapshot = self.runtime.snapshots.fresh(within=_NEAR)
        except (BrokerUnavailable, BrokerUnreadable, BrokerRefusesAccount) as error:
            log.debug("flat_by.waits", executor_id=self.runtime.executor.id, error=str(error))
            return 0
        return 0 if isinstance(snapshot, AccountRefused) else self._close(snapshot, root=closes_at)

    def _closing_time(self, snapshot: Snapshot, before_s: float) -> str | None:
        """Return the name of the session whose end is near; None while it is not, or nobody can tell."""
        row = self.record.run(lambda connection: connection.execute(sql("accounts", "now")).fetchone())
        assert row is not None
        market = market_at(snapshot, row["now"], self.runtime.calendar.around(row["now"]))
        return closing_time(market, before_s=before_s)

    def _close(self, snapshot: Snapshot, *, root: str) -> int:
        shares = [each for each in snapshot.positions if asset_class(each.symbol) is AssetClass.US_EQUITY]
        cancel_entries(self.record, self.runtime, only=AssetClass.US_EQUITY)
        return self.closing.close(shares, taken_at=snapshot.taken_at, root=f"{snapshot.account.number}-{root}")


def closing_time(market: Market | None, *, before_s: float) -> str | None:
    """Return the end of the session that closes within *before_s* seconds, as its name; None when none does.

    A market whose clock denies its calendar is open always, and its close means nothing. Where nobody knows the
    calendar of the day, the clock's word is taken.
    """
    if market is None or not market.is_open or (_covered(market) and not market.by_calendar):
        return None
    near = market.next_close - market.now <= timedelta(seconds=before_s)
    return market.next_close.strftime("%Y-%m-%dT%H:%MZ") if near else None


def _covered(market: Market) -> bool:
    """Say whether the calendar that is held speaks of now: one that could not be read for long does not."""
    sessions = market.sessions
    return bool(sessions) and sessions[0].opens <= market.now < sessions[-1].closes
