"""Run the producer process: read a source, record its signals, and pass them to the queues or execute them here."""

import os
import socket
import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import asdict
from datetime import timedelta
from functools import partial
from typing import Any

import structlog

from config.schema.executor import Executors
from config.schema.settings import Settings
from pipeline.intake.intake import Intake
from pipeline.intake.producer import Producer
from pipeline.intake.source_reach import source_context, untraded_source_problems
from pipeline.intake.sources.protocol import open_source_by_name
from pipeline.model.errors import ConfigInvalid, Problem, QueueUnavailable, RecordUnavailable
from pipeline.monitoring.heartbeats import Heartbeat
from pipeline.queues.dispatcher import Dispatcher
from pipeline.queues.queue import ExecutionQueue
from pipeline.queues.redis_server import check_server, connect
from pipeline.store.record import Record
from workers.execution.direct import DirectExecutor
from workers.keeper.reconciliation import reconcile_once

log = structlog.get_logger(__name__)


class SignalDelivery:
    """Records signals and passes them to the queues, or executes them in this process if so configured."""

    def __init__(
        self,
        intake: Intake,
        *,
        source: str,
        dispatcher: Dispatcher | None,
        direct: DirectExecutor | None,
        direct_after_s: float | None,
    ) -> None:
        self._intake = intake
        self._source = source
        self._dispatcher = dispatcher
        self._direct = direct
        self._direct_after_s = direct_after_s
        self._redis_away_since: float | None = None
        self._fallback_logged = False

    def deliver(self, raw: Mapping[str, Any], waited: timedelta) -> None:
        """Record *raw*, which has waited in this process for *waited*; enqueue its executions, or execute them here.

        Raises:
            InvalidSignal: *raw* is not a signal; it was recorded as a refusal.
            RecordUnavailable: PostgreSQL is away.
        """
        recorded = self._intake.record(raw, source=self._source, waited=waited)
        if recorded.duplicate and self._dispatcher is not None:
            # Its executions were enqueued when it was first recorded, or the keeper enqueues them. After a restart, a
            # source sends many signals again.
            return
        if self._dispatcher is None and self._direct is not None:
            self._direct.execute(recorded.executions)
        elif self._dispatcher is not None and self._dispatcher.enqueue(recorded.executions):
            self._redis_away_since, self._fallback_logged = None, False
        elif self._direct is not None and self._falls_back():
            self._direct.execute(recorded.executions)

    def refuse(self, raw: Mapping[str, Any], code: str, message: str) -> None:
        """Record input that is not a signal as a refusal."""
        self._intake.refuse(raw, source=self._source, code=code, message=message)

    def _falls_back(self) -> bool:
        """Return whether Redis has been away long enough for this process to execute signals itself; log that once."""
        now = time.monotonic()
        self._redis_away_since = now if self._redis_away_since is None else self._redis_away_since
        if self._direct_after_s is None or now - self._redis_away_since < self._direct_after_s:
            return False
        if not self._fallback_logged:
            self._fallback_logged = True
            log.error("delivery.fell_back_to_direct", redis_away_s=round(now - self._redis_away_since, 1))
        return True


def produce_for_ever(settings: Settings, executors: Executors, *, database_url: str, stop: threading.Event) -> None:
    """Record the signals of the configured source until *stop*.

    Raises:
        ConfigInvalid: the source or an address is missing.
        NotPossible: this PostgreSQL or Redis cannot be used.
    """
    with ExitStack() as stack:
        record = stack.enter_context(Record(database_url, retry_for_s=0.0))
        # Refuse an unusable server now. A server that is away is waited for later.
        with suppress(RecordUnavailable):
            record.run(lambda _: None)
        delivery, direct = _delivery(settings, executors, record, database_url)
        if direct is not None:
            stack.callback(direct.close)
        heartbeat = partial(Heartbeat, database_url, kind="producer", name=settings.source, executors=executors)
        if settings.source == "none":
            stack.callback(heartbeat().close)
            log.info("producer.started", source="none")
            stop.wait()
            return
        producer = _producer(settings, executors, delivery)
        stack.callback(heartbeat(health=lambda: _health(producer)).close)
        log.info("producer.started", source=settings.source, delivery=settings.delivery)
        producer.run(stop)


def _producer(settings: Settings, executors: Executors, delivery: SignalDelivery) -> Producer:
    source = open_source_by_name(settings.source, source_context(settings))
    for problem in untraded_source_problems(settings.source, executors):
        log.warning("source.never_traded", key=problem.key, why=problem.message)
    return Producer([source], deliver=delivery.deliver, refuse=delivery.refuse)


def _delivery(
    settings: Settings, executors: Executors, record: Record, database_url: str
) -> tuple[SignalDelivery, DirectExecutor | None]:
    by = f"producer-{socket.gethostname()}-{os.getpid()}"
    direct = None
    if settings.delivery == "direct" or settings.fallback == "direct":
        direct = DirectExecutor(
            executors, settings=settings, database_url=database_url, by=by, reconcile=reconcile_once
        )
    dispatcher = None
    if settings.delivery == "queue":
        if settings.redis_url is None:
            raise ConfigInvalid([Problem(key="REDIS_URL", message="not set, and TRADEWIRE_DELIVERY is queue")])
        connection = connect(settings.redis_url.get_secret_value())
        # Refuse a server now that would lose jobs. A server that is away is waited for later.
        with suppress(QueueUnavailable):
            check_server(connection)
        dispatcher = Dispatcher(ExecutionQueue(connection))
    after = settings.fallback_after_s if settings.fallback == "direct" else None
    intake = Intake(record, executors, by=by)
    return SignalDelivery(
        intake, source=settings.source, dispatcher=dispatcher, direct=direct, direct_after_s=after
    ), direct


def _health(producer: Producer) -> tuple[bool, dict[str, Any]]:
    health = producer.health()
    sources = {
        name: {key: None if value is None else str(value) for key, value in asdict(source).items()}
        for name, source in health.sources.items()
    }
    return health.ok, {"sources": sources, "waiting": health.waiting}
