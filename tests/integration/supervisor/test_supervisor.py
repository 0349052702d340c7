"""`up` keeps its child processes running, and none is left after any end of `up`."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
import redis

from config.services import Services, write_services
from pipeline.entrypoints.supervisor.servers.addresses import free_port
from pipeline.entrypoints.supervisor.servers.orphans import runs, wait_until_gone
from tests.folders import server_home
from tests.standin_up import Up
from tests.waiting import patience, promised, until

_WATCHES = "from pipeline.entrypoints.supervisor.lifeline import watch_lifeline; watch_lifeline(); "
_QUIET = _WATCHES + "import time; time.sleep(60)"
_STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
)
_ANSWERING = """
from http.server import BaseHTTPRequestHandler, HTTPServer
from pipeline.entrypoints.supervisor.lifeline import watch_lifeline
from pipeline.startup.listening import nonce_header

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        for name, value in nonce_header().items():
            self.send_header(name, value)
        self.end_headers()

watch_lifeline()
HTTPServer(("127.0.0.1", {port}), Handler).serve_forever()
"""
_DYING = "raise SystemExit('out of luck')"


@pytest.fixture
def home() -> Iterator[Path]:
    with server_home() as made:
        yield made


@pytest.fixture
def ups() -> Iterator[list[Up]]:
    started: list[Up] = []
    yield started
    for up in started:
        family = up.family() if up.process.poll() is None else []
        with up.process:
            up.process.kill()
        for process in family:
            if runs(process):
                process.kill()


def _start(ups: list[Up], home: Path, **how: Any) -> Up:
    ups.append(Up(home, **how))
    return ups[-1]


@pytest.mark.parametrize("asked", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_request_to_stop_ends_every_process_within_five_seconds(
    home: Path, ups: list[Up], asked: signal.Signals
) -> None:
    up = _start(ups, home, servers=True, quiet=_QUIET, stubborn=_STUBBORN)
    up.wait_for_line("a line of the feed")
    family = up.family()

    up.process.send_signal(asked)

    assert up.wait_for_end(within_s=5) == 0
    assert len(family) >= 6
    assert [process for process in family if runs(process)] == []


def test_a_request_to_stop_lists_the_positions_that_are_left(home: Path, ups: list[Up]) -> None:
    up = _start(ups, home, servers=True, quiet=_QUIET)
    up.wait_for_line("a line of the feed")
    with psycopg.connect(json.loads((home / "services.json").read_text())["database_url"]) as connection:
        connection.execute(
            "INSERT INTO holding (account_number, symbol, strategy, quantity) VALUES ('A1', 'AAPL', 's', 7)"
        )

    up.process.send_signal(signal.SIGINT)

    assert up.wait_for_end(within_s=5) == 0
    assert up.output[-3:] == ["will not be watched: account A1: position 7 AAPL", "stopping", "stopped"]


def test_a_second_stop_request_shortens_the_wait(home: Path, ups: list[Up]) -> None:
    up = _start(ups, home, stubborn=_STUBBORN)
    up.wait_until_up()
    until(lambda: "deaf" in (home / "logs" / "stubborn.log").read_text(), 10)
    family = up.family()
    up.process.send_signal(signal.SIGINT)
    up.wait_for_line("stopping")

    up.process.send_signal(signal.SIGINT)

    # Without the second signal, `up` waits up to 4 s.
    assert up.wait_for_end(within_s=3.5) == 0
    assert [process for process in family if runs(process)] == []


def test_the_feed_is_shown_when_only_the_servers_run(home: Path, ups: list[Up]) -> None:
    up = _start(ups, home, servers=True)

    up.wait_for_line("a line of the feed")
    # The file is written beside the feed.
    until((home / "services.json").is_file, 10)

    assert {"up", "postgres", "valkey"} == json.loads((home / "services.json").read_text())["pids"].keys()


def test_it_stops_by_itself_after_the_seconds_it_was_given(home: Path, ups: list[Up]) -> None:
    up = _start(ups, home, seconds=0.5, quiet=_QUIET)

    assert up.wait_for_end() == 0


def test_a_time_limit_that_ends_before_everything_came_up_is_a_failure(home: Path, ups: list[Up]) -> None:
    up = _start(ups, home, seconds=0.01, servers=True, quiet=_QUIET)

    assert up.wait_for_end() == 1
    assert any("not everything came up within the time limit" in line for line in up.output)


def test_after_a_kill_the_children_end_and_the_next_up_goes_on_with_the_data(home: Path, ups: list[Up]) -> None:
    first = _start(ups, home, servers=True, quiet=_QUIET)
    first.wait_for_line("a line of the feed")
    family = first.family()
    services = json.loads((home / "services.json").read_text())
    with redis.Redis.from_url(services["redis_url"]) as connection:
        connection.set("kept", "here")

    first.process.kill()

    assert wait_until_gone(family, within_s=5) == []
    second = _start(ups, home, servers=True, quiet=_QUIET)
    second.wait_for_line("a line of the feed")
    again = json.loads((home / "services.json").read_text())
    with redis.Redis.from_url(again["redis_url"]) as connection:
        assert connection.get("kept") == b"here"
    assert again["api_token"] == services["api_token"]
    assert again["pids"]["up"] == second.process.pid


def test_a_child_that_does_not_notice_the_kill_is_ended_by_the_next_up(home: Path, ups: list[Up]) -> None:
    first = _start(ups, home, blind="import time; time.sleep(60)")
    first.wait_until_up()
    left = first.children()["blind"]
    first.process.kill()
    first.process.wait()

    second = _start(ups, home, quiet=_QUIET)

    assert second.wait_for_line("left behind:") == "left behind: blind"
    assert not runs(left)


def test_another_process_that_has_an_old_pid_now_is_left_alone(home: Path, ups: list[Up]) -> None:
    bystander = psutil.Process()
    noted = [{"name": "old", "pid": bystander.pid, "started": bystander.create_time() - 60}]
    (home / "processes.json").write_text(json.dumps(noted))

    up = _start(ups, home, quiet=_QUIET)

    assert up.wait_for_line("left behind:") == "left behind:"


def test_a_child_that_is_killed_is_started_again(home: Path, ups: list[Up]) -> None:
    up = _start(ups, home, quiet=_QUIET)
    up.wait_until_up()
    before = up.children()["quiet"]

    before.kill()

    assert "quiet was ended by SIGKILL and is started again" in up.wait_for_line("quiet was")
    deadline = time.monotonic() + patience(5)
    while time.monotonic() < deadline and up.children().get("quiet", before) == before:
        time.sleep(0.05)
    assert runs(up.children()["quiet"])
    assert up.children()["quiet"] != before


def test_a_child_that_dies_again_and_again_is_restarted_with_growing_pauses_and_reported_once(
    home: Path, ups: list[Up]
) -> None:
    up = _start(ups, home, seconds=promised(3), dying="print('try', flush=True); " + _DYING)

    assert up.wait_for_end() == 0

    said = [line for line in up.output if "dying" in line and "is started again" in line]
    tries = (home / "logs" / "dying.log").read_text().count("try\n")
    assert len(said) == 1
    assert "out of luck" in said[0]
    assert 3 <= tries <= 6  # starts at 0, 0.2, 0.6, 1.4 and 3.0 s, plus the time of each start


def test_a_child_that_crashes_again_and_again_is_a_line_of_its_own_and_an_alert(home: Path, ups: list[Up]) -> None:
    up = _start(ups, home, servers=True, dying=_DYING)

    assert "dying.log: out of luck" in up.wait_for_line("dying CRASHES AGAIN AND AGAIN")

    with psycopg.connect(json.loads((home / "services.json").read_text())["database_url"]) as connection:
        until(lambda: connection.execute("SELECT subject FROM alert").fetchall(), 20)
        alerts = connection.execute("SELECT key, subject FROM alert").fetchall()
    assert alerts == [("process_crashing:dying", "the process dying crashes again and again")]


def test_a_frozen_server_is_a_line_of_its_own_and_an_alert_until_it_answers_again(home: Path, ups: list[Up]) -> None:
    port = free_port()
    up = _start(ups, home, servers=True, urls={"web": f"http://127.0.0.1:{port}"}, web=_ANSWERING.format(port=port))
    up.wait_until_up()

    up.children()["web"].send_signal(signal.SIGSTOP)

    up.wait_for_line("web RUNS AND DOES NOT ANSWER")
    with psycopg.connect(json.loads((home / "services.json").read_text())["database_url"]) as connection:
        alerts = "SELECT key, subject FROM alert WHERE over_at IS NULL"
        until(lambda: connection.execute(alerts).fetchall(), 20)
        found = connection.execute(alerts).fetchall()
        assert found == [("process_crashing:web", "the process web runs and does not answer")]
        assert not any("answers again" in line for line in up.output)

        up.children()["web"].send_signal(signal.SIGCONT)

        up.wait_for_line("web answers again")
        until(lambda: not connection.execute(alerts).fetchall(), 20)


def test_a_strict_up_ends_when_a_child_crashes_again_and_again(home: Path, ups: list[Up]) -> None:
    up = _start(ups, home, strict=True, quiet=_QUIET, dying=_DYING)

    assert up.wait_for_end(within_s=20) == 1
    assert any("dying CRASHES AGAIN AND AGAIN" in line for line in up.output)


def test_an_error_in_a_childs_log_is_printed(home: Path, ups: list[Up]) -> None:
    entry = json.dumps({"event": "broker.refused", "level": "error", "executor": "argo"})
    up = _start(ups, home, loud=f"import sys; print({entry!r}, file=sys.stderr, flush=True); {_QUIET}")

    assert up.wait_for_line("broker.refused") == "loud: broker.refused executor=argo"


def test_a_second_up_on_the_same_home_is_refused(home: Path, ups: list[Up]) -> None:
    first = _start(ups, home, quiet=_QUIET)
    first.wait_until_up()
    running = Services(web_url="http://127.0.0.1:8007", pids={"up": first.process.pid})
    write_services(home, running)

    second = _start(ups, home, quiet=_QUIET)

    assert second.wait_for_end() != 0
    said = f"another `tradewire up` runs in {home}, http://127.0.0.1:8007; `tradewire down` stops it"
    assert said in second.output[-1]


def test_postgres_is_started_again_under_the_same_address(home: Path, ups: list[Up]) -> None:
    up = _start(ups, home, servers=True, quiet=_QUIET)
    up.wait_for_line("a line of the feed")
    before = json.loads((home / "services.json").read_text())
    guard = psutil.Process(before["pids"]["postgres"])
    guard.children()[0].kill()
    up.wait_for_line("postgres ended (exit 1) and is started again")

    deadline = time.monotonic() + patience(10)
    after = before
    while time.monotonic() < deadline and after["pids"].get("postgres") in (None, guard.pid):
        time.sleep(0.05)
        after = json.loads((home / "services.json").read_text())

    assert after["pids"]["postgres"] != guard.pid
    assert after["database_url"] == before["database_url"]
