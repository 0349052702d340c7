"""Look at PostgreSQL, Redis and the processes that stand on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pipeline.entrypoints.doctor.findings import CheckResult, CheckStatus, no_address
from pipeline.model.errors import NotMigrated, NotPossible, TradewireError
from pipeline.monitoring.heartbeats import GONE_AFTER, SETTINGS, VERSION
from pipeline.queues.redis_server import check_server, connect
from pipeline.store.record import Record
from pipeline.store.statements import sql


def look_at_postgres(record: Record) -> CheckResult:
    """Say whether the record answers."""
    return _guarded(
        "postgresql",
        lambda: record.run(lambda connection: connection.info.server_version // 10000),
        saw=lambda version: f"PostgreSQL {version} answers",
        remedy="Start PostgreSQL, or correct DATABASE_URL. Signals wait at their source until it is back.",
    )


def look_at_redis(redis_url: str | None) -> CheckResult:
    """Say whether the queues answer and can be trusted with jobs."""
    if redis_url is None:
        return no_address("redis", "REDIS_URL")
    return _guarded(
        "redis",
        lambda: _ask_redis(redis_url),
        saw=lambda _: "Redis answers, keeps all keys, and takes writes",
        remedy="Start Redis, give it memory, or correct REDIS_URL. The keeper enqueues what waits when it is back.",
    )


def _ask_redis(redis_url: str) -> None:
    with connect(redis_url, timeout_s=1.5) as connection:
        check_server(connection)


def look_at_processes(record: Record, executor_ids: tuple[str, ...]) -> list[CheckResult]:
    """Say whether each queue has a living worker and somebody keeps house, by their heartbeats."""
    rows = record.run(
        lambda connection: connection.execute(sql("heartbeats", "living"), {"within": GONE_AFTER}).fetchall()
    )
    findings = []
    for executor_id in executor_ids:
        workers = [row for row in rows if row["kind"] == "worker" and row["name"] == executor_id]
        findings.append(
            _present(
                f"worker {executor_id}",
                len(workers),
                cause=f"No worker process of {executor_id} runs; its executions wait.",
                remedy=f"Run `tradewire work {executor_id}`.",
            )
        )
    keepers = [row for row in rows if row["kind"] == "keeper"]
    cause = "No keeper runs: lost jobs, unknown orders and fills are not looked after."
    findings.append(_present("keeper", len(keepers), cause=cause, remedy="Run `tradewire keep`."))
    findings += [_unwell(row) for row in rows if not row["healthy"]]
    return findings


def _guarded(name: str, look: Callable[[], Any], *, saw: Callable[[Any], str], remedy: str) -> CheckResult:
    try:
        return CheckResult(name=name, status=CheckStatus.OK, saw=saw(look()))
    except NotMigrated as error:
        cause, remedy = "It has no tables of ours.", "Run `tradewire migrate`."
        return CheckResult(name=name, status=CheckStatus.CRITICAL, saw=str(error), cause=cause, remedy=remedy)
    except NotPossible as error:
        cause = f"This {name} cannot be used as it is; processes refuse to start on it."
        return CheckResult(name=name, status=CheckStatus.CRITICAL, saw=str(error), cause=cause, remedy=remedy)
    except TradewireError as error:
        cause = f"{name} is away, or takes nothing."
        return CheckResult(name=name, status=CheckStatus.CRITICAL, saw=str(error), cause=cause, remedy=remedy)


def _present(name: str, count: int, *, cause: str, remedy: str) -> CheckResult:
    if count:
        return CheckResult(name=name, status=CheckStatus.OK, saw=f"{count} alive")
    return CheckResult(name=name, status=CheckStatus.CRITICAL, saw="none is alive", cause=cause, remedy=remedy)


def _unwell(row: Mapping[str, Any]) -> CheckResult:
    facts = {name: value for name, value in row["facts"].items() if name not in (SETTINGS, VERSION)}
    return CheckResult(
        name=f"{row['kind']} {row['name']}",
        status=CheckStatus.WARNING,
        saw=f"alive, and says that it is not well: {facts}"[:300],
        cause="Something it needs is away or does not answer.",
        remedy="Its log says what.",
    )
