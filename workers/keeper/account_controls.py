"""Act on an account's switches, hours, old entries and requests: cancel orders, and close positions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from pipeline.intake.intake import Intake
from pipeline.store.record import Record
from pipeline.store.statements import sql
from workers.account.runtime import ExecutorRuntime
from workers.keeper.closing_exits import ClosingExits
from workers.keeper.entry_cancellation import cancel_old_entries, end_entries
from workers.keeper.flat_by_close import FlatByClose
from workers.keeper.flatten import Flatten
from workers.keeper.open_orders import OpenOrders
from workers.keeper.requested_cancels import cancel_requested


@dataclass(frozen=True, kw_only=True)
class _ActiveControls:
    """The effect of the switches that are on, of the age of working entries, and of requests for cancels."""

    #: None while entries may be sent.
    entries_stopped_since: datetime | None
    flatten: bool
    #: Whether an entry has worked for longer than `order.entry_timeout_s`, also counting the time of a closed market.
    has_old_entries: bool
    #: Whether a person requested the cancel of an open order.
    has_requested_cancels: bool


def account_controls_of(record: Record, intake: Intake, runtime: ExecutorRuntime, *, who: str) -> AccountControls:
    """Return the controls of one executor's account."""
    flatten = ClosingExits(record=record, intake=intake, runtime=runtime, cause="flatten", who=who)
    flat_by = ClosingExits(record=record, intake=intake, runtime=runtime, cause="flat_by", who=who)
    return AccountControls(
        record=record,
        runtime=runtime,
        flatten=Flatten(
            record=record,
            runtime=runtime,
            exits=flatten,
            open_orders=OpenOrders(record=record, runtime=runtime),
            who=who,
        ),
        flat_by=FlatByClose(record=record, runtime=runtime, exits=flat_by),
    )


@dataclass(frozen=True, kw_only=True)
class AccountControls:
    """Applies one executor's switches, hours, entry timeout and requested cancels. Nothing to do costs one query."""

    record: Record
    runtime: ExecutorRuntime
    flatten: Flatten
    flat_by: FlatByClose

    def run_once(self) -> int:
        """Take the next step that is asked for; return how many exits were recorded."""
        executor = self.runtime.executor
        values = {"executor_id": executor.id, "timeout": timedelta(seconds=executor.order.entry_timeout_s)}
        active = self.record.one(_ActiveControls, sql("switches", "active_controls"), values)
        if active.has_requested_cancels:
            cancel_requested(self.record, self.runtime)
        if active.entries_stopped_since is not None:
            end_entries(self.record, self.runtime, active.entries_stopped_since)
        elif active.has_old_entries:
            cancel_old_entries(self.record, self.runtime)
        return self.flatten.run_once() if active.flatten else self.flat_by.run_once()
