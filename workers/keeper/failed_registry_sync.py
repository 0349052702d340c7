"""Show the open dead letters on rq-dashboard's failed page, and clear what dead workers left in RQ's lists."""

from dataclasses import dataclass

from pipeline.model.crash_points import reached
from pipeline.model.errors import QueueUnavailable
from pipeline.operations.dead_letters import DeadLetters
from pipeline.queues.failed_registry import FailedRegistry


@dataclass(frozen=True, kw_only=True)
class FailedRegistrySync:
    """Makes RQ's failed registry equal to the record. Running it twice changes nothing."""

    dead_letters: DeadLetters
    page: FailedRegistry
    executor_ids: tuple[str, ...]

    def run_once(self) -> int:
        """Copy all open dead letters to RQ, clear its lists, and return how many dead letters are open.

        Raises:
            RecordUnavailable: PostgreSQL is away.
            QueueUnavailable: Redis is away.
        """
        open_letters = self.dead_letters.open(limit=None)
        failed = None
        for executor_id in self.executor_ids:
            jobs = [letter.job() for letter in open_letters if letter.executor_id == executor_id]
            try:
                self.page.mirror(executor_id, jobs)
                reached("keeper.after_mirror")
                self.page.sweep(executor_id)
            except QueueUnavailable as error:
                # Go on: the keys of one executor may be of the wrong type, and the other executors are not affected.
                failed = error
        if failed is not None:
            raise failed
        return len(open_letters)
