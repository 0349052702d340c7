"""Look at everything at once. It reads only: it never trades, and it changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from config.executors import ExecutorSettings
from config.settings import Settings
from pipeline.doctor.brokers import look_at_broker
from pipeline.doctor.findings import Finding, Status, no_address
from pipeline.doctor.servers import look_at_postgres, look_at_processes, look_at_redis
from pipeline.doctor.settings import look_at_gone, look_at_settings
from pipeline.doctor.switches import look_at_switches
from pipeline.reports import report
from pipeline.store.record import Record

_UNFINISHED_S = 60.0


def examine(settings: Settings, executors: Mapping[str, ExecutorSettings]) -> list[Finding]:
    """Return one finding per part, the foundations first. Takes at most about 5 s."""
    database_url = settings.database_url.get_secret_value() if settings.database_url else None
    redis_url = settings.redis_url.get_secret_value() if settings.redis_url else None
    with ThreadPoolExecutor(4 + len(executors), thread_name_prefix="doctor") as pool:
        redis = pool.submit(look_at_redis, redis_url)
        if database_url is None:
            return [no_address("postgresql", "DATABASE_URL"), redis.result()]
        record = Record(database_url, connections=4, patience_s=1.5)
        try:
            brokers = [pool.submit(look_at_broker, executor, settings, record) for executor in executors.values()]
            postgres = look_at_postgres(record)
            findings = [postgres, redis.result()]
            if postgres.status is Status.OK:
                findings += look_at_processes(record, tuple(executors))
                findings += look_at_switches(record, executors)
                findings += _look_at_work(record)
                findings += [look_at_settings(record, executors), *look_at_gone(record, executors)]
            findings += [broker.result() for broker in brokers]
        finally:
            record.close()
    return findings


def _look_at_work(record: Record) -> list[Finding]:
    """Say whether work flows: the oldest unfinished, dead letters, the execution rate."""
    body = report(record)
    oldest, dead = body["oldest_unfinished_s"], body["by_status"].get("dead", 0)
    rate = body["execution_rate"]
    late = oldest is not None and oldest > _UNFINISHED_S
    return [
        Finding(
            name="unfinished",
            status=Status.WARNING if late else Status.OK,
            saw="nothing waits" if oldest is None else f"the oldest unfinished execution is {oldest:.0f} s old",
            cause="Its broker is away, its symbol waits for an earlier one, or no worker runs." if late else None,
            remedy="`tradewire executions --status held` and `tradewire why ID` tell which." if late else None,
        ),
        Finding(
            name="dead letters",
            status=Status.WARNING if dead else Status.OK,
            saw=f"{dead} open",
            cause="Executions that only a person can move on." if dead else None,
            remedy="`tradewire dead list`, then requeue or discard." if dead else None,
        ),
        Finding(
            name="execution rate",
            status=Status.OK,
            saw="nothing was eligible yet" if rate is None else f"{rate:.1%} of what was decided and not skipped",
        ),
    ]
