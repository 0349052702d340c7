"""Doctor reports each part that is away, wrong or missing. It sends no order and changes nothing."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from decimal import Decimal
from typing import Any

import pytest
import redis
from pydantic import SecretStr

from config.services import UP, Services, write_services
from pipeline.entrypoints.doctor.examine import examine
from pipeline.entrypoints.doctor.findings import CheckResult, CheckStatus, findings_json, worst
from pipeline.entrypoints.supervisor.servers.addresses import free_port
from pipeline.monitoring.heartbeats import Heartbeat
from tests.core_fixtures import Processes
from tests.factories import Core, executor_toml, until
from tests.integration.startup.test_dependencies_kinds import configured

#: Doctor answers within this time, whichever part is away. The start of Python is not included.
BOUND_S = 5.0
NOWHERE = "postgresql://somebody@127.0.0.1:{port}/tradewire"


def examined(core: Core, **changes: Any) -> dict[str, CheckResult]:
    """Run all checks, with changes to some settings, and return the findings by name."""
    known = {"database_url": SecretStr(core.database_url), "redis_url": SecretStr(core.redis_url)}
    began = time.monotonic()
    findings = examine(core.settings.model_copy(update=known | changes), core.executors)
    assert time.monotonic() - began < BOUND_S
    assert [finding.name for finding in findings[:2]] == ["postgresql", "redis"]
    return {finding.name: finding for finding in findings}


def critical(found: dict[str, CheckResult]) -> set[str]:
    """Return the names of the critical findings; each must have a cause and a remedy."""
    names = {name for name, finding in found.items() if finding.status is CheckStatus.CRITICAL}
    assert all(found[name].cause and found[name].remedy for name in names)
    return names


@contextmanager
def at_work(core: Core, *, healthy: bool = True) -> Iterator[None]:
    """Record heartbeats of a worker, a keeper and a tracker, as their processes do."""

    def health() -> tuple[bool, dict[str, Any]]:
        return healthy, {"leads": True, "late": {"sweep": 20.0}, "slowest": "sweep", "behind_s": 0.2}

    with (
        closing(Heartbeat(core.database_url, kind="worker", name="argo")),
        closing(Heartbeat(core.database_url, kind="keeper", name="keeper", health=health)),
        closing(Heartbeat(core.database_url, kind="tracker", name="tracker")),
    ):
        until(lambda: len(core.rows("SELECT 1 FROM heartbeat")) == 3)
        yield


def test_all_is_well(core: Core) -> None:
    with at_work(core):
        found = examined(core)

    assert critical(found) == set()
    assert worst(list(found.values())) is CheckStatus.OK
    assert found["broker argo"].saw.endswith("(exchange) answers")
    assert core.orders() == []


def test_without_an_exchange_the_remedy_is_not_a_key(core: Core) -> None:
    found = examined(core, exchange_url=None)

    assert "broker argo" in critical(found)
    remedy = found["broker argo"].remedy
    assert remedy == "Run `tradewire up`, or set TRADEWIRE_EXCHANGE_URL; see `tradewire config check`."


def test_a_queue_without_a_worker_and_a_missing_keeper_are_named(core: Core) -> None:
    found = examined(core)

    assert critical(found) == {"worker argo", "keeper"}
    assert found["worker argo"].remedy == "Run `tradewire work argo`."
    # Without a tracker the keeper polls all the same.
    assert found["tracker"].status is CheckStatus.WARNING


def test_a_process_that_is_not_well_says_so(core: Core) -> None:
    with at_work(core, healthy=False):
        found = examined(core)

    assert found["keeper keeper"].status is CheckStatus.WARNING
    assert "sweep" in found["keeper keeper"].saw
    assert critical(found) == set()


def test_a_web_process_of_up_that_hangs_is_critical(core: Core) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as hangs:
        url = f"http://127.0.0.1:{hangs.getsockname()[1]}"
        write_services(core.settings.home, Services(web_url=url, pids={UP: os.getpid(), "web": 4321}))
        with at_work(core):
            found = examined(core)

    assert critical(found) == {"web"}
    assert found["web"].saw == f"{url} does not answer"
    assert "4321" in str(found["web"].remedy)


def test_a_web_process_of_up_that_answers_is_well(core: Core) -> None:
    services = Services(web_url=core.exchange.url, pids={UP: os.getpid(), "web": 4321})
    write_services(core.settings.home, services)

    assert examined(core)["web"].status is CheckStatus.OK


def test_an_absent_postgres_is_named_and_the_rest_is_looked_at(core: Core) -> None:
    found = examined(core, database_url=SecretStr(NOWHERE.format(port=free_port())))

    assert critical(found) == {"postgresql"}
    assert "Connection refused" in found["postgresql"].saw
    assert {"postgresql", "redis", "broker argo", "market argo", "clock broker argo", "disk home"} <= set(found)


def test_a_database_without_tables_differs_from_an_absent_one(core: Core, empty_database_url: str) -> None:
    found = examined(core, database_url=SecretStr(empty_database_url))

    assert critical(found) == {"postgresql"}
    assert found["postgresql"].remedy == "Run `tradewire migrate`."


def test_no_address_is_a_finding_too(core: Core) -> None:
    found = examined(core, database_url=None, redis_url=None)

    assert critical(found) == {"postgresql", "redis"}
    assert "DATABASE_URL is not set" in str(found["postgresql"].cause)


def test_an_absent_redis_is_named(core: Core) -> None:
    with at_work(core):
        found = examined(core, redis_url=SecretStr(f"redis://127.0.0.1:{free_port()}/0"))

    assert critical(found) == {"redis"}


@pytest.mark.parametrize(
    ("settings", "saw"), [({"maxmemory": "1"}, "maxmemory"), ({"maxmemory-policy": "allkeys-lru"}, "evicts keys")]
)
def test_a_redis_that_is_full_or_evicts_is_not_called_well(core: Core, settings: dict[str, str], saw: str) -> None:
    with at_work(core), configured(core.redis_url, **settings):
        found = examined(core)

    assert critical(found) == {"redis"}
    assert saw in found["redis"].saw


def test_a_replica_is_not_called_well(core: Core) -> None:
    with redis.Redis.from_url(core.redis_url) as connection:
        connection.replicaof("127.0.0.1", "1")
        try:
            found = examined(core)
        finally:
            connection.replicaof("NO", "ONE")

    assert "redis" in critical(found)
    assert "replica" in found["redis"].saw


def test_a_broker_that_is_down_or_frozen_is_named_in_time(core: Core) -> None:
    with at_work(core):
        core.exchange.freeze()
        try:
            frozen = examined(core)
        finally:
            core.exchange.thaw()
        core.exchange.kill9()
        try:
            down = examined(core)
        finally:
            core.exchange.start()

    assert critical(frozen) == critical(down) == {"broker argo"}
    assert "no complete answer" in frozen["broker argo"].saw
    assert "Connection refused" in down["broker argo"].saw


def test_one_lost_answer_of_a_broker_is_no_finding(core: Core) -> None:
    core.faults({"on": "account", "kind": "drop_after", "count": 1})
    with at_work(core):
        found = examined(core)

    assert critical(found) == set()


def test_a_refused_account_differs_from_the_keys_of_another_account(core: Core, make_core: Any) -> None:
    core.exchange.admin("accounts", {"key": "argo", "refused": True})
    refused = examined(core)["broker argo"]
    core.exchange.admin("accounts", {"key": "argo", "refused": False})
    pinned = make_core(executor_toml(top='account = "PA-SOMEBODY"'))
    other = examined(pinned)["broker argo"]

    assert refused.status is other.status is CheckStatus.CRITICAL
    assert refused.cause == "The keys or the account are wrong."
    assert "ARGO_API_KEY" in str(refused.remedy)
    assert other.cause == "The keys belong to another account."
    assert "not the pinned PA-SOMEBODY" in other.saw


def test_the_command_exits_by_the_worst_and_prints_the_contracts_shape(core: Core, processes: Processes) -> None:
    with at_work(core):
        well = processes.start(core, "doctor", "--json")
        assert well.wait(30) == 0
    missing = processes.start(core, "doctor")
    assert missing.wait(30) == 2

    body = json.loads(processes.said(well))
    assert body["status"] == "ok"
    assert {tuple(check) for check in body["checks"]} == {("name", "status", "saw", "cause", "remedy")}
    assert "CRITICAL  keeper: none is alive" in processes.said(missing)
    assert "Run `tradewire keep`." in processes.said(missing)


def test_a_process_with_other_settings_than_the_file_is_a_warning(core: Core) -> None:
    argo = core.executors["argo"]
    before = {"argo": argo.model_copy(update={"size": argo.size.model_copy(update={"value": Decimal(7)})})}
    with at_work(core), closing(Heartbeat(core.database_url, kind="web", name="web", executors=before)):
        until(lambda: len(core.rows("SELECT 1 FROM heartbeat")) == 3)
        found = examined(core)["settings"]

    assert found.status is CheckStatus.WARNING
    assert found.saw.startswith("argo: web web (pid ")
    assert "tradewire config diff" in str(found.remedy)


def test_what_an_executor_left_that_is_not_in_the_file_is_a_warning(core: Core) -> None:
    core.send()
    core.rows("UPDATE execution SET executor_id = 'old'")
    with at_work(core):
        found = examined(core)

    assert found["executor old"].status is CheckStatus.WARNING
    assert "executions: 1 queued" in found["executor old"].saw
    assert "tradewire config forget old --why TEXT" in str(found["executor old"].remedy)
    assert found["settings"].status is CheckStatus.OK


def test_the_worst_of_nothing_is_well() -> None:
    assert findings_json([]) == {"status": "ok", "checks": []}
