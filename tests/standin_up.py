"""Run `up` with the test's own process table, and read its output."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import IO

import psutil

from tests.waiting import patience, promised

# Runs `tradewire up` with the process table of the test, and otherwise with the product's code.
_UP = """
import json, os, sys, time
from pathlib import Path
from config.alerts import Alerts, AlertSettings
from config.services import Services
from pipeline.entrypoints.supervisor.servers.addresses import free_port
from pipeline.entrypoints.supervisor.servers.wakeups import Wakeups
from pipeline.entrypoints.supervisor.home_lock import lock_home
from pipeline.entrypoints.supervisor.process_table import ProcessLine, QUEUES, RECORD, server_lines
from pipeline.entrypoints.supervisor.plan import Plan
from pipeline.entrypoints.supervisor.run import supervise

home, seconds = Path(sys.argv[1]), float(sys.argv[2])
servers, programs = sys.argv[3] == "servers", sys.argv[4]
urls = json.loads(sys.argv[6])
needs = frozenset({RECORD, QUEUES}) if servers else frozenset()
wakeups = Wakeups()
with lock_home(home) as lock:
    print("left behind:", *lock.end_leftovers(), flush=True)
    plan = Plan(
        home=home,
        servers=server_lines(str(home), valkey=True, postgres=True) if servers else [],
        processes=[
            ProcessLine(
                name=name, group=name, command=(sys.executable, "-c", program), needs=needs, url=urls.get(name)
            )
            for name, program in json.loads(programs).items()
        ],
        environment={**os.environ, "TRADEWIRE_NONCE": "ours"},
        services=Services(api_token="kept"), remarks=[], executors=[],
    )
    alerts = Alerts(settings=AlertSettings(), channels={}, deadman=None)
    feed = lambda url, over: ["a line of the feed"]
    sys.exit(supervise(plan, lock, wakeups, feed=feed, gate=lambda _url: None, until=time.monotonic() + seconds,
        alerts=alerts, strict=sys.argv[5] == "strict"))
"""


class Up:
    """One running `up` and its output."""

    def __init__(
        self,
        home: Path,
        *,
        seconds: float = 60,
        servers: bool = False,
        strict: bool = False,
        urls: Mapping[str, str] = MappingProxyType({}),
        **programs: str,
    ) -> None:
        """Start it; *urls* are the addresses of those *programs* that have a health route."""
        self.home = home
        self.output: list[str] = []
        command = [sys.executable, "-c", _UP, str(home), str(seconds), "servers" if servers else "alone"]
        self.process = subprocess.Popen(
            [*command, json.dumps(programs), "strict" if strict else "lenient", json.dumps(dict(urls))],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
        )
        self._rest = b""

    def wait_for_line(self, words: str, *, within_s: float = 20) -> str:
        """Read lines until one contains *words*, and return it."""
        deadline = time.monotonic() + patience(within_s)
        while time.monotonic() < deadline:
            for line in self._lines(deadline - time.monotonic()):
                self.output.append(line)
                if words in line:
                    return line
        raise AssertionError(f"not printed within {within_s} s: {words!r}; printed: {self.output}")

    def wait_until_up(self) -> None:
        self.wait_for_line("api_token")

    def children(self) -> dict[str, psutil.Process]:
        noted = json.loads((self.home / "processes.json").read_text())
        return {entry["name"]: psutil.Process(entry["pid"]) for entry in noted if psutil.pid_exists(entry["pid"])}

    def family(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def wait_for_end(self, *, within_s: float = 10) -> int:
        """Wait for the end, and return the exit code."""
        self.process.wait(promised(within_s))
        assert self.process.stdout is not None
        self.output += (self._rest + (self.process.stdout.read() or b"")).decode().splitlines()
        return self.process.returncode

    def _lines(self, wait_s: float) -> Iterator[str]:
        out: IO[bytes] | None = self.process.stdout
        assert out is not None
        if select.select([out], [], [], wait_s)[0]:
            read = os.read(out.fileno(), 65536)
            assert read, f"it ended: {self.output}"
            *lines, self._rest = (self._rest + read).split(b"\n")
            yield from (line.decode() for line in lines)
