"""When a dependency is away, each process logs that once and waits for it, and every signal gets its order."""

from __future__ import annotations

import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import psycopg
import pytest
import redis

from tests.acceptance.stage import Stage, every, frozen, on_stage
from tests.acceptance.system import a_signal
from tests.exchange_fixtures import ExchangeProcess

log = logging.getLogger(__name__)

#: The length of each outage in seconds; OUTAGE_S sets a longer one for a run by hand.
AWAY_S = float(os.environ.get("OUTAGE_S", "6"))
MEMORY = 64 * 1024 * 1024


@pytest.fixture(scope="module")
def everything(start_exchange: Callable[..., ExchangeProcess]) -> Iterator[Stage]:
    with on_stage(start_exchange("--no-bars")) as stage:
        yield stage


@pytest.fixture
def stage(everything: Stage) -> Stage:
    """The system of this module, healthy and without unread log lines."""
    everything.well()
    everything.quiet()
    return everything


@contextmanager
def postgres_stopped(stage: Stage) -> Iterator[None]:
    stage.postgres.stop()
    try:
        yield
    finally:
        stage.postgres.start()


@contextmanager
def redis_stopped(stage: Stage) -> Iterator[None]:
    stage.valkey.stop()
    try:
        yield
    finally:
        stage.valkey.start()


@contextmanager
def redis_empty(stage: Stage) -> Iterator[None]:
    stage.valkey.stop()
    shutil.rmtree(stage.home / "valkey" / "appendonly")
    try:
        yield
    finally:
        stage.valkey.start()


@contextmanager
def redis_frozen(stage: Stage) -> Iterator[None]:
    with frozen(stage.valkey.server_pid):
        yield


@contextmanager
def redis_out_of_memory(stage: Stage) -> Iterator[None]:
    with redis.Redis.from_url(stage.valkey.url) as connection:
        connection.config_set("maxmemory", 1)
        try:
            yield
        finally:
            connection.config_set("maxmemory", MEMORY)


@contextmanager
def redis_read_only(stage: Stage) -> Iterator[None]:
    with redis.Redis.from_url(stage.valkey.url) as connection:
        connection.replicaof("127.0.0.1", 1)
        try:
            yield
        finally:
            connection.replicaof("NO", "ONE")


@contextmanager
def exchange_down(stage: Stage) -> Iterator[None]:
    stage.exchange.kill9()
    try:
        yield
    finally:
        stage.exchange.start()


@contextmanager
def exchange_over_its_rate(stage: Stage) -> Iterator[None]:
    stage.exchange.admin("faults", {"faults": [{"on": "any", "kind": "429", "probability": 1.0}]})
    try:
        yield
    finally:
        stage.exchange.admin("faults", {"faults": []})


Outage = Callable[[Stage], AbstractContextManager[None]]

#: Each outage, the parts that doctor and `/ready` report as critical, and the first word of the logged events.
OUTAGES = [
    pytest.param(postgres_stopped, {"postgresql"}, "record", id="postgres_stopped"),
    pytest.param(redis_stopped, {"redis"}, "queue", id="redis_stopped"),
    pytest.param(redis_empty, {"redis"}, "queue", id="redis_restarted_empty"),
    pytest.param(redis_frozen, {"redis"}, "queue", id="redis_frozen"),
    pytest.param(redis_out_of_memory, {"redis"}, "queue", id="redis_out_of_memory"),
    pytest.param(redis_read_only, {"redis"}, "queue", id="redis_read_only"),
    pytest.param(exchange_down, {"broker argo", "broker prop_firm"}, "broker", id="exchange_down"),
    # A broker that answers 429 is not away: orders wait, and no part is critical.
    pytest.param(exchange_over_its_rate, set(), "requests", id="exchange_over_its_rate"),
]


