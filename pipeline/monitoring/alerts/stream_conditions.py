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

# A stream brings a message about every 5 s: the broker answers the tracker's pings.
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
    values = {"executor_ids": list(executors), "silent": _SILENT}
    down = {
        each.executor_id: f"is down, so its orders are polled: {each.problem}"
        for each in fetch_all(connection, _Down, sql("streams", "down"), values)
    }
    return _warnings(AlertKind.STREAM_DOWN, down)


def odd_frames(connection: Connection[DictRow], executors: Mapping[str, ExecutorSettings]) -> ConditionResult:
    """Find the streams that brought frames in the last hour that are not as the broker documents them."""
    odd = {
        each.executor_id: f"sent {each.frames} odd frames, at last because {each.why}"
        for each in fetch_all(connection, _OddFrames, sql("streams", "odd_lately"), {"executor_ids": list(executors)})
    }
    return _warnings(AlertKind.STREAM_ODDITY, odd)


def _warnings(kind: AlertKind, streams: Mapping[str, str]) -> ConditionResult:
    alerts = [
        raised(kind, name, f"the trade-update stream of {name} {what}", Severity.WARNING, executor=name)
        for name, what in streams.items()
    ]
    return found(kind, alerts)
