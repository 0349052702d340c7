"""Look at every part that tradewire stands on and say what is wrong, why it likely is, and what mends it.

It reads only: it never trades, and it changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from config.executors import ExecutorSettings
from config.settings import Settings
from pipeline.errors import (
    BrokerRefusesAccount,
    NotMigrated,
    NotPossible,
    TradewireError,
)
from pipeline.heartbeats import GONE_AFTER
from pipeline.queues.server import check_server, connect
from pipeline.reports import report
from pipeline.store.record import Record
from pipeline.store.statements import sql
from workers.brokers.holdings import Account
from workers.engine import Desk, open_desk

#: The longest that one look at a broker may take, so that the whole answer is there within 5 s.
_BROKER_TIMEOUT_S = 2.5
_UNFINISHED_S = 60.0


class Status(StrEnum):
    """How a part is."""

    OK = "ok"
    WARNING = "warning"
    CRITICAL = "critical"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One part: what was seen, and when it is not well, the likely cause and what mends it."""

    name: str
    status: Status
    saw: str
    cause: str | None = None
    remedy: str | None = None


def examine(settings: Settings, executors: Mapping[str, ExecutorSettings]) -> list[Finding]:
    """Return one finding per part, the foundations first. Takes at most about 5 s."""
    database_url = settings.database_url.get_secret_value() if settings.database_url else None
    redis_url = settings.redis_url.get_secret_value() if settings.redis_url else None
    with ThreadPoolExecutor(4 + len(executors), thread_name_prefix="doctor") as pool:
        redis = pool.submit(look_at_redis, redis_url)
        if database_url is None:
            return [_no_address("postgresql", "DATABASE_URL"), redis.result()]
        record = Record(database_url, connections=4, patience_s=1.5)
        try:
            brokers = [pool.submit(look_at_broker, executor, settings, record) for executor in executors.values()]
            postgres = look_at_postgres(record)
            findings = [postgres, redis.result()]
            if postgres.status is Status.OK:
                findings += look_at_processes(record, tuple(executors))
                findings += _look_at_work(record)
            findings += [broker.result() for broker in brokers]
        finally:
            record.close()
    return findings


def worst(findings: list[Finding]) -> Status:
    """Return the worst status of all."""
    order = list(Status)
    return max((finding.status for finding in findings), key=order.index, default=Status.OK)


def findings_json(findings: list[Finding]) -> dict[str, Any]:
    """Return the contract's shape."""
    return {"status": worst(findings).value, "checks": [asdict(finding) for finding in findings]}


def look_at_postgres(record: Record) -> Finding:
    """Say whether the record answers."""
    return _guarded(
        "postgresql",
        lambda: record.run(lambda connection: connection.info.server_version // 10000),
        saw=lambda version: f"PostgreSQL {version} answers",
        remedy="Start PostgreSQL, or correct DATABASE_URL. Signals wait at their source until it is back.",
    )


def look_at_redis(redis_url: str | None) -> Finding:
    """Say whether the queues answer and can be trusted with jobs."""
    if redis_url is None:
        return _no_address("redis", "REDIS_URL")
    return _guarded(
        "redis",
        lambda: _ask_redis(redis_url),
        saw=lambda _: "Redis answers, keeps all keys, and takes writes",
        remedy="Start Redis, give it memory, or correct REDIS_URL. The keeper enqueues what waits when it is back.",
    )


def _ask_redis(redis_url: str) -> None:
    with connect(redis_url, timeout_s=1.5) as connection:
        check_server(connection)


def look_at_processes(record: Record, executor_ids: tuple[str, ...]) -> list[Finding]:
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


def look_at_broker(executor: ExecutorSettings, settings: Settings, record: Record) -> Finding:
    """Say whether the broker answers with these keys and for this account."""
    name = f"broker {executor.id}"
    patient = executor.retry.model_copy(
        update={"broker_timeout_s": min(executor.retry.broker_timeout_s, _BROKER_TIMEOUT_S)}
    )
    try:
        desk = open_desk(
            executor.model_copy(update={"retry": patient}),
            settings=settings,
            exchange_url=settings.exchange_url,
            record=record,
        )
        account = _account_of(desk)
    except BrokerRefusesAccount as error:
        remedy = (
            f"Correct {executor.id.upper()}_API_KEY and _API_SECRET, or ask the broker; one probe a minute finds out."
        )
        return Finding(name=name, status=Status.CRITICAL, saw=str(error), cause="Wrong keys or account.", remedy=remedy)
    except TradewireError as error:
        cause = "The broker is down, slow or not at this address."
        remedy = "Look at `base_url`; executions are held until it answers, entries until they are too old."
        return Finding(name=name, status=Status.CRITICAL, saw=str(error), cause=cause, remedy=remedy)
    if executor.account is not None and account.number != executor.account:
        saw = f"the keys open account {account.number}, not the pinned {executor.account}"
        remedy = "Put the keys of the pinned account back."
        return Finding(name=name, status=Status.CRITICAL, saw=saw, cause="Keys of another account.", remedy=remedy)
    if account.blocked:
        saw = f"account {account.number} is blocked for trading"
        return Finding(
            name=name, status=Status.CRITICAL, saw=saw, cause="The broker's decision.", remedy="Ask the broker."
        )
    return Finding(name=name, status=Status.OK, saw=f"account {account.number} ({executor.mode}) answers")


def _account_of(desk: Desk) -> Account:
    """Read the account, and once more if need be: one lost answer is no absence."""
    with closing(desk):
        try:
            return desk.broker.account()
        except TradewireError:
            return desk.broker.account()


def _guarded(name: str, look: Callable[[], Any], *, saw: Callable[[Any], str], remedy: str) -> Finding:
    try:
        return Finding(name=name, status=Status.OK, saw=saw(look()))
    except NotMigrated as error:
        cause, remedy = "It has no tables of ours.", "Run `tradewire migrate`."
        return Finding(name=name, status=Status.CRITICAL, saw=str(error), cause=cause, remedy=remedy)
    except NotPossible as error:
        cause = f"This {name} cannot be used as it is; processes refuse to start on it."
        return Finding(name=name, status=Status.CRITICAL, saw=str(error), cause=cause, remedy=remedy)
    except TradewireError as error:
        cause = f"{name} is away, or takes nothing."
        return Finding(name=name, status=Status.CRITICAL, saw=str(error), cause=cause, remedy=remedy)


def _present(name: str, count: int, *, cause: str, remedy: str) -> Finding:
    if count:
        return Finding(name=name, status=Status.OK, saw=f"{count} alive")
    return Finding(name=name, status=Status.CRITICAL, saw="none is alive", cause=cause, remedy=remedy)


def _unwell(row: Mapping[str, Any]) -> Finding:
    return Finding(
        name=f"{row['kind']} {row['name']}",
        status=Status.WARNING,
        saw=f"alive, and says that it is not well: {row['facts']}"[:300],
        cause="Something it needs is away or does not answer.",
        remedy="Its log says what.",
    )


def _no_address(name: str, variable: str) -> Finding:
    return Finding(
        name=name,
        status=Status.CRITICAL,
        saw="no address is known",
        cause=f"{variable} is not set and no `tradewire up` runs on this home.",
        remedy=f"Run `tradewire up`, or set {variable}.",
    )
