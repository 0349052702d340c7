"""Check PostgreSQL and Redis."""

from collections.abc import Callable, Iterable
from typing import TypeVar

from psycopg import Connection
from psycopg.rows import DictRow

from pipeline.entrypoints.doctor.findings import CheckResult, critical, no_address, ok
from pipeline.model.errors import MissingRights, NotMigrated, NotPossible, QueueUnavailable, TradewireError
from pipeline.queues.queue import ExecutionQueue
from pipeline.queues.queue_faults import queue_faults
from pipeline.queues.redis_server import check_server, connect
from pipeline.store.record import Record
from pipeline.store.rights import missing_rights
from pipeline.store.undecided import undecided

T = TypeVar("T")


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
            faults = queue_faults(ExecutionQueue(connection), tuple(executors), lambda: undecided(record))
    except (QueueUnavailable, ValueError):
        return []
    if not faults:
        return [ok("queues", "workers get their jobs from Redis")]
    cause = "Another program, or a person, wrote into Redis."
    return [critical("queues", fault.saw, cause=cause, remedy=fault.remedy) for fault in faults]


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
