"""A new user runs `up`, sees signals become orders, and finds no process left after Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
import redis
from rq import Worker

from tests.acceptance.system import ROOT, System, a_signal
from tests.waiting import patience, promised

MakeSystem = Callable[..., System]


def test_the_replay_becomes_filled_orders_at_both_executors(system: MakeSystem) -> None:
    one = system(TRADEWIRE_CADENCE_S="1").up()

    def filled_at_both() -> bool:
        rows = one.json("executions", "--status", "filled", "--limit", "500")
        return {row["executor_id"] for row in rows} == {"argo", "prop_firm"}

    one.until(filled_at_both, within_s=45, what="filled orders at both executors")
    report = one.json("report")
    # The record is read first, because every order in it must already be at the exchange.
    rows = one.json("executions", "--limit", "1000")
    held_there = {order["id"] for name in ("argo", "prop_firm") for order in one.orders(name)}

    assert report["execution_rate"] == 1.0
    assert report["refused"] == 0
    for row in rows:
        if row["status"] not in ("queued", "held", "submitting", "unknown"):
            assert row["reason_code"] or row["order_id"] in held_there, row


@pytest.fixture(scope="module")
def one(shared_system: MakeSystem) -> System:
    """A system with the shipped configuration, for tests that leave it running and use symbols of their own."""
    return shared_system().up("--source", "none")


def test_three_lines_are_an_order_each_an_error_and_a_reason(one: System) -> None:
    lines = (
        '{"symbol":"AAPL","action":"BUY","confidence":98,"entry_price":190}\nnot json\n'
        '{"symbol":"MSFT","action":"BUY","confidence":75.3,"entry_price":400}\n'
    )

    done = one.run("signal", "send", "-", "--wait", "60", stdin=lines)

    first, second, third = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 1
    assert [row["executor_id"] for row in first["executions"] if row["order_id"]] == ["argo", "prop_firm"]
    assert second == {"line": 2, "error": second["error"]}
    assert second["error"]["code"] == "invalid_json"
    argo, prop_firm = third["executions"]
    assert argo["order_id"]
    assert (prop_firm["status"], prop_firm["reason_code"]) == ("skipped", "confidence_below_minimum")
    assert "Traceback" not in done.stderr


def test_a_source_id_sent_twenty_times_at_once_is_one_signal(system: MakeSystem) -> None:
    one = system(executors="config/executors.load.toml").up("--source", "none")
    same = a_signal(source="tv", source_id="fire-1")

    with ThreadPoolExecutor(5) as pool:
        answers = [
            answer for lines in pool.map(lambda _: one.send([same] * 4, "--wait", "60"), range(5)) for answer in lines
        ]
    (conflict,) = one.send([same | {"action": "SELL"}])

    assert len({answer["signal_id"] for answer in answers}) == 1
    assert [answer["duplicate"] for answer in answers].count(False) == 1
    assert [len(one.orders(name)) for name in ("argo", "prop_firm")] == [1, 1]
    assert conflict["error"]["code"] == "source_id_conflict"


def test_ctrl_c_stops_everything_and_the_next_up_goes_on_with_the_same_data(system: MakeSystem) -> None:
    one = system().up("--source", "none")
    (answer,) = one.send([a_signal()], "--wait", "60")
    below = one.children()

    took_s = one.stop()
    _, alive = psutil.wait_procs(below, timeout=promised(1))
    one.up("--source", "none")
    again = one.json("executions", "--signal", answer["signal_id"])

    assert one.process is not None
    assert took_s < promised(5)
    assert not alive, alive
    assert {row["order_id"] for row in again} == {row["order_id"] for row in answer["executions"]}


def test_after_a_kill_of_up_its_children_end_and_the_next_up_cleans_up(system: MakeSystem) -> None:
    one = system().up("--source", "none")
    one.send([a_signal()], "--wait", "60")
    below = one.children()
    assert one.process is not None

    one.process.kill()
    one.process.wait()
    _, alive = psutil.wait_procs(below, timeout=patience(5))
    one.up("--source", "none")
    (answer,) = one.send([a_signal("MSFT")], "--wait", "60")

    assert not alive, alive
    assert all(row["order_id"] for row in answer["executions"])
    assert one.json("report")["signals"] == 2


def test_a_child_that_dies_is_started_again_and_reported_once(one: System) -> None:
    before = one.pid("argo")

    os.kill(before, signal.SIGKILL)
    one.until(lambda: one.services()["pids"].get("argo", before) != before, within_s=10, what="a new worker")
    (answer,) = one.send([a_signal("QUAA")], "--wait", "60")

    assert all(row["order_id"] for row in answer["executions"])
    said = [line for line in one.log().splitlines() if line.startswith("argo ") and "again" in line]
    assert len(said) == 1, one.log()


def test_an_executor_added_by_hand_gets_its_queue_worker_and_orders(system: MakeSystem, tmp_path: Path) -> None:
    text = (ROOT / "config/executors.load.toml").read_text()
    argo = text[text.index("[executors.argo]") : text.index("[executors.prop_firm]")]
    path = tmp_path / "three.toml"
    path.write_text(text + "\n" + argo.replace("executors.argo", "executors.third"))
    one = system(executors=str(path)).up("--source", "none")

    (answer,) = one.send([a_signal()], "--wait", "60")
    workers = Worker.all(connection=redis.Redis.from_url(one.services()["redis_url"]))

    assert [row["executor_id"] for row in answer["executions"] if row["order_id"]] == ["argo", "prop_firm", "third"]
    assert "executor-third" in {name for worker in workers for name in worker.queue_names()}


def test_doctor_names_a_queue_without_a_worker_and_the_executions_wait_for_one(system: MakeSystem) -> None:
    one = system(executors="config/executors.load.toml").up("--source", "none", "--without", "argo")

    def critical() -> list[str]:
        return [check["name"] for check in one.json("doctor")["checks"] if check["status"] == "critical"]

    one.until(lambda: critical() == ["worker argo"], within_s=20, what="all but argo are well")
    began = time.monotonic()
    done = one.run("doctor")
    took_s = time.monotonic() - began
    one.send([a_signal()], "--wait", "3")
    waiting = one.json("executions", "--executor", "argo")

    worker = subprocess.Popen(
        [sys.executable, "-m", "pipeline.entrypoints.cli", "work", "argo"], cwd=ROOT, env=one.environment
    )
    try:
        one.until(lambda: one.orders("argo"), within_s=15, what="an order at argo")
    finally:
        worker.terminate()
        worker.wait(timeout=patience(10))

    assert done.returncode == 2
    assert took_s < promised(5)
    assert "CRITICAL  worker argo" in done.stdout
    assert [row["status"] for row in waiting] == ["queued"]
