"""The tracker process: while it holds the lease on leadership, it keeps every account's trade-update stream open."""

import os
import socket
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import structlog

from config.schema.executor import ExecutorSettings
from config.schema.settings import Settings
from pipeline.model.errors import RecordUnavailable, Unavailable
from pipeline.monitoring.heartbeats import Heartbeat
from pipeline.store.record import Record
from pipeline.store.statements import sql
from workers.account.address import account_address
from workers.brokers.alpaca.stream_connection import StreamAddress, stream_url
from workers.keeper.leadership import Leadership
from workers.keeper.periodic_task import PeriodicTask
from workers.tracker.account_stream import AccountStream
from workers.tracker.stream_state import StreamState
from workers.tracker.update_recorder import UpdateRecorder

log = structlog.get_logger(__name__)

_LEAD_EVERY_S = 1.0
#: A stream that is not open for so long makes the tracker unhealthy.
_DOWN_FOR_S = 15.0
#: The brokers whose streams can be read; orders at others are polled only.
STREAMING_BROKERS = frozenset({"alpaca"})


def track(
    executors: Mapping[str, ExecutorSettings],
    *,
    settings: Settings,
    database_url: str,
    exchange_url: str | None,
    stop: threading.Event,
) -> None:
    """Run the tracker until *stop* is set.

    Raises:
        ConfigInvalid: an executor has no address or key, or its mode does not allow the address.
        NotPossible: PostgreSQL is too old.
    """
    who = f"tracker-{socket.gethostname()}-{os.getpid()}"
    addresses = stream_addresses(executors, settings=settings, exchange_url=exchange_url)
    record = Record(database_url, connections=2 + len(addresses), retry_for_s=1.0)
    with suppress(RecordUnavailable):
        record.run(lambda _: None, retry_for_s=0.0)
    leadership = Leadership(record, "tracker")
    streams = [
        AccountStream(
            address=address,
            recorder=UpdateRecorder(record=record, executor_id=name, who=who),
            state=StreamState(record, name),
            leads=leadership.leads,
            stop=stop,
        )
        for name, address in addresses.items()
    ]
    heartbeat = Heartbeat(
        database_url, kind="tracker", name="tracker", health=lambda: _health(streams, leadership), executors=executors
    )
    lead = PeriodicTask("lead", _LEAD_EVERY_S, leadership.renew, stop=stop, leads=lambda: True, paced=True)
    threads = [_thread(stream) for stream in streams]
    for thread in [lead, *threads]:
        thread.start()
    log.info("tracker.started", executors=list(addresses))
    stop.wait()
    _close(record, leadership, heartbeat, threads, list(addresses))


def stream_addresses(
    executors: Mapping[str, ExecutorSettings], *, settings: Settings, exchange_url: str | None
) -> dict[str, StreamAddress]:
    """Return the address of each executor's stream. Raises what `account_address` raises."""
    addresses = {}
    for name, executor in executors.items():
        if executor.broker in STREAMING_BROKERS:
            account = account_address(executor, settings=settings, exchange_url=exchange_url)
            url = stream_url(account.base_url)
            addresses[name] = StreamAddress(url=url, api_key=account.api_key, api_secret=account.api_secret)
    return addresses


def _thread(stream: AccountStream) -> threading.Thread:
    return threading.Thread(target=stream.run, name=f"stream {stream.recorder.executor_id}", daemon=True)


def _health(streams: Sequence[AccountStream], leadership: Leadership) -> tuple[bool, dict[str, Any]]:
    """Return whether the tracker is healthy, with figures. A leader without an open stream is unhealthy."""
    now = time.monotonic()
    down = {stream.recorder.executor_id: stream.state.down_since for stream in streams}
    late = [name for name, since in down.items() if since is not None and now - since > _DOWN_FOR_S]
    facts = {"leads": leadership.leads(), "streams": len(down), "open": sum(since is None for since in down.values())}
    return not (late and leadership.leads()), facts


def _close(
    record: Record,
    leadership: Leadership,
    heartbeat: Heartbeat,
    threads: Sequence[threading.Thread],
    executor_ids: Sequence[str],
) -> None:
    led = leadership.leads()
    for thread in threads:
        thread.join(timeout=1.0)
    try:
        # Another tracker may lead by now, if a thread was slow to end.
        if led and leadership.renew():
            # The keeper polls as often as without a tracker from now on.
            record.do(sql("streams", "record_stop"), {"executor_ids": list(executor_ids)}, retry_for_s=0.5)
        leadership.resign()
    except Unavailable:
        log.debug("tracker.resigned_by_lease")
    record.stopping.set()
    heartbeat.close()
    record.close()
    log.info("tracker.stopped")
