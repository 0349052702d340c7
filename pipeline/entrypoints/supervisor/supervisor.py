"""Start what the plan names as early as its needs allow, keep it running, and end it in order."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence

from pydantic import SecretStr

from config.services import UP, write_services
from pipeline.entrypoints.supervisor.child import Child
from pipeline.entrypoints.supervisor.home_lock import HomeLock
from pipeline.entrypoints.supervisor.migration import Gate, MigrationThread
from pipeline.entrypoints.supervisor.plan import Plan
from pipeline.entrypoints.supervisor.process_table import QUEUES, RECORD, ProcessLine
from pipeline.entrypoints.supervisor.servers.spawn import CANNOT_BE_SET_UP, Lifeline
from pipeline.entrypoints.supervisor.servers.wakeups import Wakeups
from pipeline.model.errors import ConfigInvalid, Problem, TradewireError

#: How long a tick may wait for something to happen while all is well; the death of a child cuts it short.
_IDLE_S = 0.25
_STARTING_S = 0.03
#: Everything is to be gone within 5 s; the servers go last, and what is left by then is killed.
_PROCESSES_WITHIN_S = 2.3
_ALL_WITHIN_S = 4.0
#: What is left of that for who presses Ctrl-C again.
_HURRY_S = 0.5

#: A server may fail once for a passing reason: another's leftovers, a machine that is out of breath.
_SERVER_TRIES = 3

_ADDRESS_OF = {"postgres": "database_url", "valkey": "redis_url"}


class ServerMissing(TradewireError):
    """A server that everything needs did not come up."""


class Supervisor:
    """All children of one `up`."""

    def __init__(
        self, plan: Plan, *, claim: HomeLock, wakeups: Wakeups, say: Callable[[str], None], gate: Gate
    ) -> None:
        self._plan = plan
        self._gate = gate
        self._claim = claim
        self._wakeups = wakeups
        self._say = say
        self._lifeline = Lifeline.make()
        self._environment = dict(plan.environment)
        self._migration: MigrationThread | None = None
        self._servers = self._children(plan.servers)
        self._processes = self._children(plan.processes)
        self._changed = False
        self._came_up: set[str] = set()
        #: What services.json says.
        self.services = plan.services

    @property
    def complete(self) -> bool:
        """Say whether every server came up, the record is up to date and every process has been started."""
        migrated = self._migration is not None and self._migration.over.is_set()
        return (
            self._came_up == {server.line.name for server in self._servers}
            and (migrated or self.services.database_url is None)
            and all(child.started for child in self._processes)
        )

    def tick(self) -> None:
        """Do all that is due now.

        Raises:
            ConfigInvalid: A server cannot be set up here, or the gate is shut.
            ServerMissing: A server did not come up, or the record cannot be used.
        """
        for server in self._servers:
            self._changed |= server.tick(self._environment)
            self._check(server)
        self._learn_addresses()
        met = self._met_needs()
        for child in self._processes:
            if child.line.needs <= met:
                self._changed |= child.tick(self._environment)
        if self._changed:
            self._write_down(addresses_known={RECORD, QUEUES} <= met)

    def pause(self, at_most_s: float) -> None:
        """Wait until something may be due."""
        awaited = [server.descriptor for server in self._servers if server.url is None]
        usual = _IDLE_S if self.complete else _STARTING_S
        self._wakeups.wait(min(usual, at_most_s), [one for one in awaited if one is not None])

    def stop(self) -> None:
        """End every child within 4 s: the servers last, what does not end killed; asked again, hurry."""
        begun, asked = time.monotonic(), self._wakeups.stops_asked
        for children, within_s in ((self._processes, _PROCESSES_WITHIN_S), (self._servers, _ALL_WITHIN_S)):
            for child in children:
                child.ask_to_stop()
            self._wait_for(children, deadline=begun + within_s, asked=asked)
        for child in self._all:
            child.kill()
        self._lifeline.cut()
        self._claim.record({})
        write_services(self._plan.home, self.services.model_copy(update={"pids": {}}))

    @property
    def _all(self) -> list[Child]:
        return [*self._servers, *self._processes]

    def _children(self, lines: Sequence[ProcessLine]) -> list[Child]:
        folder = self._plan.home / "logs"
        return [Child(line, lifeline=self._lifeline, log_folder=folder, say=self._say) for line in lines]

    def _check(self, server: Child) -> None:
        if server.exit_code is None or server.line.name in self._came_up:
            return
        if server.exit_code == CANNOT_BE_SET_UP:
            key, _, message = server.last_words().partition(": ")
            raise ConfigInvalid([Problem(key=key, message=message)])
        if server.streak.deaths >= _SERVER_TRIES:
            raise ServerMissing(f"{server.line.name} did not come up: {server.last_words()}")

    def _learn_addresses(self) -> None:
        learned: dict[str, SecretStr] = {}
        for server in self._servers:
            if server.url is not None:
                self._came_up.add(server.line.name)
                learned[_ADDRESS_OF[server.line.name]] = SecretStr(server.url)
        self.services = self.services.model_copy(update=learned)
        for variable, url in (
            ("DATABASE_URL", self.services.database_url),
            ("REDIS_URL", self.services.redis_url),
        ):
            if url is not None:
                self._environment[variable] = url.get_secret_value()

    def _met_needs(self) -> set[str]:
        met = set()
        if self.services.redis_url is not None:
            met.add(QUEUES)
        if self.services.database_url is not None and self._migration is None:
            self._migration = MigrationThread(self.services.database_url.get_secret_value(), self._gate)
        if self._migration is not None and self._migration.over.is_set():
            if self._migration.refusal is not None:
                raise self._migration.refusal
            if self._migration.failure is not None:
                raise ServerMissing(self._migration.failure)
            met.add(RECORD)
        return met

    def _write_down(self, *, addresses_known: bool) -> None:
        pids = {child.line.name: child.process.pid for child in self._all if child.process is not None}
        self._claim.record(pids)
        self.services = self.services.model_copy(update={"pids": {UP: os.getpid(), **pids}})
        if addresses_known:
            write_services(self._plan.home, self.services)
            self._changed = False

    def _wait_for(self, children: Sequence[Child], *, deadline: float, asked: int) -> None:
        while any(child.runs for child in children):
            if self._wakeups.stops_asked > asked:
                deadline = min(deadline, time.monotonic() + _HURRY_S)
                asked = self._wakeups.stops_asked
            left = deadline - time.monotonic()
            if left <= 0:
                return
            self._wakeups.wait(min(left, 0.1))
