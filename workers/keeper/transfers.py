"""Count deposits and withdrawals: they change the equity at the day's start and the peak, but are no profit or loss."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

import structlog
from psycopg import Connection
from psycopg.rows import DictRow

from pipeline.model.account import Transfer
from pipeline.model.errors import BrokerRefusesAccount, BrokerUnavailable, BrokerUnreadable
from pipeline.store.query import execute
from pipeline.store.record import Record
from pipeline.store.statements import sql
from workers.account.runtime import ExecutorRuntime
from workers.rules.baselines import TransferEffect, count

log = structlog.get_logger(__name__)

# Brokers list transfers late. So this much of the past is read again, and the ids show which transfers were counted.
_OVERLAP = timedelta(days=7)


@dataclass(frozen=True, kw_only=True)
class _WatchedDay:
    """The account's day, and the transfers that were counted until now."""

    holder: str
    day: date
    peak_equity: Decimal
    transfer_ids: list[str]
    transfers_through: datetime
    transfers_asked_at: datetime | None
    #: The time at which the figures of the day's start were taken.
    as_of: datetime
    now: datetime


@dataclass(frozen=True, kw_only=True)
class Transfers:
    """Counts the transfers of one executor's account, each of them once."""

    record: Record
    runtime: ExecutorRuntime

    def count_new(self, account_key: str) -> None:
        """Read the broker's list of transfers and count the new ones. A list that cannot be read is skipped."""
        watched = self.record.maybe(_WatchedDay, sql("equity_monitor", "watched_day"), {"holder": account_key})
        if watched is None:
            return
        try:
            listed = self.runtime.broker.transfers(watched.transfers_through - _OVERLAP)
        except (BrokerUnavailable, BrokerUnreadable, BrokerRefusesAccount) as error:
            # Some accounts may trade but not list transfers. Their losses are still checked.
            log.debug("transfers.unread", executor_id=self.runtime.executor.id, error=str(error))
            return
        effect = count(
            listed,
            known=watched.transfer_ids,
            since=watched.transfers_through,
            asked_before=watched.transfers_asked_at is not None,
            as_of=watched.as_of,
        )
        if self.record.run(lambda connection: _save(connection, watched, listed, effect)) and effect.amount:
            facts = {"amount": str(effect.amount), "of_the_day": str(effect.of_the_day)}
            log.info("transfers.counted", executor_id=self.runtime.executor.id, account=account_key, **facts)


def _save(
    connection: Connection[DictRow], watched: _WatchedDay, listed: Sequence[Transfer], effect: TransferEffect
) -> bool:
    """Save the new figures; return False when another process did so since *watched* was read."""
    values = {
        "holder": watched.holder,
        "known": [transfer.transfer_id for transfer in listed],
        "asked_at": watched.now,
        "amount": effect.amount,
        "peak": watched.peak_equity,
        "through": watched.transfers_through,
        "asked_before": watched.transfers_asked_at,
    }
    if not execute(connection, sql("equity_monitor", "count_transfers"), values):
        return False
    if effect.of_the_day:
        moved = {"holder": watched.holder, "day": watched.day, "amount": effect.of_the_day}
        execute(connection, sql("equity_monitor", "move_day"), moved)
    return True
