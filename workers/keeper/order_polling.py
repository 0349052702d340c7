"""Follow accepted orders to their end by polling, and keep the snapshots of accounts fresh."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import structlog
from psycopg.rows import DictRow

from pipeline.model.crash_points import reached
from pipeline.model.errors import BrokerRefusesAccount, BrokerUnavailable, BrokerUnreadable, BudgetUsedUp
from pipeline.model.orders import BrokerOrder
from pipeline.store.record import Record
from pipeline.store.statements import sql
from workers.account.runtime import ExecutorRuntime
from workers.brokers.protocol import Broker, More
from workers.brokers.rate_budget import Purpose
from workers.keeper.order_updates import OrderUpdates
from workers.keeper.poll_interval import PollInterval

log = structlog.get_logger(__name__)

# An order is young for so long: most end in it, and a list of young orders is short.
_YOUNG = timedelta(seconds=60)
# So many orders at once are asked for one by one; for more, a page of the closed ones is cheaper.
_SINGLY = 3
# Clocks differ: a list "since" an intent starts a little before it.
_CLOCKS_DIFFER = timedelta(seconds=10)
# A snapshot is fresh for five seconds; read anew a little earlier, so that workers find it fresh.
_SNAPSHOT_AGE = timedelta(seconds=3)


@dataclass(frozen=True, kw_only=True)
class OrderPolling:
    """Reads one executor's orders at the broker and moves their executions. Running it twice changes nothing.

    A round is one request in the normal case: the list of young orders, or the list of open ones. Only what ended
    since, and is in neither, costs more.
    """

    record: Record
    runtime: ExecutorRuntime
    who: str
    pace: PollInterval = field(default_factory=PollInterval)

    def run_once(self) -> int:
        """Poll once, if there is an order without a last word, and return how many executions moved.

        Raises:
            RecordUnavailable: PostgreSQL is away.
        """
        moved = 0
        try:
            waiting = self._waiting(set())
            if self.runtime.snapshots.refusal() is not None:
                return 0
            if waiting["canceling"] or self.pace.is_due():
                moved = self._poll(waiting)
            if not self._watched and self._active():
                self.runtime.snapshots.fresh(within=_SNAPSHOT_AGE)
        except BrokerRefusesAccount as error:
            self.runtime.snapshots.refused(str(error))
        except BudgetUsedUp as error:
            self.pace.refused(error)
            self._failed(error)
        except (BrokerUnavailable, BrokerUnreadable) as error:
            self._failed(error)
        return moved

    def _poll(self, waiting: DictRow) -> int:
        """Ask for what is waited for: by the open ones, by the young ones, and singly, the cheapest first."""
        if not (waiting["young"] or waiting["old"] or waiting["lost"]):
            return 0
        # An exit waits for a cancel: its poll is as urgent as the exit.
        broker = self.runtime.urgent if waiting["canceling"] else self.runtime.broker
        updates = OrderUpdates(record=self.record, broker=broker, who=self.who)
        moved, seen = 0, set[str]()
        if waiting["old"] or waiting["lost"]:
            moved += updates.apply(_list(broker, "open"), seen)
            waiting = self._waiting(seen)
        since = self._since(waiting)
        if since is not None:
            moved += updates.apply(_list(broker, "all", since=since), seen)
        if waiting["olds"] > _SINGLY:
            moved += updates.apply(_list(broker, "closed", since=waiting["old"], more=lambda: False), seen)
        moved += self._ask_singly(broker, updates, seen)
        self.pace.polled(left=self.runtime.budget.left(Purpose.POLL))
        return moved

    def _since(self, waiting: DictRow) -> datetime | None:
        """Return since when to list orders whatever became of them; now and then since the oldest that may exist."""
        since: datetime | None = waiting["young"]
        if waiting["lost"] and self.pace.sweep_is_due():
            since = waiting["lost"]
        return since

    def _ask_singly(self, broker: Broker, updates: OrderUpdates, seen: set[str]) -> int:
        """Ask for a few of the orders that no list showed."""
        values = self._key(seen) | {"limit": _SINGLY}
        rows = self.record.run(lambda connection: connection.execute(sql("keeper", "ask_singly"), values).fetchall())
        moved = 0
        for row in rows:
            order = broker.order(row["order_id"])
            if order is not None:
                moved += updates.apply([order], seen)
            else:
                updates.vanished(row)
        return moved

    def _waiting(self, seen: set[str]) -> DictRow:
        key = self._key(seen)
        row = self.record.run(lambda connection: connection.execute(sql("keeper", "to_poll"), key).fetchone())
        assert row is not None, "aggregates are one row"
        return row

    def _key(self, seen: set[str]) -> dict[str, Any]:
        return {"executor_id": self.runtime.executor.id, "heard": list(seen), "young": _YOUNG}

    @property
    def _watched(self) -> bool:
        """Whether the equity watch reads the account as often; two readers would cost twice as much."""
        limits = self.runtime.executor.limits
        return limits.daily_loss_percent is not None or limits.drawdown_percent is not None

    def _active(self) -> bool:
        rows = self.record.run(lambda connection: connection.execute(sql("keeper", "active_executors")).fetchall())
        return any(row["executor_id"] == self.runtime.executor.id for row in rows)

    def _failed(self, error: Exception) -> None:
        log.debug("poll.failed", executor_id=self.runtime.executor.id, error=str(error))


def _list(
    broker: Broker, status: str, *, since: datetime | None = None, more: More | None = None
) -> Sequence[BrokerOrder]:
    orders = broker.orders(status=status, since=None if since is None else since - _CLOCKS_DIFFER, more=more)
    reached("keeper.after_poll")
    return orders
