"""Each port is given only once, also to simultaneous processes, and reserved for the children of an `up`."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from pipeline.entrypoints.supervisor.servers.addresses import LOOPBACK, Reservations, free_port
from pipeline.model.errors import NotPossible
from pipeline.startup.listening import NONCE, listening_socket, may_share_port

_TAKE = (
    "import sys; from pipeline.entrypoints.supervisor.servers.addresses import Reservations; "
    "print(Reservations().take(int(sys.argv[1])))"
)
#: A server of another program. Like most, it treats a port as free while its last connections are closing.
_LISTEN = (
    "import socket, sys; one = socket.create_server(('127.0.0.1', int(sys.argv[1])), reuse_port='port' in sys.argv)"
)

only_where_held = pytest.mark.skipif(not may_share_port(), reason="ports are held on Linux only")


def taken_elsewhere(wanted: int) -> int:
    """Return the port that another process gets when it asks for *wanted*."""
    done = subprocess.run([sys.executable, "-c", _TAKE, str(wanted)], check=True, capture_output=True, text=True)
    return int(done.stdout)


def listens_elsewhere(port: int, *flags: str, user: int | None = None) -> bool:
    """Return whether another program can listen on *port*."""
    python = "/usr/bin/python3" if user is not None else sys.executable
    done = subprocess.run(
        [python, "-c", _LISTEN, str(port), *flags], check=False, capture_output=True, text=True, user=user, cwd="/"
    )
    assert done.returncode == 0 or "Address already in use" in done.stderr, done.stderr
    return done.returncode == 0


def test_a_port_in_use_is_skipped() -> None:
    with socket.create_server((LOOPBACK, 0)) as listening:
        port = listening.getsockname()[1]

        assert free_port(port) > port


def test_two_children_of_one_plan_get_two_ports() -> None:
    ports = Reservations()
    first = ports.take(0)
    second = ports.take(first)
    ports.release()

    assert second > first


def test_a_port_chosen_here_is_passed_over_by_another_process_until_this_one_lets_go() -> None:
    ports = Reservations()
    port = ports.take(0)

    while_kept = taken_elsewhere(port)
    ports.release()
    afterwards = taken_elsewhere(port)

    assert while_kept != port
    assert afterwards == port


@only_where_held
def test_no_other_program_gets_a_held_port_before_or_between_the_starts_of_the_child(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(NONCE, "of-this-up")
    ports = Reservations()
    port = ports.take(0)

    before = listens_elsewhere(port)
    for _ in range(2):
        listening_socket(LOOPBACK, port).close()
    between = listens_elsewhere(port)

    assert (before, between) == (False, False)
    with listening_socket(LOOPBACK, port), socket.create_connection((LOOPBACK, port), timeout=5):
        pass
    ports.release()
    assert listens_elsewhere(port)


@only_where_held
@pytest.mark.skipif(os.geteuid() != 0 or not os.path.exists("/usr/bin/python3"), reason="needs a second user")  # noqa: PTH110
def test_another_user_does_not_get_a_held_port_even_when_it_asks_to_share() -> None:
    ports = Reservations()
    port = ports.take(0)

    shared = listens_elsewhere(port, "port", user=65534)
    ports.release()

    assert not shared


@only_where_held
def test_while_no_child_listens_connections_to_a_held_port_are_refused() -> None:
    ports = Reservations()
    port = ports.take(0)

    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((LOOPBACK, port), timeout=5)
    ports.release()


def test_a_process_that_no_up_started_shares_its_port_with_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(NONCE, raising=False)

    with listening_socket(LOOPBACK, 0) as first, pytest.raises(NotPossible, match="Address already in use"):
        listening_socket(LOOPBACK, first.getsockname()[1])
