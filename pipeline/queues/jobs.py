"""What stands in a queue: jobs that can call our one function and nothing else, and how they are named."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from rq.job import Job

#: The one function that a job may name. The worker maps it to the recipe; nothing imports it by this path.
FUNCTION = "tradewire.execute"

#: How a dead letter's job is named, so that a requeue on the dashboard is told from an ordinary repeat.
DEAD_PREFIX = "dead-"

_QUEUE_PREFIX = "executor-"


@dataclass(frozen=True, kw_only=True)
class QueueJob:
    """One job to enqueue."""

    execution_id: UUID
    executor_id: str
    job_id: str
    #: What a person reads on the dashboard.
    description: str
    #: Before all that nobody has begun: a worker had it once, and it has waited already.
    at_front: bool = False


@dataclass(frozen=True, kw_only=True)
class DeadJob:
    """A dead letter as RQ shows it. *reason* is our own catalogue's text, never the broker's."""

    execution_id: UUID
    executor_id: str
    number: int
    description: str
    reason: str

    @property
    def job_id(self) -> str:
        """Return the job's id, which names the dead letter."""
        return f"{DEAD_PREFIX}{self.execution_id}-{self.number}"


class ForeignJob(Exception):
    """This job does not call the one function that a job may call; it was refused."""


class ExecutionJob(Job):
    """An RQ job that can call our one function and nothing else: JSON data may name any function on the path."""

    @property
    def func(self) -> Any:
        """Refuse to look a function up: the worker runs the recipe itself."""
        raise ForeignJob(f"job {self.id} may not call {str(self.func_name)[:80]!r}")

    def _execute(self) -> Any:
        raise ForeignJob(f"job {self.id} may only be run by a tradewire worker")

    @property
    def success_callback(self) -> None:
        """Return no callback: a callback is a function on the path too."""

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
        except Exception as error:  # noqa: BLE001 -- whatever foreign bytes do when they are read
            raise ForeignJob(f"job {self.id} cannot be read: {type(error).__name__}") from None
        raise ForeignJob(f"job {self.id} is not a tradewire job")


def text_of(answer: Any) -> str:
    """Return an id as Redis answered it; whatever bytes somebody else put there."""
    return answer.decode("utf-8", "replace") if isinstance(answer, bytes) else str(answer)


def queue_name(executor_id: str) -> str:
    """Return the queue of an executor."""
    return f"{_QUEUE_PREFIX}{executor_id}"
