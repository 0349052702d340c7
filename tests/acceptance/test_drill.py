"""A short drill, as a user runs it. A failure prints the seed with which the drill can be repeated."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.folders import server_home
from tests.waiting import patience

SIGNALS = 120


@pytest.fixture(scope="module")
def drilled() -> dict[str, Any]:
    """One drill with a seed of its own."""
    return drill()


@pytest.fixture(scope="module")
def drilled_with_exits() -> dict[str, Any]:
    """One drill with exits, with a seed of its own."""
    return drill("--exits")


def drill(*options: str) -> dict[str, Any]:
    """Run a drill whose environment names servers that do not exist; the drill must not use them."""
    with server_home() as folder:
        done = subprocess.run(
            [sys.executable, "-m", "pipeline.entrypoints.cli", "drill", "--signals", str(SIGNALS), "--json", *options],
            check=False,
            cwd=folder,
            env=os.environ
            | {
                "PYTHONPATH": str(Path(__file__).parents[2]),
                # The drill makes a home of its own beside the folder.
                "TMPDIR": str(folder.parent),
                "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing",
                "REDIS_URL": "redis://127.0.0.1:1/0",
                "TRADEWIRE_EXECUTORS": "nowhere.toml",
            },
            capture_output=True,
            text=True,
            timeout=patience(300),
        )
    sys.stdout.write(done.stderr)
    assert done.stdout, f"the drill could not be carried out (exit {done.returncode}): {done.stderr[-3000:]}"
    result: dict[str, Any] = json.loads(done.stdout)
    assert (0 if result["passed"] else 1) == done.returncode
    return result


@pytest.mark.timeout(330)
def test_a_drill_loses_doubles_and_leaves_unexplained_nothing(drilled: dict[str, Any]) -> None:
    assert drilled["findings"] == [], f"tradewire drill --signals {SIGNALS} --seed {drilled['seed']}"
    assert (drilled["lost"], drilled["doubled"], drilled["unexplained"]) == (0, 0, 0)


@pytest.mark.timeout(330)
def test_a_drill_ends_everything_that_it_sent_in_orders_or_reasons(drilled: dict[str, Any]) -> None:
    assert SIGNALS == drilled["sent"] == drilled["accepted"]
    assert drilled["executions"] == drilled["orders"] + sum(drilled["reasons"].values())


@pytest.mark.timeout(330)
def test_a_drill_breaks_every_process(drilled: dict[str, Any]) -> None:
    killed = {
        f"kill {target}" for target in ("worker", "keeper", "tracker", "producer", "exchange", "valkey", "postgres")
    }

    assert killed <= set(drilled["broken"])
    assert {"flush valkey", "cut postgres", "freeze worker"} <= set(drilled["broken"])
    assert sum(drilled["faults"].values()) > 0


@pytest.mark.timeout(330)
def test_a_drill_measures_what_killed_workers_held(drilled: dict[str, Any]) -> None:
    # The times depend on the machine, so only the decision of every execution is required.
    assert drilled["recovery_s"]["count"] > 0
    assert all(recovery["seconds"] is not None for recovery in drilled["slowest"])


@pytest.mark.timeout(330)
def test_a_drill_with_exits_leaves_no_position_and_no_difference(drilled_with_exits: dict[str, Any]) -> None:
    # The machine's speed decides how long an exit waits, so findings with the verdict `late` do not count.
    found = [finding for finding in drilled_with_exits["findings"] if finding["verdict"] != "late"]
    assert found == [], f"tradewire drill --exits --signals {SIGNALS} --seed {drilled_with_exits['seed']}"
    assert drilled_with_exits["exits"] > 0
    assert all(wait["decided"] for wait in drilled_with_exits["longest_exit_waits"])


@pytest.mark.timeout(330)
def test_a_drill_with_exits_is_disturbed_by_hand(drilled_with_exits: dict[str, Any]) -> None:
    assert "liquidation only" in drilled_with_exits["broken"]
