"""Do what the switches and the hours of an account ask of the keeper: end entries, and close everything."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.intake.intake import Intake
from pipeline.store.record import Record
from workers.account.runtime import Desk
from workers.keeper.closing_exits import Closing
from workers.keeper.entry_cancellation import Reduce
from workers.keeper.flat_by_close import FlatBy
from workers.keeper.flatten import Flatten


def stops_of(record: Record, intake: Intake, desk: Desk, *, who: str) -> Stops:
    """Put together what looks after the stops of one executor."""
    flatten = Closing(record=record, intake=intake, desk=desk, cause="flatten", who=who)
    flat_by = Closing(record=record, intake=intake, desk=desk, cause="flat_by", who=who)
    return Stops(
        reduce=Reduce(record=record, desk=desk),
        flatten=Flatten(record=record, desk=desk, closing=flatten, who=who),
        flat_by=FlatBy(record=record, desk=desk, closing=flat_by),
    )


@dataclass(frozen=True, kw_only=True)
class Stops:
    """Looks after one executor's switches. While none is on, that is one question to the record."""

    reduce: Reduce
    flatten: Flatten
    flat_by: FlatBy

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
