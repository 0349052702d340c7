"""Look at everything at once. It reads only: it never trades, and it changes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

from config.schema.executor import ExecutorSettings
from config.schema.settings import Settings
from pipeline.entrypoints.doctor.alerts import look_at_alerts
from pipeline.entrypoints.doctor.brokers import BrokerVisit, visit
from pipeline.entrypoints.doctor.budgets import look_at_budgets
from pipeline.entrypoints.doctor.clocks import (
    Skew,
    look_at_broker_clock,
    look_at_market,
    look_at_record_clock,
    skew_of_record,
)
from pipeline.entrypoints.doctor.disk import look_at_disks
from pipeline.entrypoints.doctor.findings import CheckResult, CheckStatus, no_address
from pipeline.entrypoints.doctor.processes import look_at_keeper_lag, look_at_releases
from pipeline.entrypoints.doctor.servers import look_at_postgres, look_at_processes, look_at_redis
from pipeline.entrypoints.doctor.settings import look_at_gone, look_at_settings
from pipeline.entrypoints.doctor.switches import look_at_switches
from pipeline.entrypoints.doctor.work import look_at_work
from pipeline.model.errors import RecordUnavailable
from pipeline.store.record import Record


def examine(settings: Settings, executors: Mapping[str, ExecutorSettings]) -> list[CheckResult]:
    """Return one finding per part, the foundations first. Takes at most about 5 s."""
    database_url = settings.database_url.get_secret_value() if settings.database_url else None
    redis_url = settings.redis_url.get_secret_value() if settings.redis_url else None
    with ThreadPoolExecutor(4 + len(executors), thread_name_prefix="doctor") as pool:
        redis = pool.submit(look_at_redis, redis_url)
        if database_url is None:
            return [no_address("postgresql", "DATABASE_URL"), redis.result(), *look_at_disks(settings.home)]
        record = Record(database_url, connections=4, retry_for_s=1.5)
        try:
            visits = [pool.submit(visit, executor, settings, record) for executor in executors.values()]
            postgres = look_at_postgres(record)
            findings = [postgres, redis.result()]
            clock = None
            if postgres.status is CheckStatus.OK:
                try:
                    clock = skew_of_record(record)
                    findings += _look_at_record(record, executors, clock)
                    findings += look_at_alerts(record, settings)
                except RecordUnavailable as error:
                    findings[0] = _went_away(str(error))
            for each in visits:
                findings += _of_visit(each.result(), clock)
        finally:
            record.close()
    return findings + look_at_disks(settings.home)


def _look_at_record(record: Record, executors: Mapping[str, ExecutorSettings], clock: Skew) -> Iterator[CheckResult]:
    yield from look_at_processes(record, tuple(executors))
    yield from look_at_keeper_lag(record)
    yield look_at_releases(record)
    yield look_at_settings(record, executors)
    yield from look_at_gone(record, executors)
    yield from look_at_switches(record, executors)
    yield from look_at_work(record, executors)
    yield from look_at_budgets(record, executors)
    yield look_at_record_clock(clock)


def _of_visit(visited: BrokerVisit, record_clock: Skew | None) -> Iterator[CheckResult]:
    yield visited.finding
    if visited.finding.status is not CheckStatus.OK:
        return  # What else could be asked of it is not known, and is no second problem.
    yield look_at_market(visited.executor, visited.clock)
    if visited.skew is not None:
        yield look_at_broker_clock(visited.executor, visited.skew, record_clock)


def _went_away(says: str) -> CheckResult:
    return CheckResult(
        name="postgresql",
        status=CheckStatus.CRITICAL,
        saw=says,
        cause="postgresql went away while it was looked at.",
        remedy="Start PostgreSQL, or correct DATABASE_URL. Signals wait at their source until it is back.",
    )
