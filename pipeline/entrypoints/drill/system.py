"""Run all of tradewire in a scratch folder: `tradewire up`, an exchange, and a second keeper."""

import re
import secrets
import subprocess
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from importlib.resources import files
from pathlib import Path
from uuid import UUID

from config.services import Services, read_services
from pipeline.entrypoints.drill.processes import (
    DrillFailed,
    RestartedProcess,
    children_called,
    clean_environment,
    descendants,
    start,
    stop,
    wait_until,
)
from pipeline.entrypoints.drill.schedule import Target
from pipeline.entrypoints.drill.sending import SOURCE
from pipeline.entrypoints.supervisor.servers.addresses import LOOPBACK, free_port
from pipeline.entrypoints.supervisor.servers.spawn import Lifeline
from pipeline.model.errors import QueueUnavailable
from pipeline.queues.redis_server import connect, mapped
from pipeline.store.record import Record
from pipeline.store.statements import sql

#: Worker processes per executor.
WORKERS = 3
_UP_WITHIN_S = 60.0
#: Seconds until a process that was asked to stop is killed. `up` promises to end within 5 s.
_STOP_WITHIN_S = 8.0
#: How long PostgreSQL may be away before the drill itself gives up.
_RETRY_FOR_S = 30.0
_CUT_SESSIONS = 6
_CLI = ("-P", "-m", "pipeline.entrypoints.cli")
_TABLE = re.compile(r"^\[executors\.\w+\]$", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class _HeldExecution:
    """A worker's execution, or None if the worker has none, with the database's time."""

    now: datetime
    execution_id: UUID | None


@dataclass(frozen=True, kw_only=True)
class RunningSystem:
    """One running tradewire."""

    home: Path
    record: Record
    up_pid: int
    executors: tuple[str, ...]
    #: The broker. The drill starts it, not `up`, because the broker is not a part of the drilled system.
    exchange: RestartedProcess
    #: A second keeper, beside the one that `up` runs.
    second_keeper: RestartedProcess

    @property
    def services(self) -> Services:
        """Return the addresses and pids that `up` has written down.

        Raises:
            DrillFailed: `up` wrote none.
        """
        services = read_services(self.home)
        if services is None:
            raise DrillFailed("`up` wrote no services.json")
        return services

    @property
    def ledger(self) -> Path:
        """Return the file from which the producer reads the signals to send."""
        return _ledger(self.home)

    def pids(self, target: Target) -> list[int]:
        """Return the ids of this drill's running processes that *target* may mean, in a fixed order."""
        named = self.services.pids
        if target is Target.WORKER:
            found = [pid for name, pid in sorted(named.items()) if name.rpartition(".")[0] in self.executors]
        elif target is Target.KEEPER:
            found = [*([named["keeper"]] if "keeper" in named else []), *self.second_keeper.pids]
        elif target in (Target.POSTGRES, Target.VALKEY):
            program = "postgres" if target is Target.POSTGRES else "valkey-server"
            found = children_called(named[target], program) if target in named else []
        elif target is Target.EXCHANGE:
            found = self.exchange.pids
        else:
            found = [named[target]] if target in named else []
        ours = descendants([self.up_pid, *self.exchange.pids, *self.second_keeper.pids])
        return [pid for pid in found if pid in ours]

    def restart_ended(self) -> None:
        """Start the second keeper and the exchange again if they have ended, since `up` does not supervise them."""
        self.second_keeper.restart_ended()
        self.exchange.restart_ended()

    def process_group(self, pid: int) -> list[int]:
        """Return *pid* alone: tradewire's processes do not fork."""
        return [pid]

    def is_busy(self, pid: int) -> bool:
        """Return whether the worker has an execution."""
        return bool(self.held_by(pid)[1])

    def all_alive(self) -> bool:
        """Return whether every worker, both keepers, the tracker and the producer have a fresh heartbeat."""
        expected = {"worker": WORKERS * len(self.executors), "keeper": 2, "tracker": 1, "producer": 1}
        return all(
            self.record.one(int, sql("drill", "alive"), {"kind": kind}) >= count for kind, count in expected.items()
        )

    def held_by(self, pid: int) -> tuple[datetime, tuple[UUID, ...]]:
        """Return the database's time and the executions that the worker has."""
        rows = self.record.all(_HeldExecution, sql("drill", "held_by"), {"worker": f"%-{pid}"})
        return rows[0].now, tuple(row.execution_id for row in rows if row.execution_id is not None)

    def flush(self) -> bool:
        """Empty Valkey; return False when it is down."""
        url = self.services.redis_url
        if url is None:
            return False
        try:
            with mapped(), connect(url.get_secret_value()) as connection:
                connection.flushall()
        except QueueUnavailable:
            return False
        return True

    def cut(self) -> bool:
        """Let PostgreSQL end some of tradewire's sessions; return False when there were none."""
        return bool(self.record.do(sql("drill", "cut"), {"limit": _CUT_SESSIONS}))


@contextmanager
def running_system(home: Path) -> Iterator[RunningSystem]:
    """Run everything in *home* for the time of the block, which begins when every process has a heartbeat.

    Raises:
        DrillFailed: it does not come up.
    """
    names = write_executors(home / "executors.toml")
    port = free_port()
    environment = clean_environment(
        TRADEWIRE_HOME=str(home),
        # Otherwise a user's `tradewire halt` in another folder could find the drilled system.
        XDG_STATE_HOME=str(home / "state"),
        TRADEWIRE_EXECUTORS=str(home / "executors.toml"),
        TRADEWIRE_EXCHANGE_URL=f"http://{LOOPBACK}:{port}",
        # `up` and the exchange start at the same time, so neither can learn the token from the other.
        TRADEWIRE_EXCHANGE_TOKEN=secrets.token_hex(16),
        TRADEWIRE_SOURCE_FILE=str(_ledger(home)),
        TRADEWIRE_LOG="json",
    )
    with ExitStack() as stack:
        lifeline = Lifeline.make()
        stack.callback(lifeline.cut)
        begin = partial(start, home=home, environment=environment, lifeline=lifeline)
        keep = partial(RestartedProcess, home=home, environment=environment, lifeline=lifeline)
        # The drill does not use the page and the dashboard, and they would take processor time from the rest.
        up = begin(*_CLI, "up", "--source", SOURCE, "--without", "web,rq_dashboard", log="up.log")
        everything = [up]
        stack.callback(lambda: stop(everything, within_s=_STOP_WITHIN_S))
        exchange = keep(*_CLI, "exchange", "--port", str(port), log="exchange.log")
        everything.append(exchange.process)
        record = stack.enter_context(Record(_url_once_up(home, up), connections=2, retry_for_s=_RETRY_FOR_S))
        keeper = keep(*_CLI, "keep", log="second-keeper.log")
        # Keeper and exchange may have been restarted by then, so stop the processes that run at the end.
        stack.callback(lambda: everything.extend([keeper.process, exchange.process]))
        system = RunningSystem(
            home=home, record=record, up_pid=up.pid, executors=names, exchange=exchange, second_keeper=keeper
        )
        wait_until(system.all_alive, within_s=_UP_WITHIN_S, what="every process has a heartbeat")
        yield system


def write_executors(path: Path) -> tuple[str, ...]:
    """Write the shipped executors file for load tests, with `WORKERS` workers each; return the executors' names."""
    text = files("config").joinpath("executors.load.toml").read_text("utf-8")
    text = _TABLE.sub(lambda table: f"{table[0]}\nconcurrency = {WORKERS}", text)
    path.write_text(text)
    return tuple(tomllib.loads(text)["executors"])


def _ledger(home: Path) -> Path:
    return home / "ledger.jsonl"


def _url_once_up(home: Path, up: subprocess.Popen[bytes]) -> str:
    log = home / "up.log"

    def reported() -> bool:
        return up.poll() is not None or "tradewire is up" in log.read_text("utf-8", "replace")

    wait_until(reported, within_s=_UP_WITHIN_S, what="tradewire is up")
    services = read_services(home)
    if up.poll() is not None or services is None or services.database_url is None:
        raise DrillFailed(f"tradewire did not come up:\n{log.read_text('utf-8', 'replace')[-2000:]}")
    return services.database_url.get_secret_value()
