"""Ports: each given once, also among processes that look at the same moment."""

from __future__ import annotations

import socket
import subprocess
import sys

from pipeline.entrypoints.supervisor.servers.addresses import LOOPBACK, Reservations, free_port

_TAKE = (
    "import sys; from pipeline.entrypoints.supervisor.servers.addresses import Reservations; "
    "print(Reservations().take(int(sys.argv[1])))"
)


def taken_elsewhere(wanted: int) -> int:
    """Return the port that another process reserves when it wants *wanted*."""
    done = subprocess.run([sys.executable, "-c", _TAKE, str(wanted)], check=True, capture_output=True, text=True)
    return int(done.stdout)


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
