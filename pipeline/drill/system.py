"""Run all of tradewire in a scratch folder: a real `tradewire up`, and a second keeper beside it."""

from __future__ import annotations

import re
import subprocess
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import Any
from uuid import UUID

from config.services import Services, read_services
from pipeline.drill.processes import (
    DrillFailed,
    Kept,
    children_called,
    clean_environment,
    descendants,
    spawned,
    wait_until,
)
from pipeline.drill.schedule import Target
from pipeline.drill.sending import SOURCE
from pipeline.embedded.spawn import Lifeline
from pipeline.errors import QueueUnavailable
from pipeline.queues import connect, mapped
from pipeline.store.record import Record
from pipeline.store.statements import sql

#: Worker processes per executor.
WORKERS = 3
_UP_WITHIN_S = 60.0
#: How long PostgreSQL may be away before the drill itself gives up.
_PATIENCE_S = 30.0
_CUT_SESSIONS = 6
_CLI = ("-m", "pipeline.cli")
_TABLE = re.compile(r"^\[executors\.\w+\]$", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class System:
    """One running tradewire."""

    home: Path
    record: Record
    up_pid: int
    executors: tuple[str, ...]
    #: A keeper beside that of `up`.
    second_keeper: Kept

    @property
    def services(self) -> Services:
        """Return what `up` says of itself now.

        Raises:
            DrillFailed: it says nothing.
        """
        services = read_services(self.home)
        if services is None:
            raise DrillFailed("`up` wrote no services.json")
        return services

    @property
    def ledger(self) -> Path:
        """Return where the producer looks for the signals to send."""
        return _ledger(self.home)

    def pids(self, target: Target) -> list[int]:
        """Return the processes that *target* may mean now, in a lasting order; only ones that we started."""
        named = self.services.pids
        if target is Target.WORKER:
            found = [pid for name, pid in sorted(named.items()) if name.rpartition(".")[0] in self.executors]
        elif target is Target.KEEPER:
            found = [*([named["keeper"]] if "keeper" in named else []), *self.second_keeper.pids]
        elif target in (Target.POSTGRES, Target.VALKEY):
            program = "postgres" if target is Target.POSTGRES else "valkey-server"
            found = children_called(named[target], program) if target in named else []
        else:
            found = [named[target]] if target in named else []
        ours = descendants([self.up_pid, *self.second_keeper.pids])
        return [pid for pid in found if pid in ours]

    def look_after(self) -> None:
        """Start again what `up` does not."""
        self.second_keeper.look_after()

    def parts(self, pid: int) -> list[int]:
        """Return the processes that a worker or server consists of: one."""
        return [pid]

    def busy(self, pid: int) -> bool:
        """Say whether a worker holds an execution."""
        return bool(self.held_by(pid)[1])

    def held_by(self, pid: int) -> tuple[datetime, tuple[UUID, ...]]:
        """Return the database's time and the executions that the worker holds."""
        values = {"worker": f"%-{pid}"}
        rows = self.record.run(lambda connection: connection.execute(sql("drill", "held_by"), values).fetchall())
        return rows[0]["now"], tuple(row["execution_id"] for row in rows if row["execution_id"] is not None)

    def flush(self) -> bool:
        """Empty Valkey; False when it is down."""
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
        """Have PostgreSQL end some sessions, wherever they are."""
        values = {"limit": _CUT_SESSIONS}
        return bool(self.record.run(lambda connection: connection.execute(sql("drill", "cut"), values).fetchall()))

    def one(self, statement: str, **values: Any) -> Any:
        """Return the single figure that a statement of `drill.sql` asks for."""
        row = self.record.run(lambda connection: connection.execute(sql("drill", statement), values).fetchone())
        return None if row is None else next(iter(row.values()))


@contextmanager
def running_system(home: Path) -> Iterator[System]:
    """Run everything in *home* for the time of the block, once every process has been heard.

    Raises:
        DrillFailed: it does not come up.
    """
    executors_path = home / "executors.toml"
    names = write_executors(executors_path)
    environment = clean_environment(
        TRADEWIRE_HOME=str(home),
        TRADEWIRE_EXECUTORS=str(executors_path),
        TRADEWIRE_SOURCE_FILE=str(_ledger(home)),
        TRADEWIRE_LOG="json",
    )
    # Web and dashboard take no part in what is drilled, and the machine is to be busy with the rest.
    command = [*_CLI, "up", "--source", SOURCE, "--without", "web,rq_dashboard"]
    with ExitStack() as stack:
        up = stack.enter_context(spawned(*command, home=home, environment=environment, log="up.log"))
        url = _url_once_up(home, up)
        record = stack.enter_context(Record(url, connections=2, patience_s=_PATIENCE_S))
        lifeline = Lifeline.make()
        stack.callback(lifeline.cut)
        command = [*_CLI, "keep"]
        keeper = Kept(*command, home=home, environment=environment, log="second-keeper.log", lifeline=lifeline)
        stack.callback(keeper.stop)
        system = System(home=home, record=record, up_pid=up.pid, executors=names, second_keeper=keeper)
        expected = {"worker": WORKERS * len(names), "keeper": 2, "producer": 1}
        wait_until(
            lambda: all(system.one("alive", kind=kind) >= count for kind, count in expected.items()),
            within_s=_UP_WITHIN_S,
            what="every process beats its heart",
        )
        yield system


def write_executors(path: Path) -> tuple[str, ...]:
    """Write the shipped executors for load, with several worker processes each; return their names."""
    text = files("config").joinpath("executors.load.toml").read_text("utf-8")
    text = _TABLE.sub(lambda table: f"{table[0]}\nconcurrency = {WORKERS}", text)
    path.write_text(text)
    return tuple(tomllib.loads(text)["executors"])


def _ledger(home: Path) -> Path:
    return home / "ledger.jsonl"


def _url_once_up(home: Path, up: subprocess.Popen[bytes]) -> str:
    log = home / "up.log"

    def said() -> bool:
        return up.poll() is not None or "tradewire is up" in log.read_text("utf-8", "replace")

    wait_until(said, within_s=_UP_WITHIN_S, what="tradewire is up")
    services = read_services(home)
    if up.poll() is not None or services is None or services.database_url is None:
        raise DrillFailed(f"tradewire did not come up:\n{log.read_text('utf-8', 'replace')[-2000:]}")
    return services.database_url.get_secret_value()
