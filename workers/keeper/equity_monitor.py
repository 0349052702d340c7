"""Watch the equity of one executor's account, and move its switches without waiting for a signal."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

import structlog
from psycopg import Connection
from psycopg.rows import DictRow

from pipeline.accounts.snapshot import Snapshot
from pipeline.model.errors import BrokerUnavailable, BrokerUnreadable
from pipeline.store.record import Record
from pipeline.store.statements import sql
from workers.account.runtime import ExecutorRuntime
from workers.keeper.loss_ladder import LossLadder, Step, say
from workers.keeper.transfers import Transfers

log = structlog.get_logger(__name__)

# While something is held, on order or recorded lately, equity is read at least every five seconds; the round itself
# takes one of them.
_AWAKE_AGE = timedelta(seconds=4)
_IDLE_AGE = timedelta(seconds=60)
# Account, positions and clock: a reading costs so many requests, and all readings no more than half of the limit.
_READING_COSTS = 3
# A broker that gives no reading is asked again after this.
_TRY_AGAIN_S = 4.0
# Unreadable for so long, with something at risk: the account reduces.
_BLIND_AFTER = timedelta(seconds=30)
# The broker is asked for deposits and withdrawals this often, and when equity jumps by a hundredth.
_TRANSFERS_EVERY_S = 300.0
_JUMP = Decimal("0.01")


@dataclass(kw_only=True)
class EquityMonitor:
    """One executor's account: read often enough, judged at each reading, whoever made it."""

    record: Record
    runtime: ExecutorRuntime
    who: str
    _ladder: LossLadder = field(init=False)
    _transfers: Transfers = field(init=False)
    _judged: datetime | None = field(default=None, init=False)
    _mended: datetime | None = field(default=None, init=False)
    _equity: Decimal | None = field(default=None, init=False)
    _let_go: bool = field(default=False, init=False)
    _not_before: float = field(default=0.0, init=False)
    _ask_transfers_at: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        """Put the parts together."""
        self._ladder = LossLadder(executor=self.runtime.executor, who=self.who)
        self._transfers = Transfers(record=self.record, runtime=self.runtime)

    def run_once(self) -> int:
        """Read the account if that is due, and judge what was read since the last time; return how much changed.

        Raises:
            RecordUnavailable: PostgreSQL is away.
        """
        look = self._look()
        if not self._limited:
            return self._unwatched(look)
        if self._due(look):
            failure = self._read()
            if failure is not None:
                return self._blind(look, failure)
            look = self._look()
        return self._judge(look["holder"]) if look["read_at"] not in (None, self._judged) else 0

    @property
    def _limited(self) -> bool:
        limits, firm = self.runtime.executor.limits, self.runtime.executor.firm
        counted = (limits.daily_loss_percent, limits.drawdown_percent, firm.consistency_percent)
        return any(limit is not None for limit in counted)

    def _look(self) -> DictRow:
        key = {"executor_id": self.runtime.executor.id}

        def unit(connection: Connection[DictRow]) -> tuple[DictRow | None, list[DictRow]]:
            look = connection.execute(sql("equity_monitor", "account_reading"), key).fetchone()
            if look is None or look["taken_at"] in (None, self._mended):
                return look, []
            return look, connection.execute(sql("equity_monitor", "mend_holdings"), key).fetchall()

        look, mended = self.record.run(unit)
        assert look is not None
        self._mended = look["taken_at"]
        for row in mended:
            facts = {"symbol": row["symbol"], "strategy": row["strategy"]}
            log.warning("holding.closed_elsewhere", executor_id=self.runtime.executor.id, **facts)
        return look

    def _due(self, look: DictRow) -> bool:
        if time.monotonic() < self._not_before:
            return False
        within = self._awake_age if look["exposed"] or look["active"] else _IDLE_AGE
        return look["age"] is None or look["age"] > within

    @property
    def _awake_age(self) -> timedelta:
        per_minute = self.runtime.executor.limits.requests_per_minute
        if per_minute is None:
            return _AWAKE_AGE
        return max(_AWAKE_AGE, timedelta(seconds=60 * 2 * _READING_COSTS / per_minute))

    def _read(self) -> str | None:
        """Read the account; return why that was not possible."""
        try:
            seen = self.runtime.snapshots.fresh(within=timedelta(0))
        except (BrokerUnavailable, BrokerUnreadable) as error:
            failure = str(error)
        else:
            if isinstance(seen, Snapshot):
                return None
            failure = seen.message
        self._not_before = time.monotonic() + _TRY_AGAIN_S
        return failure

    def _judge(self, account_key: str) -> int:
        """Count transfers where they may matter, then climb."""
        if self._wants_transfers(account_key):
            self._ask_transfers_at = time.monotonic() + _TRANSFERS_EVERY_S
            self._transfers.ask(account_key)

        def unit(connection: Connection[DictRow]) -> tuple[DictRow | None, list[Step]]:
            row = connection.execute(sql("equity_monitor", "watched"), {"holder": account_key}).fetchone()
            return row, self._ladder.climb(connection, account_key)

        row, steps = self.record.run(unit)
        if row is not None:
            self._judged, self._equity = row["read_at"], row["equity"]
        return self._said(account_key, steps)

    def _wants_transfers(self, account_key: str) -> bool:
        """Ask now and then, when equity jumped, and before the account is stopped for what may be a withdrawal."""
        row = self.record.run(lambda c: c.execute(sql("equity_monitor", "watched"), {"holder": account_key}).fetchone())
        if row is None:
            return False
        before = self._equity
        jumped = before is not None and abs(row["equity"] - before) > abs(before) * _JUMP
        if jumped or time.monotonic() >= self._ask_transfers_at:
            return True
        return self.record.run(lambda connection: self._ladder.stops(connection, account_key))

    def _blind(self, look: DictRow, failure: str) -> int:
        """Note that the account cannot be read, and reduce it when that has lasted and something is at risk."""
        account_key = look["holder"]
        log.debug("account.unread", executor_id=self.runtime.executor.id, error=failure)
        if account_key is None:
            return 0

        def unit(connection: Connection[DictRow]) -> list[Step]:
            row = connection.execute(sql("equity_monitor", "unreadable"), {"holder": account_key}).fetchone()
            if row is None or not look["exposed"] or row["unreadable_for"] < _BLIND_AFTER:
                return []
            return self._ladder.blind(connection, account_key, row)

        return self._said(account_key, self.record.run(unit))

    def _unwatched(self, look: DictRow) -> int:
        """Let go, once, of what was reduced while there were limits."""
        account_key = look["holder"]
        if self._let_go or account_key is None:
            return 0
        steps = self.record.run(lambda connection: self._ladder.let_go(connection, account_key))
        self._let_go = True
        return self._said(account_key, steps)

    def _said(self, account_key: str, steps: list[Step]) -> int:
        say(self.runtime.executor.id, account_key, steps)
        return len(steps)
