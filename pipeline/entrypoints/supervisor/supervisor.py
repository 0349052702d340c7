"""Start the processes of the plan when their needs are met, keep them running, and stop them in order."""

import os
import time
from collections.abc import Callable, Sequence

from pydantic import SecretStr

from config.services import UP, write_services
from pipeline.entrypoints.supervisor.alarms import ProcessAlarms
from pipeline.entrypoints.supervisor.child import Child
from pipeline.entrypoints.supervisor.health import HealthWatch
from pipeline.entrypoints.supervisor.home_lock import HomeLock
from pipeline.entrypoints.supervisor.migration import Gate, MigrationThread
from pipeline.entrypoints.supervisor.plan import Plan
from pipeline.entrypoints.supervisor.process_table import QUEUES, RECORD, ProcessLine
from pipeline.entrypoints.supervisor.servers.spawn import CANNOT_BE_SET_UP, Lifeline
from pipeline.entrypoints.supervisor.servers.wakeups import Wakeups
from pipeline.model.errors import ConfigInvalid, Problem, TradewireError
from pipeline.startup.listening import NONCE

#: The longest wait between two ticks in normal operation. The death of a child ends the wait at once.
_IDLE_S = 0.25
_STARTING_S = 0.03
#: Seconds after a stop request, so that `up` ends within 5 s: at the first, the servers are stopped although other
#: processes still run; at the second, every process that still runs is killed.
_PROCESSES_WITHIN_S = 2.3
_ALL_WITHIN_S = 4.0
#: Seconds that are left after a second request to stop.
_HURRY_S = 0.5

#: After this many seconds `up` prints its banner even if a process does not answer, and names that process.
_ANSWER_WITHIN_S = 60.0

#: `up` gives up when a server has failed to start this many times: on an overloaded machine, one failure may pass.
_SERVER_TRIES = 3

_ADDRESS_OF = {"postgres": "database_url", "valkey": "redis_url"}


class ServerMissing(TradewireError):
    """A server did not come up, or the record cannot be used."""


