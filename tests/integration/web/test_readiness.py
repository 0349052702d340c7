"""`/ready` names the parts that are away, and many requests to it share one check of the brokers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing

import httpx
import pytest
from rq.suspension import resume, suspend

from pipeline.entrypoints.supervisor.servers.addresses import free_port
from pipeline.entrypoints.web.api.readiness import Readiness
from pipeline.operations.tokens import Scope, make_token
from pipeline.store.record import Record
from tests.factories import Core
from tests.integration.doctor.test_doctor import NOWHERE, at_work
from tests.integration.startup.test_dependencies_kinds import configured
from tests.waiting import patience
from tests.web import BEARER, serving, web_context


def critical(client: httpx.Client) -> set[str]:
    """Return the names of the critical parts in /ready; the status must be 503 when there are any."""
    answer = client.get("/ready", headers=BEARER)
    names = {check["name"] for check in answer.json()["checks"] if check["status"] == "critical"}
    assert answer.status_code == (503 if names else 200)
    return names


def served(core: Core, readiness: Readiness) -> AbstractContextManager[httpx.Client]:
    return serving(web_context(core.record, core.redis_url, executors=core.executors_path, readiness=readiness))


@pytest.fixture
def readiness(core: Core, record: Record) -> Iterator[Readiness]:
    with closing(
        Readiness(record, redis_url=core.redis_url, settings=core.settings, executors=core.executors)
    ) as readiness:
        yield readiness


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every call check again."""
    monkeypatch.setattr("pipeline.entrypoints.web.api.readiness._SHARED_S", 0.0)


@pytest.fixture
def client(core: Core, readiness: Readiness) -> Iterator[httpx.Client]:
    with served(core, readiness) as made:
        yield made


@pytest.mark.usefixtures("at_once")
def test_it_is_ready_when_every_part_is(core: Core, client: httpx.Client) -> None:
    with at_work(core):
        assert critical(client) == set()
    assert critical(client) == {"worker argo", "keeper"}


@pytest.mark.usefixtures("at_once")
def test_without_a_token_it_says_only_whether_it_is_ready(core: Core, client: httpx.Client) -> None:
    with at_work(core):
        ready = client.get("/ready")
    not_ready = client.get("/ready")
    sender = make_token(core.record, "sender", [Scope.SIGNAL], by="test")

    assert (ready.status_code, ready.json()) == (200, {"status": "ready"})
    assert (not_ready.status_code, not_ready.json()) == (503, {"status": "not_ready"})
    for token in (sender, "wrong"):
        answer = client.get("/ready", headers={"Authorization": f"Bearer {token}"})
        assert (answer.status_code, answer.json()) == (503, {"status": "not_ready"})


def test_a_monitor_is_answered_although_too_many_wrong_tokens_came_from_its_address(client: httpx.Client) -> None:
    for number in range(20):
        client.get("/api/v1/signals", headers={"Authorization": f"Bearer wrong-{number}"})
    assert client.get("/api/v1/signals", headers=BEARER).status_code == 429

    answer = client.get("/ready", headers=BEARER)

    assert (answer.status_code, answer.json()) == (503, {"status": "not_ready"})


def test_health_says_only_that_the_process_answers(client: httpx.Client) -> None:
    assert client.get("/health").json() == {"status": "ok"}


def test_a_redis_that_takes_no_writes_is_named(core: Core, client: httpx.Client) -> None:
    with at_work(core), configured(core.redis_url, maxmemory="1"):
        assert critical(client) == {"redis"}


def test_a_broker_that_is_down_is_named(core: Core, client: httpx.Client) -> None:
    core.exchange.kill9()
    try:
        with at_work(core):
            assert critical(client) == {"broker argo"}
    finally:
        core.exchange.start()


def test_without_postgresql_the_checks_that_read_it_are_left_out(core: Core) -> None:
    with Record(NOWHERE.format(port=free_port()), retry_for_s=0.5) as record:
        readiness = Readiness(record, redis_url=core.redis_url, settings=core.settings, executors=core.executors)
        with closing(readiness), served(core, readiness) as client:
            assert critical(client) == {"postgresql"}


@pytest.mark.usefixtures("at_once")
def test_many_requests_share_one_check_of_the_brokers(core: Core, client: httpx.Client) -> None:
    core.faults({"on": "account", "kind": "drop_before", "count": 2})
    with at_work(core):
        answers = [critical(client) for _ in range(20)]

    # The fault hit both attempts of the first reading. A third one would have succeeded, so none was made.
    assert answers == [{"broker argo"}] * 20


@pytest.mark.usefixtures("at_once")
def test_a_redis_that_brings_workers_no_jobs_is_not_ready(core: Core, client: httpx.Client) -> None:
    with at_work(core):
        suspend(core.queues.connection)
        assert critical(client) == {"queues"}
        resume(core.queues.connection)
        assert critical(client) == set()


def test_calls_within_a_second_share_one_check(monkeypatch: pytest.MonkeyPatch, readiness: Readiness) -> None:
    first = readiness.check()

    assert readiness.check() is first
    monkeypatch.setattr("pipeline.entrypoints.web.api.readiness._SHARED_S", 0.0)
    assert readiness.check() is not first


def test_requests_that_wait_for_a_check_hold_up_no_other_request(client: httpx.Client, readiness: Readiness) -> None:
    with ThreadPoolExecutor(60) as threads:
        # The lock is held for as long as a check takes, which is seconds while a broker hangs.
        with readiness._lock:
            ready = [threads.submit(httpx.get, f"{client.base_url}/ready", timeout=patience(60)) for _ in range(60)]
            time.sleep(1.0)  # The requests arrive.
            answer = client.get("/api/v1/signals", headers=BEARER)
            waiting = [each for each in ready if not each.done()]
        answers = {each.result().status_code for each in ready}

    assert (answer.status_code, len(waiting), answers) == (200, 60, {503})
