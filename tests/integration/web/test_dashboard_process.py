"""rq-dashboard as a process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from pipeline.entrypoints.supervisor.servers.addresses import free_port
from tests.dashboard_jobs import LOGIN, TOKEN
from tests.embedded_server import EmbeddedServer
from tests.waiting import patience


def _serve(port: int, **environment: str) -> subprocess.Popen[str]:
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("TRADEWIRE_")}
    command = [sys.executable, "-m", "pipeline.entrypoints.rq_dashboard", "--port", str(port)]
    return subprocess.Popen(command, env={**inherited, **environment}, stderr=subprocess.PIPE, text=True)


def _status(port: int, path: str) -> int:
    try:
        return httpx.get(f"http://127.0.0.1:{port}{path}", headers=LOGIN, timeout=patience(10)).status_code
    except httpx.TransportError:
        return 0


def _wait_for(port: int, path: str, status: int) -> int:
    deadline = time.monotonic() + patience(20)
    while (seen := _status(port, path)) != status and time.monotonic() < deadline:
        time.sleep(0.1)
    return seen


def test_it_outlives_redis_and_ends_when_asked(tmp_path: Path) -> None:
    port = free_port()
    with EmbeddedServer.valkey(tmp_path / "valkey") as valkey:
        environment = {"REDIS_URL": valkey.url, "TRADEWIRE_API_TOKEN": TOKEN, "TRADEWIRE_HOME": str(tmp_path)}
        with _serve(port, **environment) as served:
            try:
                assert _wait_for(port, "/0/data/queues.json", 200) == 200
                valkey.stop()
                assert [_status(port, "/"), _status(port, "/0/data/queues.json")] == [503, 503]
                valkey.start()
                assert _wait_for(port, "/0/data/queues.json", 200) == 200
            finally:
                served.send_signal(signal.SIGTERM)
            assert served.wait(5) == 0


@pytest.mark.parametrize(
    ("environment", "missing"),
    [({"REDIS_URL": "redis://127.0.0.1:1"}, "TRADEWIRE_API_TOKEN"), ({"TRADEWIRE_API_TOKEN": "x" * 16}, "REDIS_URL")],
)
def test_it_does_not_start_without_a_token_or_a_redis(
    tmp_path: Path, environment: dict[str, str], missing: str
) -> None:
    with _serve(free_port(), TRADEWIRE_HOME=str(tmp_path), **environment) as served:
        _, said = served.communicate(timeout=patience(20))

    assert served.returncode == 2
    assert missing in said
    assert "Traceback" not in said