class Supervisor:
    """All children of one `up`."""

    def __init__(
        self,
        plan: Plan,
        *,
        lock: HomeLock,
        wakeups: Wakeups,
        report: Callable[[str], None],
        alarm: Callable[[str], None],
        gate: Gate,
        strict: bool = False,
    ) -> None:
        self._plan = plan
        self._gate = gate
        self._lock = lock
        self._wakeups = wakeups
        self._report = report
        self._alarms = ProcessAlarms(plan.home / "logs", alarm=alarm, report=report, strict=strict)
        self._lifeline = Lifeline.make()
        self._environment = dict(plan.environment)
        self._migration: MigrationThread | None = None
        self._servers = self._children(plan.servers)
        self._processes = self._children(plan.processes)
        addresses = {line.name: line.url for line in plan.processes if line.url is not None}
        self._health = HealthWatch(addresses, nonce=plan.environment.get(NONCE, ""), report=report)
        self._started_at = time.monotonic()
        self._changed = self._start_reported = False
        self._came_up: set[str] = set()
        #: The processes that run, answered before, and have not answered for some seconds.
        self.silent: tuple[str, ...] = ()
        #: The content of services.json.
        self.services = plan.services

    @property
    def complete(self) -> bool:
        """Return whether every server came up, the record is migrated, and every process was started and answers.

        After 60 s, answers are no longer required.
        """
        migrated = self._migration is not None and self._migration.over.is_set()
        return (
            self._came_up == {server.line.name for server in self._servers}
            and (migrated or self.services.database_url is None)
            and all(child.started for child in self._processes)
            and (not self.unanswered or time.monotonic() - self._started_at > _ANSWER_WITHIN_S)
        )

    @property
    def unanswered(self) -> list[str]:
        """Return the processes whose health route does not answer."""
        return self._health.missing

    @property
    def crashing(self) -> list[str]:
        """Return the processes that crash again and again."""
        return [child.line.name for child in self._all if child.crashing]

    def tick(self) -> None:
        """Start, restart and report what is due now.

        Raises:
            ConfigInvalid: A server cannot be set up here, or the gate refuses.
            ProcessCrashes: A process crashes again and again, and `up` is strict.
            ServerMissing: A server did not come up, or the record cannot be used.
        """
        for server in self._servers:
            self._changed |= server.tick(self._environment)
            self._check(server)
        self._take_addresses()
        met = self._met_needs()
        for child in self._processes:
            child.answers = child.line.name not in self.unanswered
            if child.line.needs <= met:
                self._changed |= child.tick(self._environment)
        self._alarms.report_crashes(child for child in self._all if child.crashing)
        self._report_silence()
        if self._changed:
            self._write_pids(addresses_known={RECORD, QUEUES} <= met)

    def pause(self, at_most_s: float) -> None:
        """Wait for a signal or for a server to be ready, at most *at_most_s* and at most until the next tick is due."""
        awaited = [server.descriptor for server in self._servers if server.url is None]
        usual = _IDLE_S if self.complete else _STARTING_S
        self._wakeups.wait(min(usual, at_most_s), [one for one in awaited if one is not None])

    def stop(self) -> None:
        """Stop every child within 4 s, the servers last, and kill the rest. A second stop request shortens the wait."""
        started_at, requests = time.monotonic(), self._wakeups.stop_requests
        for children, within_s in ((self._processes, _PROCESSES_WITHIN_S), (self._servers, _ALL_WITHIN_S)):
            for child in children:
                child.ask_to_stop()
            self._wait_for(children, deadline=started_at + within_s, requests=requests)
        for child in self._all:
            child.kill()
        self._health.close()
        self._lifeline.cut()
        self._lock.record({})
        write_services(self._plan.home, self.services.model_copy(update={"pids": {}}))

    @property
    def _all(self) -> list[Child]:
        return [*self._servers, *self._processes]

    def _children(self, lines: Sequence[ProcessLine]) -> list[Child]:
        folder = self._plan.home / "logs"
        return [Child(line, lifeline=self._lifeline, log_folder=folder, report=self._report) for line in lines]

    def _check(self, server: Child) -> None:
        if server.exit_code is None or server.line.name in self._came_up:
            return
        if server.exit_code == CANNOT_BE_SET_UP:
            key, _, message = server.last_line().partition(": ")
            raise ConfigInvalid([Problem(key=key, message=message)])
        if server.deaths >= _SERVER_TRIES:
            raise ServerMissing(f"{server.line.name} did not come up: {server.last_line()}")

    def _report_silence(self) -> None:
        # A process that crashes has an alarm of its own.
        well = [child for child in self._processes if child.runs and not child.crashing]
        silent = [child for child in well if child.line.name in self._health.silent]
        self.silent = tuple(child.line.name for child in silent)
        self._alarms.report_silence(silent, answered=self._health.answered)

    def _take_addresses(self) -> None:
        addresses: dict[str, SecretStr] = {}
        for server in self._servers:
            if server.url is not None:
                self._came_up.add(server.line.name)
                addresses[_ADDRESS_OF[server.line.name]] = SecretStr(server.url)
        self.services = self.services.model_copy(update=addresses)
        for variable, url in (("DATABASE_URL", self.services.database_url), ("REDIS_URL", self.services.redis_url)):
            if url is not None:
                self._environment[variable] = url.get_secret_value()

    def _met_needs(self) -> set[str]:
        met = set()
        if self.services.redis_url is not None:
            met.add(QUEUES)
        if self.services.database_url is not None and self._migration is None:
            self._report("bringing the record's tables up to date …")
            url = self.services.database_url.get_secret_value()
            self._migration = MigrationThread(url, self._gate, report=self._report)
        if self._migration is not None and self._migration.over.is_set():
            if self._migration.refusal is not None:
                raise self._migration.refusal
            if self._migration.failure is not None:
                raise ServerMissing(self._migration.failure)
            met.add(RECORD)
            self._report_start()
        return met

    def _report_start(self) -> None:
        if not self._start_reported:
            self._start_reported = True
            self._report(f"starting {', '.join(child.line.name for child in self._processes)} …")

    def _write_pids(self, *, addresses_known: bool) -> None:
        pids = {child.line.name: child.process.pid for child in self._all if child.process is not None}
        self._lock.record(pids)
        self.services = self.services.model_copy(update={"pids": {UP: os.getpid(), **pids}})
        if addresses_known:
            write_services(self._plan.home, self.services)
            self._changed = False

    def _wait_for(self, children: Sequence[Child], *, deadline: float, requests: int) -> None:
        while any(child.runs for child in children):
            if self._wakeups.stop_requests > requests:
                deadline = min(deadline, time.monotonic() + _HURRY_S)
                requests = self._wakeups.stop_requests
            left = deadline - time.monotonic()
            if left <= 0:
                return
            self._wakeups.wait(min(left, 0.1))
