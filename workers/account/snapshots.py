"""The account and the market's clock as last read: one reading, shared by all workers of an executor and the keeper."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from psycopg.types.json import Jsonb

from config.schema.executor import ExecutorSettings
from pipeline.accounts.account_key import provisional_key
from pipeline.accounts.snapshot import Snapshot, _account_json, _clock_from, _clock_json, _position_json, snapshot_of
from pipeline.model.account import ClockReading
from pipeline.model.errors import BrokerRefusesAccount, BrokerUnavailable, BrokerUnreadable
from pipeline.store.record import Record
from pipeline.store.statements import sql
from workers.account.equity_baseline import note_reading
from workers.brokers import rate_budget
from workers.brokers.protocol import Broker
from workers.rules.retry_policy import PROBE_EVERY

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class AccountRefused:
    """The broker refuses the account; look again in *probe_in*."""

    message: str
    probe_in: timedelta


class Snapshots:
    """Reads and shares the snapshots of one executor."""

    def __init__(self, record: Record, executor: ExecutorSettings, broker: Broker) -> None:
        self._record = record
        self._executor = executor
        self._broker = broker
        self._key = {"executor_id": executor.id}

    def fresh(self, *, within: timedelta | None = None) -> Snapshot | AccountRefused:
        """Return a snapshot at most *within* old (`account_age_s` when not given), reading anew when needed.

        It is read anew when the market has opened or closed since, too.

        Raises:
            BrokerUnavailable: the broker is away, and there is no fresh reading.
            BrokerUnreadable: the broker's answer makes no sense.
            RecordUnavailable: PostgreSQL is away.
        """
        age = within if within is not None else timedelta(seconds=self._executor.limits.account_age_s)
        refused = self.refusal()
        if refused is not None:
            return refused
        row = self._record.run(lambda c: c.execute(sql("accounts", "snapshot"), self._key).fetchone())
        if row is not None and row["now"] - row["taken_at"] <= age:
            snapshot = snapshot_of(row)
            if snapshot.clock is None or snapshot.clock.holds(row["now"]):
                return snapshot
        return self.read()

    def last_clock(self) -> ClockReading | None:
        """Return the clock as last read, by anybody and however long ago; None when it never was.

        Raises:
            RecordUnavailable: PostgreSQL is away.
        """
        row = self._record.run(lambda c: c.execute(sql("accounts", "snapshot"), self._key).fetchone())
        return None if row is None else _clock_from(row["clock"])

    def read_clock(self) -> ClockReading:
        """Read the clock alone, and share it.

        Raises:
            BrokerUnavailable: the broker is away.
            BrokerRefusesAccount: it refuses the account.
            BrokerUnreadable: its answer makes no sense.
            RecordUnavailable: PostgreSQL is away.
        """
        row = self._record.run(lambda c: c.execute(sql("accounts", "now")).fetchone())
        assert row is not None
        reading = ClockReading(clock=self._broker.clock(), read_at=row["now"])
        values = self._key | {"clock": _clock_json(reading), "read_at": reading.read_at}
        self._record.run(lambda c: c.execute(sql("accounts", "save_clock"), values))
        return reading

    def refusal(self) -> AccountRefused | None:
        """Return the standing refusal of the account, having looked again if a look is due; None: it is accepted.

        Raises:
            BrokerUnavailable: a look was due, and the broker is away.
            BrokerUnreadable: a look was due, and the answer makes no sense.
            RecordUnavailable: PostgreSQL is away.
        """
        row = self._record.run(lambda c: c.execute(sql("accounts", "refusal"), self._key).fetchone())
        if row is None:
            return None
        if row["probe_due"] and self._record.run(
            lambda c: c.execute(sql("accounts", "claim_probe"), self._key | {"every": PROBE_EVERY}).fetchone()
        ):
            answer = self.read()
            return answer if isinstance(answer, AccountRefused) else None
        return AccountRefused(message=row["message"], probe_in=max(row["probe_in"], timedelta(seconds=1)))

    def read(self) -> Snapshot | AccountRefused:
        """Read the account, its positions and the clock at the broker and share them; a clock may be missing."""
        row = self._record.run(lambda c: c.execute(sql("accounts", "now")).fetchone())
        assert row is not None
        taken_at, began = row["now"], time.monotonic()
        try:
            account = self._broker.account()
            positions = tuple(self._broker.positions())
            clock = self._clock(taken_at, began)
        except BrokerRefusesAccount as error:
            return self.refused(str(error))
        pinned = self._executor.account
        if pinned is not None and account.number != pinned:
            return self.refused(f"the keys open account {account.number}, not the pinned {pinned}")
        snapshot = Snapshot(account=account, positions=positions, taken_at=taken_at, last_clock=clock)
        self._share(snapshot)
        return snapshot

    def refused(self, message: str) -> AccountRefused:
        """Write down that the broker refuses the account, said once."""
        row = self._record.run(
            lambda c: c.execute(
                sql("accounts", "refuse"), self._key | {"every": PROBE_EVERY, "message": message[:300]}
            ).fetchone()
        )
        if row is not None and row["new"]:
            log.error("account.refused", executor_id=self._executor.id, says=message[:300])
        return AccountRefused(message=message[:300], probe_in=PROBE_EVERY)

    def _clock(self, taken_at: datetime, began: float) -> ClockReading | None:
        """Read the clock as part of a reading; the account is no less known without it."""
        read_at = taken_at + timedelta(seconds=time.monotonic() - began)
        try:
            return ClockReading(clock=self._broker.clock(), read_at=read_at)
        except (BrokerUnavailable, BrokerUnreadable) as error:
            log.debug("clock.failed", executor_id=self._executor.id, error=str(error))
            return None

    def _share(self, snapshot: Snapshot) -> None:
        values = self._key | {
            "account_number": snapshot.account.number,
            "taken_at": snapshot.taken_at,
            "account": Jsonb(_account_json(snapshot.account)),
            "positions": Jsonb([_position_json(position) for position in snapshot.positions]),
            "clock": None if snapshot.last_clock is None else _clock_json(snapshot.last_clock),
        }

        def unit(connection: Any) -> Sequence[Any]:
            connection.execute(sql("switches", "adopt"), values | {"provisional": provisional_key(self._executor.id)})
            rate_budget.rename_account(connection, self._executor.id, snapshot.account.number)
            connection.execute(sql("accounts", "save_snapshot"), values)
            note_reading(connection, self._executor, snapshot.account, snapshot.positions, snapshot.taken_at)
            if connection.execute(sql("accounts", "accept"), self._key).fetchone() is None:
                return []
            rows: Sequence[Any] = connection.execute(sql("accounts", "release_refused"), self._key).fetchall()
            log.info("account.accepted", executor_id=self._executor.id, released=len(rows))
            return rows

        self._record.run(unit)
