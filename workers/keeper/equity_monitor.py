"""Watch the equity of one executor's account, and set its switches without waiting for a signal."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

import structlog
from psycopg import Connection
from psycopg.rows import DictRow

from pipeline.accounts.equity import equity_baseline
from pipeline.accounts.losses import EquityBaseline
from pipeline.accounts.snapshot import Snapshot
from pipeline.accounts.switches import active_switches
from pipeline.model.errors import BrokerUnavailable, BrokerUnreadable
from pipeline.model.switches import Switch
from pipeline.store.query import fetch_all, fetch_maybe, fetch_one
from pipeline.store.record import Record
from pipeline.store.statements import sql
from workers.account.runtime import ExecutorRuntime
from workers.keeper.loss_switches import LossLimitSwitches, Step, log_steps
from workers.keeper.transfers import Transfers

log = structlog.get_logger(__name__)

# The age after which equity is read again while the account has a position, an open order or a new execution. The task
# runs each second, so equity is then read at least every five seconds, unless a low request limit forbids that.
_ACTIVE_AGE = timedelta(seconds=4)
_IDLE_AGE = timedelta(seconds=60)
# A reading costs three requests: account, positions and clock. The readings may use half of the account's requests.
_READING_COSTS = 3
# The pause after a reading that failed.
_RETRY_S = 4.0
# An exposed account that was unreadable for this long is set to closing only.
_UNREADABLE_AFTER = timedelta(seconds=30)
# When a new reading is evaluated, transfers are read if they were not read for this long, if the equity differs by more
# than 1 % from that of the reading evaluated before, or if the account's loss would stop its entries.
_TRANSFERS_EVERY_S = 300.0
_JUMP = Decimal("0.01")


@dataclass(frozen=True, kw_only=True)
class _AccountReading:
    """The newest reading of an account. Its figures are None before the first one."""

    holder: str | None
    taken_at: datetime | None
    age: timedelta | None
    #: The time of the newest reading that can be evaluated.
    read_at: datetime | None
    #: The account holds a position, even an unreadable one, or an order of ours may be open.
    exposed: bool
    #: An execution was recorded within the last minute, and not skipped.
    active: bool


@dataclass(frozen=True, kw_only=True)
class _Unreadable:
    read_at: datetime
    unreadable_since: datetime
    unreadable_for: timedelta


@dataclass(frozen=True, kw_only=True)
class _ClosedHolding:
    symbol: str
    strategy: str


@dataclass(kw_only=True)
class EquityMonitor:
    """Reads an account that has a loss limit or a consistency rule, and evaluates its newest reading.

    The newest reading may be that of another process.
    """

    record: Record
    runtime: ExecutorRuntime
    who: str
    _loss_switches: LossLimitSwitches = field(init=False)
    _transfers: Transfers = field(init=False)
    _evaluated: datetime | None = field(default=None, init=False)
    _holdings_checked: datetime | None = field(default=None, init=False)
    _equity: Decimal | None = field(default=None, init=False)
    _released: bool = field(default=False, init=False)
    _not_before: float = field(default=0.0, init=False)
    _transfers_at: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        """Create the parts that set the switches and count the transfers."""
        self._loss_switches = LossLimitSwitches(executor=self.runtime.executor, who=self.who)
        self._transfers = Transfers(record=self.record, runtime=self.runtime)

    def run_once(self) -> int:
        """Read the account if that is due, and evaluate a new reading; return the number of changes and warnings.

        Without such limits, only lift the closing-only switches that earlier limits have set.
        """
        reading = self._newest_reading()
        if not self.runtime.executor.limits_equity:
            return self._release(reading.holder)
        if self._is_due(reading):
            failure = self._read_account()
            if failure is not None:
                return self._handle_unreadable(reading, failure)
            reading = self._newest_reading()
        if reading.holder is None or reading.read_at in (None, self._evaluated):
            return 0
        return self._evaluate(reading.holder)

    def _newest_reading(self) -> _AccountReading:
        """Return the newest reading, and correct recorded holdings whose positions it does not show any more."""
        key = {"executor_id": self.runtime.executor.id}

        def unit(connection: Connection[DictRow]) -> tuple[_AccountReading, list[_ClosedHolding]]:
            reading = fetch_one(connection, _AccountReading, sql("equity_monitor", "account_reading"), key)
            if reading.taken_at in (None, self._holdings_checked):
                return reading, []
            return reading, fetch_all(connection, _ClosedHolding, sql("equity_monitor", "clear_holdings"), key)

        reading, closed = self.record.run(unit)
        self._holdings_checked = reading.taken_at
        for holding in closed:
            facts = {"symbol": holding.symbol, "strategy": holding.strategy}
            log.warning("holding.closed_elsewhere", executor_id=self.runtime.executor.id, **facts)
        return reading

    def _is_due(self, reading: _AccountReading) -> bool:
        if time.monotonic() < self._not_before:
            return False
        longest = self._active_age if reading.exposed or reading.active else _IDLE_AGE
        return reading.age is None or reading.age > longest

    @property
    def _active_age(self) -> timedelta:
        per_minute = self.runtime.executor.limits.requests_per_minute
        if per_minute is None:
            return _ACTIVE_AGE
        return max(_ACTIVE_AGE, timedelta(seconds=60 * 2 * _READING_COSTS / per_minute))

    def _read_account(self) -> str | None:
        """Read the account; return why that failed, or None."""
        try:
            snapshot = self.runtime.snapshots.fresh(within=timedelta(0))
        except (BrokerUnavailable, BrokerUnreadable) as error:
            failure = str(error)
        else:
            if isinstance(snapshot, Snapshot):
                return None
            failure = snapshot.message
        self._not_before = time.monotonic() + _RETRY_S
        return failure

    def _evaluate(self, account_key: str) -> int:
        """Count new transfers if they may matter now, then evaluate the loss limits."""
        if self._transfers_are_due(account_key):
            self._transfers_at = time.monotonic() + _TRANSFERS_EVERY_S
            self._transfers.count_new(account_key)

        def unit(connection: Connection[DictRow]) -> tuple[EquityBaseline | None, list[Step]]:
            return equity_baseline(connection, account_key), self._loss_switches.update(connection, account_key)

        baseline, steps = self.record.run(unit)
        if baseline is not None:
            self._evaluated, self._equity = baseline.read_at, baseline.equity
        return self._log(account_key, steps)

    def _transfers_are_due(self, account_key: str) -> bool:
        """Return whether to read transfers: at an interval, after a jump of equity, and before a loss stops entries."""

        def unit(connection: Connection[DictRow]) -> tuple[EquityBaseline | None, list[Switch]]:
            return equity_baseline(connection, account_key), active_switches(connection, account_key)

        baseline, switches = self.record.run(unit)
        if baseline is None:
            return False
        before = self._equity
        jumped = before is not None and abs(baseline.equity - before) > abs(before) * _JUMP
        return jumped or time.monotonic() >= self._transfers_at or self._loss_switches.would_stop(baseline, switches)

    def _handle_unreadable(self, reading: _AccountReading, failure: str) -> int:
        """Record that the account cannot be read. If that has lasted, set an exposed account to closing only."""
        account_key = reading.holder
        log.debug("account.unread", executor_id=self.runtime.executor.id, error=failure)
        if account_key is None:
            return 0

        def unit(connection: Connection[DictRow]) -> list[Step]:
            key = {"holder": account_key}
            unreadable = fetch_maybe(connection, _Unreadable, sql("equity_monitor", "record_unreadable"), key)
            if unreadable is None or not reading.exposed or unreadable.unreadable_for < _UNREADABLE_AFTER:
                return []
            since = {"read_at": unreadable.read_at, "unreadable_since": unreadable.unreadable_since}
            return self._loss_switches.reduce_unreadable(connection, account_key, **since)

        return self._log(account_key, self.record.run(unit))

    def _release(self, account_key: str | None) -> int:
        """Lift the closing-only switches of limits that the executor no longer has. Each process does this once."""
        if self._released or account_key is None:
            return 0
        steps = self.record.run(lambda connection: self._loss_switches.release(connection, account_key))
        self._released = True
        return self._log(account_key, steps)

    def _log(self, account_key: str, steps: Sequence[Step]) -> int:
        log_steps(self.runtime.executor.id, account_key, steps)
        return len(steps)
