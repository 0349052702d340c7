"""Watch the queues in Redis, and alert when a worker does not get its jobs from them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from psycopg import Connection
from psycopg.rows import DictRow

from config.schema.executor import ExecutorSettings
from pipeline.model.errors import QueueRefused, QueueUnavailable
from pipeline.monitoring.alerts.kinds import AlertKind, ConditionResult, found, raised
from pipeline.queues.queue import ExecutionQueue
from pipeline.queues.queue_faults import LATE, QueueFault, queue_faults
from pipeline.store.processes import queue_troubles
from pipeline.store.record import Record
from pipeline.store.undecided import undecided


@dataclass(kw_only=True)
class QueueWatch:
    """Reads Redis in a task of its own: conditions are checked in a transaction, which must not wait for Redis."""

    record: Record
    queues: ExecutionQueue
    executor_ids: tuple[str, ...]
    _faults: Sequence[QueueFault] = field(default=())

    def run_once(self) -> None:
        """Check the queues once, and keep the faults for `condition`. Raises RecordUnavailable."""
        try:
            self._faults = queue_faults(
                self.queues, self.executor_ids, lambda: undecided(self.record), lambda: self.record.run(queue_troubles)
            )
        except QueueUnavailable as error:
            meanwhile = LATE if isinstance(error, QueueRefused) else "entries wait, exits are sent"
            self._faults = [QueueFault(key="redis", saw=f"{error}: {meanwhile}", remedy="")]

    def condition(self, _: Connection[DictRow], __: Mapping[str, ExecutorSettings]) -> ConditionResult:
        """Return an alert for each fault that the last check found."""
        kind = AlertKind.QUEUE_STUCK
        return found(kind, [raised(kind, fault.key, f"{fault.saw}. {fault.remedy}".strip()) for fault in self._faults])
