"""The jobs of the queues: they name our one function, and cannot run any other."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from rq.job import Job

#: The only function that a job may name. It is never imported: the worker runs the execution itself.
FUNCTION = "tradewire.execute"

#: The prefix of a dead letter's job, which distinguishes a requeue on the dashboard from an ordinary job.
DEAD_PREFIX = "dead-"

_QUEUE_PREFIX = "executor-"


@dataclass(frozen=True, kw_only=True)
class QueueJob:
    """One job to enqueue."""

    execution_id: UUID
    executor_id: str
    job_id: str
    #: The text on the dashboard.
    description: str
    #: The job goes before all others: a worker has had its execution before, so the execution has waited already.
    at_front: bool = False


@dataclass(frozen=True, kw_only=True)
class DeadJob:
    """A dead letter as RQ shows it. *reason* may quote an answer of the broker."""

    execution_id: UUID
    executor_id: str
    number: int
    description: str
    reason: str

    @property
    def job_id(self) -> str:
        """Return the job's id, which names the dead letter."""
        return f"{DEAD_PREFIX}{self.execution_id}-{self.number}"


#: The most bytes of a field of our own jobs. RQ decompresses some fields, and one byte may become 1,000.
_LONGEST_FIELD = 16_384


class ForeignJob(ValueError):
    """The job is not one of ours: it names another function, is too long, or cannot be read."""


class BoundedJob(Job):
    """An RQ job that is refused if a field is longer than a job of ours can have."""

    def restore(self, raw_data: Any) -> Any:
        """Read the fields that Redis has. Raises ForeignJob if one is too long."""
        longest = max(map(len, raw_data.values()))
        if longest > _LONGEST_FIELD:
            raise ForeignJob(f"job {self.id[:80]} is too long: a field has {longest} bytes")
        return super().restore(raw_data)


class ExecutionJob(BoundedJob):
    """An RQ job that calls no function, because a job's data may name any function that Python can import."""

    @property
    def func(self) -> Any:
        """Refuse to import a function: the worker runs the execution itself."""
        raise ForeignJob(f"job {self.id} may not call {str(self.func_name)[:80]!r}")

    def _execute(self) -> Any:
        raise ForeignJob(f"job {self.id} may only be run by a tradewire worker")

    @property
    def success_callback(self) -> None:
        """Return no callback, because a callback would be imported too."""

    @property
    def failure_callback(self) -> None:
        """Return no callback."""

    @property
    def stopped_callback(self) -> None:
        """Return no callback."""

    def execution_id(self) -> UUID:
        """Return the id that the job carries.

        Raises:
            ForeignJob: the job is not one of ours.
        """
        try:
            arguments = self.args
            if self.func_name == FUNCTION and len(arguments) == 1 and not self.kwargs:
                return UUID(arguments[0])
        except Exception as error:  # noqa: BLE001 -- foreign bytes may raise anything when they are read
            raise ForeignJob(f"job {self.id} cannot be read: {type(error).__name__}") from None
        raise ForeignJob(f"job {self.id} is not a tradewire job")


def text_of(answer: Any) -> str:
    """Return an answer of Redis as text. Bytes that are not UTF-8, written by another program, are replaced."""
    return answer.decode("utf-8", "replace") if isinstance(answer, bytes) else str(answer)


def queue_name(executor_id: str) -> str:
    """Return the queue of an executor."""
    return f"{_QUEUE_PREFIX}{executor_id}"
