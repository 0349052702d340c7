"""Run one embedded server, report when it is ready, and stop it on request or when its owner is gone.

`python -P -m pipeline.entrypoints.supervisor.servers.guard postgres --home DIR` and `... valkey --home DIR`
print one line of JSON, `{"server", "url", "pid"}`, when the server answers. They exit 0 when they were asked to stop
(SIGTERM, SIGINT, SIGHUP, or the end of the lifeline pipe), 1 when the server died or did not come up, 2 when it
cannot be set up.

A guard stays between `up` and the server because a server cannot watch the lifeline pipe. When `up` is killed, the
server must run for 2 s more, in which the other children record their last answers, and must then be stopped, with a
stronger signal each time. Linux's PR_SET_PDEATHSIG would not make the code simpler: it sends one signal at once, and
`up` would still need threads that set up the server and probe it.
"""

import argparse
import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

import structlog

from config.logs import configure_logs
from pipeline.entrypoints.supervisor.servers.postgres import Postgres
from pipeline.entrypoints.supervisor.servers.server_spec import ServerPlan, child_options
from pipeline.entrypoints.supervisor.servers.spawn import CANNOT_BE_SET_UP, LIFELINE
from pipeline.entrypoints.supervisor.servers.valkey import Valkey
from pipeline.entrypoints.supervisor.servers.wakeups import Wakeups
from pipeline.model.errors import ConfigInvalid
from pipeline.model.texts import printable
from pipeline.startup.locks import open_lock

log = structlog.get_logger(__name__)

#: Seconds until the server must be ready. After a crash it first replays its log, which may be long.
_READY_WITHIN_S = 120.0
_PROBE_EVERY_S = 0.03
#: Seconds to wait until an earlier guard of the same folder has ended.
_LOCK_WITHIN_S = 10.0
#: Seconds until the next, stronger signal. `up` promises to end within 5 s, and stops its servers last.
_STOP_WITHIN_S = 1.5
#: Seconds for which the server still runs when `up` is gone, since the other children need it to finish their work.
_GRACE_S = 2.0


class Guard:
    """One server process, from its start to its end."""

    def __init__(self, plan: ServerPlan) -> None:
        self._plan = plan
        self._lifelines = [int(os.environ[LIFELINE])] if LIFELINE in os.environ else []
        self._deadline = float("inf")
        self._wakeups = Wakeups()

    def run(self) -> int:
        """Run the server until it ends or a stop is requested; return the exit code."""
        self._plan.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open_lock(self._plan.home / "guard.lock") as lock:
            if not self._lock_home(lock):
                return 0 if self._stopping else 1
            server = self._start()
            try:
                if self._wait_until_ready(server):
                    self._wait_until_ended(server)
                return self._exit_code(server)
            finally:
                self._stop(server)
                self._plan.tidy()

    def _lock_home(self, lock: IO[str]) -> bool:
        deadline = time.monotonic() + _LOCK_WITHIN_S
        while not self._stopping:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            if time.monotonic() > deadline:
                log.error("guard.refused", server=self._plan.name, because="another guard uses this folder")
                return False
            self._pause(0.1)
        return False

    def _start(self) -> subprocess.Popen[bytes]:
        launch = self._plan.prepare()
        server = subprocess.Popen(
            launch.argv,
            cwd=launch.cwd,
            stdin=subprocess.PIPE,
            stdout=sys.stderr,
            # Ctrl-C in the terminal must not reach the server: the guard stops it in order.
            start_new_session=True,
            **child_options(launch.account),
        )
        assert server.stdin is not None
        # The caller notices a server that has already ended.
        with contextlib.suppress(BrokenPipeError), server.stdin:
            server.stdin.write(launch.stdin)
        return server

    def _wait_until_ready(self, server: subprocess.Popen[bytes]) -> bool:
        deadline = time.monotonic() + _READY_WITHIN_S
        while server.poll() is None and not self._stopping:
            url = self._plan.probe()
            if url is not None:
                ready = {"server": self._plan.name, "url": url, "pid": server.pid}
                sys.stdout.write(json.dumps(ready) + "\n")
                sys.stdout.flush()
                return True
            if time.monotonic() > deadline:
                log.error("server.not_ready", server=self._plan.name, within_s=_READY_WITHIN_S)
                return False
            self._pause(_PROBE_EVERY_S)
        return False

    def _wait_until_ended(self, server: subprocess.Popen[bytes]) -> None:
        while server.poll() is None and not self._stopping:
            self._pause(1.0)

    def _pause(self, seconds: float) -> None:
        """Wait until *seconds* are over, a signal arrives or the lifeline ends."""
        at_most = min(seconds, self._deadline - time.monotonic())
        for descriptor in self._wakeups.wait(at_most, self._lifelines):
            if not os.read(descriptor, 1):
                self._lifelines.remove(descriptor)
                self._deadline = time.monotonic() + _GRACE_S

    @property
    def _stopping(self) -> bool:
        return self._wakeups.stop_requests > 0 or time.monotonic() >= self._deadline

    def _exit_code(self, server: subprocess.Popen[bytes]) -> int:
        if self._stopping:
            return 0
        if server.poll() is not None:
            log.error("server.died", server=self._plan.name, exit_code=server.returncode)
        return 1

    def _stop(self, server: subprocess.Popen[bytes]) -> None:
        for chosen in (self._plan.stop_signal, self._plan.hurry_signal, signal.SIGKILL):
            if server.poll() is not None:
                return
            server.send_signal(chosen)
            try:
                server.wait(_STOP_WITHIN_S)
            except subprocess.TimeoutExpired:
                log.warning("server.slow_to_end", server=self._plan.name, signal=chosen.name)


def main(arguments: list[str] | None = None) -> int:
    """Run the guard that the command line asks for."""
    parser = argparse.ArgumentParser(
        prog="python -P -m pipeline.entrypoints.supervisor.servers.guard", description=__doc__
    )
    servers = parser.add_subparsers(dest="server", required=True)
    for name in (Postgres.name, Valkey.name):
        server = servers.add_parser(name)
        server.add_argument("--home", type=Path, required=True, help="the folder for the server's data")
        if name == Postgres.name:
            server.add_argument("--user", help="the user that it runs as when this process is root's")
    options = parser.parse_args(arguments)
    configure_logs("json" if os.environ.get("TRADEWIRE_LOG") == "json" else "console", process=options.server)
    plan: ServerPlan = Postgres(options.home, options.user) if options.server == Postgres.name else Valkey(options.home)
    try:
        return Guard(plan).run()
    except ConfigInvalid as error:
        for problem in error.problems:
            sys.stderr.write(f"{printable(str(problem))}\n")
        return CANNOT_BE_SET_UP


if __name__ == "__main__":
    sys.exit(main())
