"""Execute signals in this process, without queues.

The record's compare-and-set prevents double orders, as with queues.
"""

from collections.abc import Callable, Iterable, Mapping

import structlog

from config.schema.executor import ExecutorSettings
from config.schema.settings import Settings
from pipeline.model.errors import Unavailable
from pipeline.model.states import State
from pipeline.startup.alert_channels import check_channels
from pipeline.startup.checks import check_start
from pipeline.store.record import Record
from pipeline.store.rows import ExecutionRow
from pipeline.store.statements import sql
from workers.account.pinned_account import check_account
from workers.account.runtime import ExecutorRuntime, open_runtime
from workers.execution.lease import LeaseKeeper
from workers.execution.runner import ExecutionRunner, runner_of

log = structlog.get_logger(__name__)


class DirectExecutor:
    """Runs executions that were just recorded. The keeper follows those that are held or unknown, as with queues."""

    def __init__(
        self,
        executors: Mapping[str, ExecutorSettings],
        *,
        settings: Settings,
        database_url: str,
        by: str,
        reconcile: Callable[[Record, ExecutorRuntime, str], object],
    ) -> None:
        """Make an executor of signals; *reconcile* compares an account with the record, since no keeper may run."""
        self._executors = executors
        self._settings = settings
        self._record = Record(database_url, retry_for_s=3.0)
        self._leases = LeaseKeeper(database_url)
        self._by = f"direct:{by}"
        self._reconcile = reconcile
        self._runtimes: dict[str, ExecutorRuntime] = {}
        self._runners: dict[str, ExecutionRunner] = {}

    def execute(self, executions: Iterable[ExecutionRow]) -> None:
        """Run those of *executions* that are queued, one after the other.

        Raises:
            ConfigInvalid: an executor has no address or key, its account is not the pinned one, or a check against the
                record forbids this process to start.
        """
        for execution in executions:
            if execution.state is not State.QUEUED:
                continue
            try:
                self._run(execution)
            except Unavailable as error:
                log.warning("execution.left_to_the_keeper", execution_id=str(execution.execution_id), error=str(error))

    def _run(self, execution: ExecutionRow) -> None:
        runner = self._runner(execution.executor_id)
        runner.run(execution.execution_id)
        # An exit does not wait for a reconcile, so only an entry pays for one.
        if self._record.one(bool, sql("reconcile", "waits"), {"execution_id": execution.execution_id}):
            self._reconcile(self._record, self._runtime(execution.executor_id), self._by)
            runner.run(execution.execution_id)

    def close(self) -> None:
        """Release connections and leases."""
        self._leases.close()
        for runtime in self._runtimes.values():
            runtime.close()
        self._record.close()

    def _runner(self, executor_id: str) -> ExecutionRunner:
        if executor_id not in self._runners:
            runtime = self._runtime(executor_id)
            # Check here too: no check was possible if the record or the broker was away when this process started.
            check_start(self._record, self._executors, by=self._by)
            check_channels(self._record, {executor_id: runtime.executor}, settings=self._settings)
            check_account(runtime)
            self._runners[executor_id] = runner_of(runtime, record=self._record, leases=self._leases, worker=self._by)
        return self._runners[executor_id]

    def _runtime(self, executor_id: str) -> ExecutorRuntime:
        if executor_id not in self._runtimes:
            self._runtimes[executor_id] = open_runtime(
                self._executors[executor_id],
                settings=self._settings,
                exchange_url=self._settings.exchange_url,
                record=self._record,
            )
        return self._runtimes[executor_id]
