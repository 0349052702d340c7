"""Check PostgreSQL and Redis."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from psycopg import Connection
from psycopg.rows import DictRow

from config.services import running_services
from pipeline.entrypoints.doctor.findings import CheckResult, critical, no_address, ok
from pipeline.entrypoints.supervisor.health import ask_health
from pipeline.model.errors import (
    MissingRights,
    NotMigrated,
    NotPossible,
    QueueRefused,
    QueueUnavailable,
    TradewireError,
)
from pipeline.queues.queue import ExecutionQueue
from pipeline.queues.queue_faults import QueueFault, queue_faults
from pipeline.queues.redis_server import check_server, check_writes, connect
from pipeline.store.processes import queue_troubles
from pipeline.store.record import Record
from pipeline.store.rights import missing_rights
from pipeline.store.undecided import undecided

T = TypeVar("T")

_WEB_TIMEOUT_S = 2.0


def check_postgres(record: Record) -> CheckResult:
    """Check whether PostgreSQL answers, has our tables, and lets the role of DATABASE_URL use them."""
    return _guarded(
        "postgresql",
        lambda: record.run(_usable_release),
        saw=lambda version: f"PostgreSQL {version} answers",
        remedy="Start PostgreSQL, or correct DATABASE_URL. Signals wait at their source until it is back.",
    )


def check_redis(redis_url: str | None) -> CheckResult:
    """Check whether Redis answers, keeps all keys and accepts writes."""
    if redis_url is None:
        return no_address("redis", "REDIS_URL")
    return _guarded(
        "redis",
        lambda: _ask_redis(redis_url),
        saw=lambda _: "Redis answers, keeps all keys, and accepts writes",
        remedy="Start Redis, give it memory, or correct REDIS_URL. The keeper then enqueues the waiting executions.",
    )


def check_queues(redis_url: str | None, record: Record, executors: Iterable[str]) -> list[CheckResult]:
    """Check whether workers get their jobs. Return nothing while Redis is away, since `check_redis` reports that.

    Raises:
        RecordUnavailable: PostgreSQL is away.
    """
    try:
        with connect(redis_url or "", timeout_s=1.5) as connection:
            try:
                faults = queue_faults(
                    ExecutionQueue(connection),
                    tuple(executors),
                    lambda: undecided(record),
                    lambda: record.run(queue_troubles),
                )
            except QueueRefused as error:
                # If Redis refuses this too, `check_redis` reports it.
                check_writes(connection)
                faults = [QueueFault(key="redis", saw=str(error), remedy="Give the user of REDIS_URL all rights.")]
    except (QueueUnavailable, ValueError):
        return []
    if not faults:
        return [ok("queues", "workers get their jobs from Redis")]
    cause = "Another program, or a person, uses this Redis or took rights away."
    return [critical("queues", fault.saw, cause=cause, remedy=fault.remedy) for fault in faults]


def check_web(home: Path) -> list[CheckResult]:
    """Check whether the web process of the `up` in *home* answers. Return nothing when no `up` runs one there.

    Raises:
        ConfigInvalid: services.json cannot be used.
    """
    services = running_services(home)
    if services is None or services.web_url is None or "web" not in services.pids:
        return []
    answers, _ = ask_health(services.web_url, timeout_s=_WEB_TIMEOUT_S)
    if answers:
        return [ok("web", f"{services.web_url} answers")]
    return [
        critical(
            "web",
            f"{services.web_url} does not answer",
            cause="The process has just been started, hangs, or was stopped: webhooks and signals are not accepted.",
            remedy=f"See {home}/logs/web.log. If it hangs, kill process {services.pids['web']}: `up` starts it again.",
        )
    ]


def _usable_release(connection: Connection[DictRow]) -> int:
    if lacks := missing_rights(connection):
        raise MissingRights(lacks)
    return connection.info.server_version // 10000  # 160004 is 16.4.


def _ask_redis(redis_url: str) -> None:
    with connect(redis_url, timeout_s=1.5) as connection:  # So that all checks end within 5 s.
        check_server(connection)


def _guarded(name: str, ask: Callable[[], T], *, saw: Callable[[T], str], remedy: str) -> CheckResult:
    try:
        return ok(name, saw(ask()))
    except NotMigrated as error:
        cause, remedy = "The database has no tables of tradewire.", "Run `tradewire migrate`."
        return critical(name, str(error), cause=cause, remedy=remedy)
    except MissingRights as error:
        cause, remedy = "The role of DATABASE_URL may not use all tables.", "Run the statement above as their owner."
        return critical(name, str(error), cause=cause, remedy=remedy)
    except NotPossible as error:
        cause = f"This {name} cannot be used as it is; processes refuse to start with it."
        return critical(name, str(error), cause=cause, remedy=remedy)
    except TradewireError as error:
        cause = f"{name} is away, or accepts no writes."
        return critical(name, str(error), cause=cause, remedy=remedy)
