"""Do what the switches and the hours of an account ask of the keeper: end entries, and close everything."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.intake.intake import Intake
from pipeline.store.record import Record
from workers.account.runtime import ExecutorRuntime
from workers.keeper.closing_exits import ClosingExits
from workers.keeper.entry_cancellation import EntryCancellation
from workers.keeper.flat_by_close import FlatByClose
from workers.keeper.flatten import Flatten


def account_controls_of(record: Record, intake: Intake, runtime: ExecutorRuntime, *, who: str) -> AccountControls:
    """Put together what looks after the stops of one executor."""
    flatten = ClosingExits(record=record, intake=intake, runtime=runtime, cause="flatten", who=who)
    flat_by = ClosingExits(record=record, intake=intake, runtime=runtime, cause="flat_by", who=who)
    return AccountControls(
        reduce=EntryCancellation(record=record, runtime=runtime),
        flatten=Flatten(record=record, runtime=runtime, closing=flatten, who=who),
        flat_by=FlatByClose(record=record, runtime=runtime, closing=flat_by),
    )


@dataclass(frozen=True, kw_only=True)
class AccountControls:
    """Looks after one executor's switches. While none is on, that is one question to the record."""

    reduce: EntryCancellation
    flatten: Flatten
    flat_by: FlatByClose

    def run_once(self) -> int:
        """Do the next step of what is asked; return how many exits were recorded.

        Raises:
            RecordUnavailable: PostgreSQL is away.
        """
        stopped = self.reduce.stopped()
        if stopped["since"] is not None:
            self.reduce.end_entries(stopped["since"])
        if stopped["flatten"]:
            return self.flatten.run_once()
        return self.flat_by.run_once()
