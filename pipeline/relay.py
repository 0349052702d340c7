"""Ring for what was recorded: after the commit, never before."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

import structlog

from pipeline.crash import reached
from pipeline.errors import QueueUnavailable
from pipeline.queues import Bell, Ring
from pipeline.states import State
from pipeline.store.rows import ExecutionRow

log = structlog.get_logger(__name__)


def job_id(execution_id: object, enqueues: int) -> str:
    """Return the id of the n-th job of an execution: a new one each time, so that no old job blocks it."""
    return f"{execution_id}-{enqueues}"


def description(*, action: str, symbol: str, confidence: Decimal | None, executor_id: str) -> str:
    """Return what rq-dashboard shows for a job: `BUY AAPL 98.0 % → argo`."""
    sure = "" if confidence is None else f" {confidence:.1f} %"
    return f"{action} {symbol}{sure} → {executor_id}"


class Relay:
    """Rings the bell for recorded executions. When it fails, the keeper rings later: nothing is lost."""

    def __init__(self, bell: Bell) -> None:
        self._bell = bell
        self._said_away = False

    def ring(self, executions: Iterable[ExecutionRow]) -> bool:
        """Enqueue those of *executions* that wait for their executor; False when Redis is away."""
        rings = [
            Ring(
                execution_id=execution.execution_id,
                executor_id=execution.executor_id,
                job_id=job_id(execution.execution_id, 1),
                description=description(
                    action=execution.action,
                    symbol=execution.symbol,
                    confidence=execution.confidence,
                    executor_id=execution.executor_id,
                ),
            )
            for execution in executions
            if execution.state is State.QUEUED
        ]
        try:
            self._bell.ring(rings)
        except QueueUnavailable as error:
            if not self._said_away:
                self._said_away = True
                log.warning("queue.away", error=str(error), consequence="the keeper enqueues later")
            return False
        reached("relay.after_enqueue")
        if self._said_away:
            self._said_away = False
            log.info("queue.back")
        return True
