"""Count deposits and withdrawals: they move the day's start and the peak, and are neither profit nor loss."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from psycopg import Connection
from psycopg.rows import DictRow

from pipeline.model.account import Transfer
from pipeline.model.errors import BrokerRefusesAccount, BrokerUnavailable, BrokerUnreadable
from pipeline.store.record import Record
from pipeline.store.statements import sql
from workers.account.runtime import ExecutorRuntime
from workers.rules.baselines import TransferEffect, count

log = structlog.get_logger(__name__)

# Brokers list late: so far back is asked again, and known ones are known by their ids.
_OVERLAP = timedelta(days=7)


@dataclass(frozen=True, kw_only=True)
class Transfers:
    """The transfers of one executor's account, each counted once."""

    record: Record
    runtime: ExecutorRuntime

    def ask(self, account_key: str) -> bool:
        """Ask the broker for what is new and count it; False when it could not be asked.

        Raises:
            RecordUnavailable: PostgreSQL is away.
        """
        row = self.record.run(
            lambda c: c.execute(sql("equity_monitor", "watched_day"), {"holder": account_key}).fetchone()
        )
        if row is None:
            return False
        try:
            listed = self.runtime.broker.transfers(row["transfers_through"] - _OVERLAP)
        except (BrokerUnavailable, BrokerUnreadable, BrokerRefusesAccount) as error:
            # An account may trade without being allowed to list: its losses are watched all the same.
            log.debug("transfers.unread", executor_id=self.runtime.executor.id, error=str(error))
            return False
        counted = count(
            listed,
            known=row["transfer_ids"],
            since=row["transfers_through"],
            asked_before=row["transfers_asked_at"] is not None,
            as_of=row["as_of"],
        )
        if self.record.run(lambda connection: self._note(connection, row, list(listed), counted)) and counted.amount:
            facts = {"amount": str(counted.amount), "of_the_day": str(counted.of_the_day)}
            log.info("transfers.counted", executor_id=self.runtime.executor.id, account=account_key, **facts)
        return True

    def _note(
        self, connection: Connection[DictRow], row: DictRow, listed: list[Transfer], counted: TransferEffect
    ) -> bool:
        """Write the new figures down, unless somebody else did since *row* was read."""
        asked_at: datetime = row["now"]
        values = {
            "holder": row["holder"],
            "known": [each.transfer_id for each in listed],
            "asked_at": asked_at,
            "amount": counted.amount,
            "peak": row["peak_equity"],
            "through": row["transfers_through"],
            "asked_before": row["transfers_asked_at"],
        }
        if connection.execute(sql("equity_monitor", "count_transfers"), values).fetchone() is None:
            return False
        if counted.of_the_day:
            moved = {"holder": row["holder"], "day": row["day"], "amount": counted.of_the_day}
            connection.execute(sql("equity_monitor", "move_day"), moved)
        return True