@pytest.mark.parametrize(("outage", "parts", "word"), OUTAGES)
def test_an_outage_is_named_once_and_waited_for(stage: Stage, outage: Outage, parts: set[str], word: str) -> None:
    produced, sent = stage.fresh(10), stage.fresh(5)
    pids = stage.system.services()["pids"]

    with outage(stage):
        began = time.monotonic()
        stage.produce(produced)
        assert stage.critical_says_doctor() >= parts
        status = 503 if parts else 200
        stage.system.until(lambda: stage.ready()[0] == status, within_s=10, what=f"/ready answers {status}")
        named = {name for name, status in stage.ready()[1].items() if status == "critical"}
        accepted = stage.accepted(sent)
        # A frozen server does not refuse connections, so each attempt fails only when its time limit ends.
        away_s = AWAY_S + 8 if outage is redis_frozen else AWAY_S
        time.sleep(max(0.0, away_s - (time.monotonic() - began)))
    back = time.monotonic()
    stage.decided(produced + accepted)
    log.info("%s: decided %.1f s after the end; %s", word, time.monotonic() - back, stage.outages())

    assert named >= parts
    # A signal is acknowledged when it is committed: none while PostgreSQL is away, all while Redis is away.
    assert accepted == ([] if word == "record" else sent)
    assert stage.system.services()["pids"] == pids
    for name, events in stage.outages().items():
        if name == "producer" and word != "queue" and "queue.back" in events:
            events.remove("queue.back")  # The producer may notice the end of an earlier outage only now.
        assert len(events) == len(set(events)), (name, events)
        assert all(event.startswith(word) for event in events), (name, events)
    gone, back_again = ("refused", "accepted") if word == "requests" else ("away", "back")
    # The processes of an account share the wait after a 429, and only the one that ends it logs `requests.accepted`.
    reporting = stage.outages() if word == "requests" else ["argo"]
    logged = {
        event.split()[0] for name in reporting for event in stage.outages()[name] if not event.endswith("prop_firm")
    }
    assert logged == {f"{word}.{gone}", f"{word}.{back_again}"}


def test_up_runs_no_server_of_its_own_in_place_of_those_it_is_given(stage: Stage) -> None:
    services = stage.system.services()
    said = stage.system.log()

    assert set(services["pids"]).isdisjoint({"postgres", "valkey", "exchange"})
    assert services["database_url"] == stage.postgres.url
    assert services["redis_url"] == stage.valkey.url
    assert services["exchange_url"] == stage.exchange.url
    assert "yours, from DATABASE_URL" in said
    assert "yours, from REDIS_URL" in said
    assert not (stage.system.home / "postgres").exists()
    assert not (stage.system.home / "valkey").exists()


def test_intake_without_a_record_refuses_in_one_clear_line(stage: Stage) -> None:
    symbols = stage.fresh(30)
    with postgres_stopped(stage):
        began = time.monotonic()
        lines = "".join(json.dumps(a_signal(symbol)) + "\n" for symbol in symbols)
        done = stage.system.run("signal", "send", "-", stdin=lines)
        log.info("30 signals were refused after %.1f s", time.monotonic() - began)

    assert done.returncode == 1
    assert done.stdout.count('"code": "record_unavailable"') == 30
    assert done.stdout.count("PostgreSQL cannot be reached") == 30
    assert "Traceback" not in done.stderr
    # The only line names the home and the accounts; it is not an error.
    assert [line.split(" ")[0] for line in done.stderr.splitlines()] == ["home"]
    stage.well()
    assert stage.orders_of(symbols) == {"argo": {}, "prop_firm": {}}


def test_a_postgres_that_is_killed_and_starts_again_costs_nothing(stage: Stage) -> None:
    symbols = stage.fresh(40)
    pids = stage.system.services()["pids"]

    for part in range(4):
        stage.produce(symbols[part * 10 : part * 10 + 10])
        time.sleep(0.3)
        stage.postgres.kill()
        stage.postgres.start()
    stage.decided(symbols)

    assert stage.system.services()["pids"] == pids
    stage.outages()


def test_connections_that_are_cut_again_and_again_cost_nothing_and_are_no_outage(stage: Stage) -> None:
    symbols = stage.fresh(40)
    pids = stage.system.services()["pids"]
    with psycopg.connect(stage.postgres.url, autocommit=True) as connection:

        def cut() -> None:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'tradewire'"
            )

        with every(0.1, cut):
            for symbol in symbols:
                stage.produce([symbol])
                time.sleep(0.1)
    stage.decided(symbols)

    assert stage.system.services()["pids"] == pids
    assert max(map(len, stage.outages().values())) <= 2


def test_an_exchange_that_is_slow_for_a_while_doubles_nothing(stage: Stage) -> None:
    symbols = stage.fresh(6)
    latency = {"on": "submit", "kind": "latency", "seconds": 6.0, "probability": 1.0}
    stage.exchange.admin("faults", {"faults": [latency]})
    stage.produce(symbols)
    time.sleep(AWAY_S)
    stage.exchange.admin("faults", {"faults": []})
    stage.decided(symbols)

    stage.outages()
