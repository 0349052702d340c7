"""Read the account and the market's clock, and share each reading among the executor's workers and the keeper."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import datetime, timedelta

import structlog
from psycopg import Connection
from psycopg.rows import DictRow

from config.schema.executor import ExecutorSettings
from pipeline.accounts.account_key import provisional_key
from pipeline.accounts.snapshot import Snapshot, SnapshotRow, clock_value, snapshot_values
from pipeline.model.account import ClockReading
from pipeline.model.errors import BrokerRefusesAccount, BrokerUnavailable, BrokerUnreadable
from pipeline.model.reasons import Code
from pipeline.store.query import execute
from pipeline.store.record import Record
from pipeline.store.statements import sql
from workers.account.equity_baseline import note_reading
from workers.account.refusals import AccountRefused, Refusals
from workers.brokers.protocol import Broker, UnreadableRow
from workers.brokers.rate_budget import rename_account

log = structlog.get_logger(__name__)

# A reading is three short requests. While one process reads, the others wait for its result for at most this long, and
# then read the account themselves.
_READING = timedelta(seconds=2)
_LOOK_AGAIN_S = 0.03


class Snapshots:
    """Reads and shares the snapshots of one executor's account.

    Every method raises `RecordUnavailable` while PostgreSQL is away.
    """

    def __init__(self, record: Record, executor: ExecutorSettings, broker: Broker, *, keys: str = "") -> None:
        self._record = record
        self._executor = executor
        self._broker = broker
        self._keys = keys
        self._key = {"executor_id": executor.id}
        self._refusals = Refusals(record, executor.id)

    def through(self, broker: Broker) -> Snapshots:
        """Return the same account's snapshots, read through *broker*, whose requests may have another purpose."""
        return Snapshots(self._record, self._executor, broker, keys=self._keys)

    def fresh(self, *, within: timedelta | None = None) -> Snapshot | AccountRefused:
        """Return a snapshot that is at most *within* old; the default is the executor's `account_age_s`.

        The broker is read if the shared snapshot is older, if it was read with other keys, or if the market has opened
        or closed since it was read. If several processes need a new one, one of them reads, and the others wait for
        its reading. Return the refusal instead while the broker refuses the account.

        Raises:
            BrokerUnavailable: the broker had to be read, and it is away.
            BrokerUnreadable: the broker had to be read, and its answer makes no sense.
        """
        age = within if within is not None else timedelta(seconds=self._executor.limits.account_age_s)
        known = self.refusal() or self._recent(age)
        if known is not None or not age:
            return known or self.read()
        until = time.monotonic() + _READING.total_seconds()
        while time.monotonic() < until:
            claim = self._record.maybe(datetime, sql("accounts", "claim_reading"), self._key | {"at_most": _READING})
            try:
                # Another process may have finished its reading a moment ago.
                known = self.refusal() or self._recent(age)
                if known is not None or claim is not None:
                    return known or self.read()
            finally:
                if claim is not None:
                    self._record.do(sql("accounts", "end_reading"), self._key | {"until": claim})
            self._record.stopping.wait(_LOOK_AGAIN_S)
        return self.read()

    def last(self) -> Snapshot | AccountRefused:
        """Return the newest shared snapshot, however old, with a recent clock. This is enough for an exit.

        The account is read only if there is no shared snapshot, if it was read with other keys, or to probe whether the
        broker still refuses the account. The clock alone is read if its reading is missing, older than `account_age_s`,
        or from before the market last opened or closed. If that fails, an old reading is used until the market next
        opens or closes; after that, the snapshot has no clock.

        Raises:
            BrokerUnavailable: the account had to be read, and the broker is away.
            BrokerUnreadable: the account had to be read, and the broker's answer makes no sense.
        """
        refused = self.refusal()
        if refused is not None:
            return refused
        row = self._shared()
        if row is None or row.keys != self._keys:
            return self.read()
        clock = row.last_clock()
        kept = timedelta(seconds=self._executor.limits.account_age_s)
        if clock is None or not clock.holds(row.now) or row.now - clock.read_at > kept:
            try:
                clock = self.read_clock()
            except BrokerRefusesAccount as error:
                return self.refused(str(error))
            except (BrokerUnavailable, BrokerUnreadable) as error:
                log.debug("clock.failed", executor_id=self._executor.id, error=str(error))
                clock = clock if clock is not None and clock.holds(row.now) else None
        snapshot = row.snapshot()
        taken_at = snapshot.taken_at if clock is None else min(snapshot.taken_at, clock.read_at)
        return replace(snapshot, last_clock=clock, taken_at=taken_at)

    def last_clock(self) -> ClockReading | None:
        """Return the newest shared reading of the clock, however old it is; None before the first reading."""
        row = self._shared()
        return None if row is None else row.last_clock()

    def number(self) -> str | AccountRefused:
        """Return the account's number. The account is read if it was not read with these keys yet. Raises as `read`."""
        refused = self.refusal()
        if refused is not None:
            return refused
        row = self._shared()
        if row is not None and row.keys == self._keys:
            return str(row.account["number"])
        read = self.fresh()
        return read if isinstance(read, AccountRefused) else read.account.number

    def broker_time(self, at: datetime) -> datetime:
        """Return the earlier of *at* and the broker's time at that moment.

        A list of orders that begins there contains every order sent since *at*, even if the broker's clock is behind.
        """
        last = self.last_clock()
        return at if last is None else min(at, last.at(at))

    def read_clock(self) -> ClockReading:
        """Read the clock alone, and share it.

        Raises:
            BrokerUnavailable: the broker is away.
            BrokerRefusesAccount: the broker refuses the account.
            BrokerUnreadable: the broker's answer makes no sense.
        """
        read_at = self._now()
        reading = ClockReading(clock=self._broker.clock(), read_at=read_at)
        self._record.do(sql("accounts", "save_clock"), self._key | {"clock": clock_value(reading), "read_at": read_at})
        return reading

    def refusal(self) -> AccountRefused | None:
        """Return the refusal of the account; None when the broker accepts it.

        If a probe is due and no other process makes it, the account is read first.

        Raises:
            BrokerUnavailable: a probe was due, and the broker is away.
            BrokerUnreadable: a probe was due, and the answer makes no sense.
        """
        refusal = self._refusals.current()
        if refusal is None:
            return None
        if refusal.probe_due and self._refusals.claim_probe():
            answer = self.read()
            return answer if isinstance(answer, AccountRefused) else None
        return refusal.as_refused()

    def read(self) -> Snapshot | AccountRefused:
        """Read the account, its positions and the clock at the broker, and share them.

        If only the clock cannot be read, the snapshot has no clock. Return the refusal instead if the broker refuses
        the account, or if the keys belong to another account than the pinned one.

        Raises:
            BrokerUnavailable: the broker is away.
            BrokerUnreadable: the broker's answer makes no sense.
        """
        taken_at, began = self._now(), time.monotonic()
        try:
            account = self._broker.account()
            unreadable: list[UnreadableRow] = []
            positions = tuple(self._broker.positions(on_unreadable=unreadable.append))
            clock = self._clock(taken_at, began)
        except BrokerRefusesAccount as error:
            return self.refused(str(error))
        pinned = self._executor.account
        if pinned is not None and account.number != pinned:
            return self.refused(f"the keys belong to account {account.number}, not the pinned {pinned}")
        snapshot = Snapshot(
            account=account,
            positions=positions,
            taken_at=taken_at,
            last_clock=clock,
            unreadable=tuple(row.row_id for row in unreadable),
        )
        self.share(snapshot)
        return snapshot

    def refused(self, message: str) -> AccountRefused:
        """Record that the account is refused, and return the refusal."""
        return self._refusals.note(message)

    def share(self, snapshot: Snapshot) -> None:
        """Record a reading of the account; the account counts as accepted from then on."""
        values = self._key | snapshot_values(snapshot) | {"keys": self._keys}

        def unit(connection: Connection[DictRow]) -> None:
            provisional = {"provisional": provisional_key(self._executor.id)}
            execute(connection, sql("switches", "adopt"), values | provisional)
            rename_account(connection, self._executor.id, snapshot.account.number)
            execute(connection, sql("accounts", "save_snapshot"), values)
            note_reading(connection, self._executor, snapshot.account, snapshot.positions, snapshot.taken_at)
            if execute(connection, sql("accounts", "accept"), self._key) > 0:
                code = {"code": Code.BROKER_REFUSES_ACCOUNT}
                released = execute(connection, sql("accounts", "release_refused"), self._key | code)
                log.info("account.accepted", executor_id=self._executor.id, released=released)

        self._record.run(unit)

    def _clock(self, taken_at: datetime, began: float) -> ClockReading | None:
        """Read the clock as part of a reading; None when that fails, because the account is useful without it."""
        read_at = taken_at + timedelta(seconds=time.monotonic() - began)
        try:
            return ClockReading(clock=self._broker.clock(), read_at=read_at)
        except (BrokerUnavailable, BrokerUnreadable) as error:
            log.debug("clock.failed", executor_id=self._executor.id, error=str(error))
            return None

    def _recent(self, age: timedelta) -> Snapshot | None:
        """Return the shared snapshot if it was read with these keys, at most *age* ago.

        None if the market has opened or closed since its clock was read. A snapshot without a clock is returned.
        """
        row = self._shared()
        if row is None or row.keys != self._keys or row.now - row.taken_at > age:
            return None
        snapshot = row.snapshot()
        return snapshot if snapshot.clock is None or snapshot.clock.holds(row.now) else None

    def _shared(self) -> SnapshotRow | None:
        return self._record.maybe(SnapshotRow, sql("accounts", "snapshot"), self._key)

    def _now(self) -> datetime:
        return self._record.one(datetime, sql("accounts", "now"))
