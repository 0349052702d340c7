"""Keep rq-dashboard's failed page equal to the open dead letters, and RQ's lists free of dead workers' traces."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.crash import reached
from pipeline.dead_letters import DeadLetters
from pipeline.queues import Bell


@dataclass(frozen=True, kw_only=True)
class Mirror:
    """Makes RQ show what the record says. Running it twice changes nothing."""

    letters: DeadLetters
    bell: Bell
    executor_ids: tuple[str, ...]

    def run_once(self) -> int:
        """Mirror all open dead letters and return how many there are.

        Raises:
            RecordUnavailable: PostgreSQL is away.
            QueueUnavailable: Redis is away.
        """
        open_letters = self.letters.open(limit=None)
        for executor_id in self.executor_ids:
            theirs = [letter.job() for letter in open_letters if letter.executor_id == executor_id]
            self.bell.mirror_dead(executor_id, theirs)
            reached("keeper.after_mirror")
            self.bell.sweep_traces(executor_id)
        return len(open_letters)
