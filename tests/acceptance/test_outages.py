"""The system keeps working while the exchange or Redis is away, or the exchange answers nonsense."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator

import httpx
import pytest
import redis
from rq.registry import FailedJobRegistry
from rq.serializers import JSONSerializer

from tests.acceptance.system import ROOT, System, a_signal, symbols
from tests.waiting import patience

MakeSystem = Callable[..., System]
LOAD = "config/executors.load.toml"
BOTH = ("argo", "prop_firm")


@contextlib.contextmanager
def workers(one: System) -> Iterator[None]:
    """Run a worker per executor beside an `up` that runs none."""
    command = [sys.executable, "-m", "pipeline.entrypoints.cli", "work"]
    running = [subprocess.Popen([*command, name], cwd=ROOT, env=one.environment) for name in BOTH]
    try:
        yield
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait(timeout=patience(10))


def one_order_each(one: System, count: int) -> bool:
    return all(len(one.orders(name)) == count for name in BOTH)


@pytest.mark.parametrize("seconds", [6])
def test_an_exchange_that_stops_while_signals_come_loses_none(system: MakeSystem, seconds: int) -> None:
    one = system(executors=LOAD).up("--source", "none")
    exchange = one.pid("exchange")

    os.kill(exchange, signal.SIGSTOP)
    try:
        one.send(a_signal(symbol) for symbol in symbols(100))
        time.sleep(seconds)
    finally:
        os.kill(exchange, signal.SIGCONT)
    one.until(lambda: one_order_each(one, 100), within_s=15, what="100 orders at each")

    assert [len({order["symbol"] for order in one.orders(name)}) for name in BOTH] == [100, 100]
    assert one.json("report")["execution_rate"] == 1.0


def test_redis_flushed_with_everything_queued_loses_nothing_and_doubles_nothing(system: MakeSystem) -> None:
    one = system(executors=LOAD).up("--source", "none", "--without", "argo,prop_firm")
    one.send(a_signal(symbol) for symbol in symbols(100))

    redis.Redis.from_url(one.services()["redis_url"]).flushall()
    with workers(one):
        one.until(lambda: one_order_each(one, 100), within_s=30, what="100 orders at each")
        time.sleep(2)

    assert [len({order["symbol"] for order in one.orders(name)}) for name in BOTH] == [100, 100]
    assert one_order_each(one, 100)


def test_nonsense_ends_in_dead_letters_that_both_ways_requeue_and_discard(system: MakeSystem) -> None:
    one = system(executors=LOAD).up("--source", "none")
    one.admin("faults", {"seed": 1, "faults": [{"on": "any", "kind": "garbage", "probability": 1.0}]})
    one.send(a_signal(symbol) for symbol in symbols(2))
    one.until(lambda: len(one.json("dead", "list")) == 4, within_s=60, what="four dead letters")
    letters = {letter["executor_id"]: letter for letter in reversed(one.json("dead", "list"))}
    services = one.services()
    connection = redis.Redis.from_url(services["redis_url"])

    def mirrored() -> int:
        registries = [
            FailedJobRegistry(f"executor-{name}", connection=connection, serializer=JSONSerializer) for name in BOTH
        ]
        return sum(len(registry.get_job_ids(cleanup=False)) for registry in registries)

    one.until(lambda: mirrored() == 4, within_s=10, what="the failed page shows them")
    one.admin("faults", {"seed": 1, "faults": []})
    by_hand, on_the_page = letters["argo"], letters["prop_firm"]
    one.run("dead", "requeue", by_hand["execution_id"], "--why", "it answers again", "--by", "ann")
    answer = httpx.post(
        f"{services['rq_dashboard_url']}/job/dead-{on_the_page['execution_id']}-1/requeue",
        auth=("tradewire", services["api_token"]),
        headers={"Origin": services["rq_dashboard_url"]},
    )
    one.until(lambda: one_order_each(one, 1), within_s=15, what="an order for each requeued one")
    for letter in one.json("dead", "list"):
        one.run("dead", "discard", letter["execution_id"], "--why", "too late")
    one.until(lambda: mirrored() == 0, within_s=10, what="the failed page is empty")

    assert {letter["reason_code"] for letter in letters.values()} <= {"account_unreadable", "unknown_too_long"}
    assert answer.status_code == 200
    assert one.json("dead", "list") == []
    told = one.run("why", by_hand["execution_id"]).stdout
    assert "by ann" in told
    assert "it answers again" in told
    assert "by rq-dashboard" in one.run("why", on_the_page["execution_id"]).stdout


def test_wrong_keys_hold_one_executor_and_the_other_trades_on(system: MakeSystem) -> None:
    one = system(executors=LOAD).up("--source", "none")
    one.admin("accounts", {"key": "argo", "refused": True})
    one.send([a_signal()])
    one.until(lambda: one.orders("prop_firm"), within_s=10, what="an order at prop_firm")
    one.until(
        lambda: (
            [row["reason_code"] for row in one.json("executions", "--executor", "argo")] == ["broker_refuses_account"]
        ),
        within_s=15,
        what="the hold at argo",
    )

    assert one.run("doctor").returncode == 2
    one.admin("accounts", {"key": "argo", "refused": False})
    before = one.pid("argo")
    os.kill(before, signal.SIGTERM)  # a new worker probes the account at once
    one.until(lambda: one.orders("argo"), within_s=20, what="an order at argo")

    assert len(one.orders("argo")) == 1


def test_nothing_in_redis_is_a_secret_or_a_pickle(system: MakeSystem) -> None:
    one = system(executors=LOAD, ARGO_API_KEY="PKARGO", ARGO_API_SECRET="very-secret-argo").up(
        "--source", "none", "--without", "argo,prop_firm"
    )
    one.send(a_signal(symbol) for symbol in symbols(3))
    connection = redis.Redis.from_url(one.services()["redis_url"])

    dump = b"".join(connection.dump(key) or b"" for key in connection.scan_iter())
    jobs = [connection.hgetall(key) for key in connection.scan_iter("rq:job:*", _type="hash")]

    assert len(jobs) == 6
    assert b"very-secret-argo" not in dump
    assert one.services()["api_token"].encode() not in dump
    # The data of each job is JSON that names our only function, not a pickle.
    assert {json.loads(zlib.decompress(job[b"data"]))[0] for job in jobs} == {"tradewire.execute"}
    assert "BUY QAAA 98.0 % → argo" in {job[b"description"].decode() for job in jobs}
