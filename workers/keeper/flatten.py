"""Flatten an account: cancel everything, close everything, wait, and again until it is flat."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import structlog
from psycopg import Connection
from psycopg.rows import DictRow

from pipeline.accounts.account_key import account_keys_of
from pipeline.accounts.snapshot import Snapshot
from pipeline.model.errors import BrokerRefusesAccount, BrokerUnavailable, BrokerUnreadable
from pipeline.model.orders import is_our_order
from pipeline.store.record import Record
from pipeline.store.rows import FromRow
from pipeline.store.statements import sql
from workers.account.runtime import ExecutorRuntime
from workers.account.snapshots import AccountRefused, Snapshots
from workers.keeper.closing_exits import ClosingExits
from workers.keeper.entry_cancellation import cancel_entries

log = structlog.get_logger(__name__)

# While nothing moves, the broker is looked at so often; when something did, sooner. A look is four requests.
_LOOK_EVERY_S, _LOOK_SOON_S = 5.0, 1.0
_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Movement(FromRow):
    """What of our orders may still change a position."""

    #: One works, or may.
    open: bool
    #: One filled since the positions were read.
    moved: bool
    #: So many executions are not decided.
    undecided: int


@dataclass(kw_only=True)
class Flatten:
    """Flattens one executor's account while a switch asks for it. Two keepers record each exit once."""

    record: Record
    runtime: ExecutorRuntime
    closing: ClosingExits
    who: str
    _looked_at: float = float("-inf")
    _taken_at: datetime = _NEVER
    _seen: Movement | None = None
    _said: set[Any] = field(default_factory=set)

    def run_once(self) -> int:
        """Do the next step towards flat, if a switch asks for it; return how many exits were recorded.

        Raises:
            RecordUnavailable: PostgreSQL is away.
        """
        asked = self.record.run(self._asked)
        if not asked or not self._due():
            return 0
        self._say(asked[0])
        self._looked_at = time.monotonic()
        cancel_entries(self.record, self.runtime)
        try:
            foreign = self._cancel_foreign()
            snapshot = self._positions()
        except (BrokerUnavailable, BrokerUnreadable, BrokerRefusesAccount) as error:
            log.debug("flatten.waits", executor_id=self.runtime.executor.id, error=str(error))
            return 0
        if isinstance(snapshot, AccountRefused):
            return 0
        self._taken_at = snapshot.taken_at
        self._seen = self._movement()
        recorded = self.closing.close(snapshot.positions, taken_at=snapshot.taken_at, root=str(asked[0]["switch_id"]))
        if not (foreign or self._seen.open or self._seen.moved or any(each.quantity for each in snapshot.positions)):
            self._done(asked)
        return recorded

    def _asked(self, connection: Connection[DictRow]) -> list[DictRow]:
        key = {"holders": account_keys_of(connection, self.runtime.executor.id)}
        return connection.execute(sql("switches", "flattening"), key).fetchall()

    def _due(self) -> bool:
        """Say whether to look at the broker: a look costs requests, and most often nothing has changed."""
        waited_s = time.monotonic() - self._looked_at
        if waited_s < _LOOK_SOON_S:
            return False
        movement = self._movement()
        return waited_s >= _LOOK_EVERY_S or movement != self._seen or movement.moved

    def _movement(self) -> Movement:
        key = {"executor_id": self.runtime.executor.id, "taken_at": self._taken_at}
        row = self.record.run(lambda connection: connection.execute(sql("switches", "moving"), key).fetchone())
        assert row is not None
        return Movement.of(row)

    def _cancel_foreign(self) -> int:
        """Ask for a cancel of orders that are not ours: they may hold the shares that are to be sold."""
        orders = self.runtime.urgent.orders(status="open")
        foreign = [order for order in orders if not is_our_order(order.client_order_id)]
        for order in foreign:
            self.runtime.urgent.cancel(order.order_id)
        return len(foreign)

    def _positions(self) -> Snapshot | AccountRefused:
        """Read anew, and paid for as what must go through."""
        return Snapshots(self.record, self.runtime.executor, self.runtime.urgent).read()

    def _say(self, first: DictRow) -> None:
        if first["switch_id"] not in self._said:
            self._said.add(first["switch_id"])
            log.warning("flatten.began", executor_id=self.runtime.executor.id, cause=first["cause"], by=first["set_by"])

    def _done(self, asked: list[DictRow]) -> None:
        values = {"switch_ids": [row["switch_id"] for row in asked], "by": self.who, "why": "everything is closed"}
        if self.record.run(lambda connection: connection.execute(sql("switches", "flattened"), values).fetchall()):
            log.info("account.flattened", executor_id=self.runtime.executor.id)
