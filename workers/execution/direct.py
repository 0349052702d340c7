"""Execute without queues, in this process: the same recipe, record and compare-and-set, so that none can double."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import structlog

from config.schema.executor import ExecutorSettings
from config.schema.settings import Settings
from pipeline.model.errors import Unavailable
from pipeline.model.states import State
from pipeline.startup.checks import check_start
from pipeline.store.record import Record
from pipeline.store.rows import ExecutionRow
from workers.account.pinned_account import check_account
from workers.account.runtime import Desk, open_desk
from workers.execution.lease import LeaseKeeper
from workers.execution.runner import Recipe, recipe_of

log = structlog.get_logger(__name__)


class Direct:
    """Runs the recipe for what was just recorded. What it holds or leaves unknown is the keeper's, as ever."""

    def __init__(
        self, executors: Mapping[str, ExecutorSettings], *, settings: Settings, database_url: str, by: str
    ) -> None:
        self._executors = executors
        self._settings = settings
        self._record = Record(database_url, patience_s=3.0)
        self._leases = LeaseKeeper(database_url)
        self._by = f"direct:{by}"
        self._desks: dict[str, Desk] = {}
        self._recipes: dict[str, Recipe] = {}

    def execute(self, executions: Iterable[ExecutionRow]) -> None:
        """Execute those of *executions* that wait for their executor, one after the other.

        Raises:
            ConfigInvalid: an executor has no address or key, its account is not the pinned one, or the record does
                not let this process start.
        """
        for execution in executions:
            if execution.state is not State.QUEUED:
                continue
            try:
                self._recipe(execution.executor_id).run(execution.execution_id)
            except Unavailable as error:
                log.warning("execution.left_to_the_keeper", execution_id=str(execution.execution_id), error=str(error))

    def close(self) -> None:
        """Release connections and leases."""
        self._leases.close()
        for desk in self._desks.values():
            desk.close()
        self._record.close()

    def _recipe(self, executor_id: str) -> Recipe:
        if executor_id not in self._recipes:
            desk = self._desk(executor_id)
            # Whoever runs this may have started while the record or the broker was away.
            check_start(self._record, self._executors, by=self._by)
            check_account(desk)
            self._recipes[executor_id] = recipe_of(desk, record=self._record, leases=self._leases, worker=self._by)
        return self._recipes[executor_id]

    def _desk(self, executor_id: str) -> Desk:
        if executor_id not in self._desks:
            self._desks[executor_id] = open_desk(
                self._executors[executor_id],
                settings=self._settings,
                exchange_url=self._settings.exchange_url,
                record=self._record,
            )
        return self._desks[executor_id]
