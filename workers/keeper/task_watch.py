"""Watch the tasks of the leading keeper, and alert when one does not succeed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import monotonic

from psycopg import Connection
from psycopg.rows import DictRow

from config.schema.executor import ExecutorSettings
from pipeline.model.errors import BrokerRefusesAccount, BrokerUnavailable, QueueUnavailable
from pipeline.monitoring.alerts.kinds import AlertKind, ConditionResult, Raised, found, raised
from workers.account.runtime import ExecutorRuntime
from workers.keeper.periodic_task import PeriodicTask

_AFTER_S = 30.0
# These failures have alerts of their own, or pass when the broker answers again.
_REPORTED_ELSEWHERE = (QueueUnavailable, BrokerUnavailable, BrokerRefusesAccount)


@dataclass(frozen=True, kw_only=True)
class TaskWatch:
    """Judges the tasks. Its condition is checked in a transaction, so it is only checked while PostgreSQL answers."""

    tasks: Sequence[PeriodicTask]
    runtimes: Mapping[str, ExecutorRuntime]

    def condition(self, _: Connection[DictRow], __: Mapping[str, ExecutorSettings]) -> ConditionResult:
        """Return an alert for each task whose next success is late by more than 30 s, except while a server is away."""
        now = monotonic()
        late = [task for task in self.tasks if task.behind_s(now) > _AFTER_S and not self._waits_for_server(task)]
        return found(AlertKind.KEEPER_TASK, map(_alert, late))

    def _waits_for_server(self, task: PeriodicTask) -> bool:
        if task.failure is not None:
            return issubclass(task.failure, _REPORTED_ELSEWHERE)
        # The task has not ended yet. The name of an executor's task ends with the executor's.
        runtime = self.runtimes.get(task.name.rpartition(" ")[2])
        return runtime is not None and runtime.broker.fails


def _alert(task: PeriodicTask) -> Raised:
    state = "it does not end" if task.failure is None else f"it fails with {task.failure.__name__}"
    subject = f"the keeper's task `{task.name}` does not succeed: {state}"
    return raised(AlertKind.KEEPER_TASK, task.name, subject, task=task.name)
