"""Flatten an account: cancel all orders and close all positions, and repeat that until the account is flat."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

import structlog

from pipeline.accounts.snapshot import Snapshot
from pipeline.accounts.switches import FlattenRequest, end_flatten, flatten_requests
from pipeline.model.account import Position
from pipeline.model.errors import BrokerRefusesAccount, BrokerUnavailable, BrokerUnreadable
from pipeline.model.symbols import AssetClass, asset_class
from pipeline.store.record import Record
from pipeline.store.statements import sql
from workers.account.refusals import AccountRefused
from workers.account.runtime import ExecutorRuntime
from workers.execution.cancels import cancel_foreign
from workers.keeper.closing_exits import ClosingExits
from workers.keeper.entry_cancellation import cancel_entries
from workers.keeper.open_orders import OpenOrders, OtherOrders

log = structlog.get_logger(__name__)

# The pauses between two checks at the broker: while nothing of ours changes, and after a change. A check costs four
# requests.
_CHECK_EVERY_S, _CHECK_SOON_S = 5.0, 1.0
_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class _Activity:
    """Our orders that may change a position."""

    #: An order of ours is working, or may be.
    open: bool
    #: An order filled after the positions were read.
    filled_since: bool
    #: The number of executions that are not decided.
    undecided: int


@dataclass(kw_only=True)
class Flatten:
    """Flattens one executor's account while a switch asks for it. Even with two keepers, each exit is recorded once."""

    record: Record
    runtime: ExecutorRuntime
    exits: ClosingExits
    open_orders: OpenOrders
    who: str
    _checked_at: float = float("-inf")
    _taken_at: datetime = _NEVER
    _activity: _Activity | None = None
    _reported: set[UUID] = field(default_factory=set)

    def run_once(self) -> int:
        """Take the next step if a switch asks to flatten; return how many exits were recorded."""
        requests = self.record.run(lambda connection: flatten_requests(connection, self.runtime.executor.id))
        if not requests or not self._is_due():
            return 0
        self._report(requests[0])
        self._checked_at = time.monotonic()
        cancel_entries(self.record, self.runtime)
        snapshot = self._read_account()
        others = self._cancel_others(snapshot)
        return 0 if snapshot is None else self._close(snapshot, requests, others)

    def _close(self, snapshot: Snapshot, requests: Sequence[FlattenRequest], others: OtherOrders | None) -> int:
        """Record the exits that are missing, and end the requests when the account is flat."""
        self._taken_at = snapshot.taken_at
        self._activity = self._read_activity()
        root = str(requests[0].switch_id)
        reducing = () if others is None else others.reducing

        def cancel_reducing(position: Position, execution_id: UUID) -> None:
            # Until the market opens, the close cannot fill, and the position needs its stop.
            if not _can_fill_now(position.symbol, snapshot):
                return
            executor_id = self.runtime.executor.id
            for order in (order for order in reducing if order.symbol == position.symbol):
                cancel_foreign(
                    self.record, self.runtime.urgent, order, executor_id=executor_id, execution_id=execution_id
                )

        recorded = self.exits.close(
            snapshot.positions, taken_at=snapshot.taken_at, root=root, on_recorded=cancel_reducing
        )
        active = self._activity.open or self._activity.filled_since
        if others is not None and not others.count and not active and self._is_flat(snapshot):
            self._end(requests)
        return recorded

    def _is_flat(self, snapshot: Snapshot) -> bool:
        """Return whether at most dust is left. If so, read the account again: an order may have filled meanwhile."""
        if self._holds_something(snapshot):
            return False
        now = self._read_account()
        return now is not None and not self._holds_something(now)

    def _holds_something(self, snapshot: Snapshot) -> bool:
        return bool(snapshot.unreadable or self._left(snapshot))

    def _left(self, snapshot: Snapshot) -> list[Position]:
        """Return the positions of which more than dust is left."""
        dust = self.exits.dust
        return [each for each in snapshot.positions if abs(each.quantity) > dust.get(each.symbol, 0)]

    def _is_due(self) -> bool:
        """Return whether to check the broker. A check costs requests, and most of the time nothing has changed."""
        waited_s = time.monotonic() - self._checked_at
        if waited_s < _CHECK_SOON_S:
            return False
        activity = self._read_activity()
        return waited_s >= _CHECK_EVERY_S or activity != self._activity or activity.filled_since

    def _read_activity(self) -> _Activity:
        key = {"executor_id": self.runtime.executor.id, "taken_at": self._taken_at}
        return self.record.one(_Activity, sql("switches", "order_activity"), key)

    def _cancel_others(self, snapshot: Snapshot | None) -> OtherOrders | None:
        """Cancel all orders except our exits and orders that reduce a position; return what is open besides our exits.

        Return None when the orders cannot be listed. The positions are closed even then, without waiting for the list.
        """
        known = snapshot is not None and not snapshot.unreadable
        held = {each.symbol: each.quantity for each in self._left(snapshot)} if snapshot and known else None
        try:
            return self.open_orders.cancel(held)
        except (BrokerUnavailable, BrokerUnreadable, BrokerRefusesAccount) as error:
            self._log_wait(error)
            return None

    def _read_account(self) -> Snapshot | None:
        """Read the account now, with the budget of urgent requests; return None when that is not possible."""
        try:
            snapshot = self.runtime.snapshots.through(self.runtime.urgent).read()
        except (BrokerUnavailable, BrokerUnreadable, BrokerRefusesAccount) as error:
            self._log_wait(error)
            return None
        return None if isinstance(snapshot, AccountRefused) else snapshot

    def _log_wait(self, error: Exception) -> None:
        log.debug("flatten.waits", executor_id=self.runtime.executor.id, error=str(error))

    def _report(self, request: FlattenRequest) -> None:
        if request.switch_id not in self._reported:
            self._reported.add(request.switch_id)
            log.warning("flatten.began", executor_id=self.runtime.executor.id, cause=request.cause, by=request.set_by)

    def _end(self, requests: Sequence[FlattenRequest]) -> None:
        why = "everything is closed"
        if self.record.run(lambda connection: end_flatten(connection, requests, by=self.who, why=why)):
            log.info("account.flattened", executor_id=self.runtime.executor.id)


def _can_fill_now(symbol: str, snapshot: Snapshot) -> bool:
    """Return whether a market order in *symbol* would fill at once."""
    if asset_class(symbol) is AssetClass.CRYPTO:
        return True
    return snapshot.clock is not None and snapshot.clock.clock.is_open
