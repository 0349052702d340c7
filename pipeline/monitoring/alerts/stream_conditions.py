"""Find in the record what is wrong with the trade-update streams: one is not open, or brings odd frames."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from psycopg import Connection
from psycopg.rows import DictRow

from config.schema.executor import ExecutorSettings
from pipeline.monitoring.alerts.kinds import AlertKind, ConditionResult, Severity, found, raised
from pipeline.store.query import fetch_all
from pipeline.store.statements import sql

# A stream is heard about every 5 s: the broker answers the tracker's pings.
_SILENT = timedelta(seconds=15)


@dataclass(frozen=True, kw_only=True)
class _Down:
    executor_id: str
    problem: str | None


@dataclass(frozen=True, kw_only=True)
class _OddFrames:
    executor_id: str
    frames: int
    why: str


def streams_down(connection: Connection[DictRow], executors: Mapping[str, ExecutorSettings]) -> ConditionResult:
    """Find the streams that are not open, although fills may come."""
    kind, values = AlertKind.STREAM_DOWN, {"executor_ids": list(executors), "silent": _SILENT}
    alerts = [
        raised(
            kind,
            stream.executor_id,
            f"the trade-update stream of {stream.executor_id} is down, so its orders are polled: {stream.problem}",
            Severity.WARNING,
            executor=stream.executor_id,
        )
        for stream in fetch_all(connection, _Down, sql("streams", "down"), values)
    ]
    return found(kind, alerts)


def odd_frames(connection: Connection[DictRow], executors: Mapping[str, ExecutorSettings]) -> ConditionResult:
    """Find the streams that brought frames in the last hour that are not as the broker documents them."""
    kind, values = AlertKind.STREAM_ODDITY, {"executor_ids": list(executors)}
    alerts = [
        raised(
            kind,
            odd.executor_id,
            f"the trade-update stream of {odd.executor_id} sent {odd.frames} odd frames, at last because {odd.why}",
            Severity.WARNING,
            executor=odd.executor_id,
        )
        for odd in fetch_all(connection, _OddFrames, sql("streams", "odd_lately"), values)
    ]
    return found(kind, alerts)
