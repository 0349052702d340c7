"""Doctor names each fault of a whole system, with its cause and its remedy."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.acceptance.system import ROOT, System, a_signal
from tests.waiting import patience

#: The time limit of `doctor` on a healthy system; it took 1.5 to 2 s on an idle machine with two cores.
HEALTHY_S = 5.0


MakeSystem = Callable[..., System]


def started(make: MakeSystem) -> System:
    one = make(executors="config/executors.load.toml").up("--source", "none")
    one.until(lambda: one.run("doctor").returncode == 0, within_s=60, what="all is well")
    return one


@pytest.fixture(scope="module")
def up(shared_system: MakeSystem) -> System:
    """A system that the tests of this module share; each test undoes what it changed."""
    return started(shared_system)


def examined(system: System) -> dict[str, dict[str, Any]]:
    """Return the checks by name; each one that is not ok must have a cause and a remedy."""
    checks = {check["name"]: check for check in system.json("doctor")["checks"]}
    assert all(check["cause"] and check["remedy"] for check in checks.values() if check["status"] != "ok")
    return checks


def bad(checks: dict[str, dict[str, Any]]) -> dict[str, str]:
    """Return the checks that are not ok, with their status."""
    return {name: check["status"] for name, check in checks.items() if check["status"] != "ok"}


def test_a_healthy_system_is_well_within_seconds_also_after_it_traded(up: System) -> None:
    up.admin("prices", {"AAPL": "19"})
    up.send([a_signal(executors=["argo"])], "--wait", "60")
    up.until(lambda: up.json("executions", "--status", "filled"), within_s=30, what="the fill is known")
    began = time.monotonic()
    done = up.run("doctor")

    assert done.returncode == 0, done.stdout
    assert time.monotonic() - began < patience(HEALTHY_S)
    for part in ("postgresql", "redis", "worker argo", "keeper lag", "versions", "broker argo", "clock postgresql"):
        assert f"ok        {part}: " in done.stdout
    assert "1 orders of 1 decided and not skipped" in done.stdout
    assert "at the paper exchange" in done.stdout


def test_watching_looks_again_until_it_is_stopped(up: System) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline.entrypoints.cli", "doctor", "--watch", "0.5", "--json"],
        cwd=up.home,
        env=up.environment | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    looks = [json.loads(process.stdout.readline()) for _ in range(2)]
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=patience(30))

    assert looks[0]["at"] <= looks[1]["at"]  # The times are in whole seconds, so both may be equal.
    assert [look["status"] for look in looks] == ["ok", "ok"]
    assert process.returncode == 0


def test_redis_that_is_down_is_named(up: System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(up.environment, "REDIS_URL", "redis://127.0.0.1:1/0")
    done = up.run("doctor")

    assert done.returncode == 2
    assert "CRITICAL  redis: " in done.stdout
    assert "Start Redis" in done.stdout


def test_dead_letters_are_named_until_a_person_moved_them_on(system: MakeSystem) -> None:
    # The account has no position. With one, an account that cannot be read would be `reducing`, and skip the entry.
    up = started(system)
    up.admin("faults", {"faults": [{"on": "account", "kind": "garbage", "count": 1000}]})
    time.sleep(5.5)  # An entry may use a reading of the account that is up to 5 s old.
    answers = up.send([a_signal("MSFT", executors=["argo"])])
    (execution,) = [each for each in answers[0]["executions"] if each["executor_id"] == "argo"]
    up.until(lambda: up.json("dead", "list"), within_s=60, what="it is dead")
    up.admin("faults", {"faults": []})
    found = examined(up)["dead letters"]
    assert up.run("dead", "discard", execution["execution_id"], "--why", "a test").returncode == 0

    assert found["status"] == "warning"
    assert found["saw"].startswith("1 open (argo 1)")
    assert "tradewire dead list" in found["remedy"]
    assert examined(up)["dead letters"]["status"] == "ok"


def test_every_trouble_is_named_with_its_cause_and_remedy(system: MakeSystem) -> None:
    up = started(system)
    # One worker is missing.
    worker = next(name for name in up.services()["pids"] if name.startswith("prop_firm"))
    frozen = up.pid(worker)
    os.kill(frozen, signal.SIGSTOP)
    # One account is halted, the exchange refuses the keys of the other, and the exchange's clock is wrong by a minute.
    assert up.run("halt", "argo", "--why", "looking into it").returncode == 0
    shown = (datetime.now(UTC) + timedelta(minutes=1)).isoformat()
    up.admin("clock", {"mode": "fixed", "now": shown})
    up.admin("accounts", {"key": "prop_firm", "refused": True})
    try:
        up.until(lambda: "worker prop_firm" in bad(examined(up)), within_s=30, what="the worker counts as gone")
        checks = examined(up)
    finally:
        os.kill(frozen, signal.SIGCONT)

    assert up.run("doctor").returncode == 2
    assert checks["worker prop_firm"]["status"] == "critical"
    assert "tradewire work prop_firm" in checks["worker prop_firm"]["remedy"]
    assert checks["switches argo"]["status"] == "critical"
    assert "looking into it" in checks["switches argo"]["saw"]
    assert "tradewire resume argo" in checks["switches argo"]["remedy"]
    assert checks["clock broker argo"]["status"] == "critical"
    assert checks["clock broker argo"]["saw"].startswith(("the broker's clock is 59.", "the broker's clock is 60."))
    assert checks["broker prop_firm"]["cause"] == "The keys or the account are wrong."
    assert "PROP_FIRM_API_KEY" in checks["broker prop_firm"]["remedy"]
    named = {"worker prop_firm", "switches argo", "clock broker argo", "broker prop_firm"}
    # An alert about one of these may be open too.
    assert bad(checks).keys() - {"alerts"} == named
