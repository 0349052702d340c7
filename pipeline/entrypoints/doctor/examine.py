"""Run all checks. They never trade, and change no account, execution or setting."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

from config.left_over import left_over_variables
from config.schema.executor import ExecutorSettings
from config.schema.settings import Settings
from pipeline.entrypoints.doctor.alerts import check_alerts
from pipeline.entrypoints.doctor.books import check_books
from pipeline.entrypoints.doctor.brokers import BrokerCheck, check_broker_and_clock
from pipeline.entrypoints.doctor.budgets import check_budgets
from pipeline.entrypoints.doctor.clocks import (
    Skew,
    check_broker_clock,
    check_market,
    check_record_clock,
    skew_of_record,
)
from pipeline.entrypoints.doctor.disk import check_disks
from pipeline.entrypoints.doctor.findings import CheckResult, CheckStatus, critical, no_address
from pipeline.entrypoints.doctor.journals import check_journals
from pipeline.entrypoints.doctor.processes import check_keeper_lag, check_processes, check_releases
from pipeline.entrypoints.doctor.reconciliation import check_reconciliation
from pipeline.entrypoints.doctor.restores import check_restore
from pipeline.entrypoints.doctor.servers import check_postgres, check_queues, check_redis, check_web
from pipeline.entrypoints.doctor.settings import check_removed_executors, check_settings
from pipeline.entrypoints.doctor.streams import check_streams
from pipeline.entrypoints.doctor.switches import check_switches
from pipeline.entrypoints.doctor.unreadable_rows import check_unreadable_rows
from pipeline.entrypoints.doctor.work import check_work
from pipeline.model.errors import RecordUnavailable
from pipeline.store.record import Record

_NEW_SHELL = "A new shell has none of them."


def examine(settings: Settings, executors: Mapping[str, ExecutorSettings]) -> list[CheckResult]:
    """Return the findings on all parts, PostgreSQL and Redis first. Takes at most about 5 s."""
    database_url = settings.database_url.get_secret_value() if settings.database_url else None
    redis_url = settings.redis_url.get_secret_value() if settings.redis_url else None
    # The brokers are asked at the same time, so that the time limits of slow ones do not add up.
    with ThreadPoolExecutor(5 + len(executors), thread_name_prefix="doctor") as pool:
        redis, web = pool.submit(check_redis, redis_url), pool.submit(check_web, settings.home)
        if database_url is None:
            return [
                no_address("postgresql", "DATABASE_URL"),
                redis.result(),
                *web.result(),
                *check_disks(settings.home),
            ]
        record = Record(database_url, connections=4, retry_for_s=1.5)
        try:
            brokers = [
                pool.submit(check_broker_and_clock, executor, settings, record) for executor in executors.values()
            ]
            postgres = check_postgres(record)
            findings = [postgres, redis.result(), *web.result()]
            clock = None
            if postgres.status is CheckStatus.OK:
                try:
                    clock = skew_of_record(record)
                    findings += check_queues(redis_url, record, executors)
                    findings += _check_record(record, executors, clock)
                    findings += check_alerts(record, settings)
                except RecordUnavailable as error:
                    # Until now, the first finding was that PostgreSQL answers.
                    findings[0] = _went_away(str(error))
            for broker in brokers:
                findings += _of_broker(broker.result(), clock)
        finally:
            record.close()
    return [*findings, *_left_over(findings), *check_journals(settings.home), *check_disks(settings.home)]


def _left_over(findings: list[CheckResult]) -> Iterator[CheckResult]:
    away = [finding for finding in findings if finding.status is CheckStatus.CRITICAL]
    if any(finding.name in ("postgresql", "redis") for finding in away) and (hint := left_over_variables()):
        yield critical("variables", hint, cause="Addresses of a run that has ended lead nowhere.", remedy=_NEW_SHELL)


def _check_record(record: Record, executors: Mapping[str, ExecutorSettings], clock: Skew) -> Iterator[CheckResult]:
    yield from check_processes(record, tuple(executors))
    yield from check_keeper_lag(record)
    yield from check_streams(record, executors)
    yield check_releases(record)
    yield check_settings(record, executors)
    yield from check_removed_executors(record, executors)
    yield check_restore(record, executors)
    yield from check_switches(record, executors)
    yield from check_work(record, executors)
    yield from check_reconciliation(record, executors)
    yield from check_unreadable_rows(record, executors)
    yield check_books(record)
    yield from check_budgets(record, executors)
    yield check_record_clock(clock)


def _of_broker(checked: BrokerCheck, record_clock: Skew | None) -> Iterator[CheckResult]:
    yield checked.finding
    if checked.finding.status is not CheckStatus.OK:
        return  # Report this problem only: it is often also the reason why the clock could not be read.
    yield check_market(checked.executor, checked.clock)
    if checked.skew is not None:
        yield check_broker_clock(checked.executor, checked.skew, record_clock)


def _went_away(message: str) -> CheckResult:
    return critical(
        "postgresql",
        message,
        cause="PostgreSQL went away during the checks.",
        remedy="Start PostgreSQL, or correct DATABASE_URL. Signals wait at their source until it is back.",
    )
