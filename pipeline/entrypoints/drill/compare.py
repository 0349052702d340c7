"""Drill plain RQ under the same schedule, as far as it has what is broken: Redis, workers, a producer, the exchange."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import psutil
from redis import Redis
from redis.exceptions import RedisError
from rq.exceptions import NoSuchJobError
from rq.job import Job
from rq.serializers import JSONSerializer

from pipeline.entrypoints.drill.breaking import Breaker
from pipeline.entrypoints.drill.plain_audit import FINISHED, PlainJob, PlainLedgers, audit_plain, failed
from pipeline.entrypoints.drill.plain_rq import EXCHANGE, position_path, queue_of, worker_name
from pipeline.entrypoints.drill.processes import Kept, children_called, clean_environment, descendants, stop
from pipeline.entrypoints.drill.progress import Watcher
from pipeline.entrypoints.drill.result import Result
from pipeline.entrypoints.drill.run import QUIET_WITHIN_S, DrillPlan, send_and_break
from pipeline.entrypoints.drill.schedule import Target
from pipeline.entrypoints.drill.sending import make_signals
from pipeline.entrypoints.drill.system import WORKERS, write_executors
from pipeline.entrypoints.drill.venue import DrilledExchange
from pipeline.entrypoints.supervisor.servers.addresses import LOOPBACK, free_port
from pipeline.entrypoints.supervisor.servers.servers import EmbeddedServer
from pipeline.entrypoints.supervisor.servers.spawn import Lifeline

_PLAIN = ("-m", "pipeline.entrypoints.drill.plain_rq")
_LOOK_EVERY_S = 1.0
_STOP_WITHIN_S = 5.0


@dataclass(frozen=True, kw_only=True)
class PlainSystem:
    """One running plain RQ: what is broken in it, and what it knows."""

    home: Path
    executors: tuple[str, ...]
    server: EmbeddedServer
    workers: dict[str, list[Kept]]
    producer: Kept
    exchange: Kept
    connection: Redis
    #: Jobs that were finished before Redis was flushed: whoever had looked would know their orders.
    seen: list[PlainJob] = field(default_factory=list)

    @property
    def ledger(self) -> Path:
        """Return where the producer looks for the signals to send."""
        return self.home / "ledger.jsonl"

    def pids(self, target: Target) -> list[int]:
        """Return the processes that *target* may mean now: it has no keeper and no PostgreSQL."""
        match target:
            case Target.WORKER:
                return [pid for kept in self.workers.values() for one in kept for pid in one.pids]
            case Target.PRODUCER:
                return self.producer.pids
            case Target.EXCHANGE:
                return self.exchange.pids
            case Target.VALKEY:
                return children_called(self.server.guard_pid, "valkey-server")
        return []

    def look_after(self) -> None:
        """Start again what is gone, as a supervisor would."""
        for kept in self.workers.values():
            for one in kept:
                one.look_after()
        self.producer.look_after()
        self.exchange.look_after()
        if not psutil.pid_exists(self.server.server_pid):
            self.server.kill()
            self.server.start()

    def parts(self, pid: int) -> list[int]:
        """Return a worker with the processes that it forked, as a container's or systemd's kill takes them all."""
        return sorted(descendants([pid]))

    def busy(self, pid: int) -> bool:
        """Say whether RQ shows the worker as busy."""
        try:
            return any(
                self.connection.hget(f"rq:worker:{worker_name(executor_id, pid)}", "state") == b"busy"
                for executor_id in self.executors
            )
        except RedisError:
            return False

    def held_by(self, pid: int) -> tuple[datetime, tuple[UUID, ...]]:
        """Return nothing: recovery is not measured here. RQ's takes thirteen minutes, and the drill does not wait."""
        del pid
        return datetime.now(UTC), ()

    def flush(self) -> bool:
        """Empty Valkey; False when it is down."""
        try:
            self.seen.extend(job for job in jobs_of(self.connection) if job.status == FINISHED)
            self.connection.flushall()
        except RedisError:
            return False
        return True

    def cut(self) -> bool:
        """There is no record whose sessions could be cut."""
        return False


def drill_plain_rq(order: DrillPlan, home: Path, watcher: Watcher) -> Result:
    """Drill plain RQ in the empty folder *home* and return what came of it.

    Raises:
        DrillFailed: it could not be carried out.
    """
    began = time.monotonic()
    watcher.step("plain RQ: starting", 1)
    signals = make_signals(order.seed, order.signals, own_symbols=True)
    with running_plain_rq(home) as (system, exchange):
        exchange.prepare([body["symbol"] for body in signals], system.executors)
        breaker = Breaker(drilled=system, exchange=exchange, seed=order.seed)
        try:
            send_and_break(order, system, breaker, signals, watcher)
            _wait_for_quiet(system, breaker, order.signals, watcher)
            ledgers = PlainLedgers(
                symbols=[body["symbol"] for body in signals],
                executors=system.executors,
                jobs=[*system.seen, *jobs_of(system.connection)],
                held={executor_id: exchange.orders(executor_id) for executor_id in system.executors},
            )
            enqueued = _enqueued(system)
        finally:
            breaker.thaw()
    return Result(
        system="plain RQ",
        seed=order.seed,
        sent=order.signals,
        accepted=enqueued,
        owed=order.signals * len(system.executors),
        orders=sum(len(orders) for orders in ledgers.held.values()),
        reasons={"failed_job": failed(ledgers)},
        findings=audit_plain(ledgers),
        broken=breaker.tally,
        strikes=exchange.strikes,
        took_s=time.monotonic() - began,
    )


@contextmanager
def running_plain_rq(home: Path) -> Iterator[tuple[PlainSystem, DrilledExchange]]:
    """Run Valkey, the exchange, workers and the producer in *home* for the time of the block."""
    executors = write_executors(home / "executors.toml")
    port = free_port()
    url = f"http://{LOOPBACK}:{port}"
    with ExitStack() as stack:
        server = stack.enter_context(EmbeddedServer.valkey(home / "valkey"))
        lifeline = Lifeline.make()
        stack.callback(lifeline.cut)
        variables = {"TRADEWIRE_HOME": str(home), "TRADEWIRE_LOG": "json", "REDIS_URL": server.url, EXCHANGE: url}
        environment = clean_environment(**variables)

        everything: list[Kept] = []
        stack.callback(lambda: stop([one.process for one in everything], within_s=_STOP_WITHIN_S))

        def kept(*command: str, log: str) -> Kept:
            everything.append(Kept(*command, home=home, environment=environment, log=log, lifeline=lifeline))
            return everything[-1]

        system = PlainSystem(
            home=home,
            executors=executors,
            server=server,
            exchange=kept("-m", "pipeline.entrypoints.cli", "exchange", "--port", str(port), log="exchange.log"),
            workers={
                executor_id: [kept(*_PLAIN, "work", executor_id, log="workers.log") for _ in range(WORKERS)]
                for executor_id in executors
            },
            producer=kept(*_PLAIN, "produce", *executors, "--ledger", str(home / "ledger.jsonl"), log="producer.log"),
            connection=stack.enter_context(Redis.from_url(server.url)),
        )
        exchange = DrilledExchange(url)
        stack.callback(exchange.close)
        yield system, exchange


def jobs_of(connection: Redis) -> Sequence[PlainJob]:
    """Return every job that RQ still knows, wherever it stands."""
    found = []
    for key in connection.scan_iter("rq:job:*", count=1000):
        try:
            job = Job.fetch(key.decode().removeprefix("rq:job:"), connection=connection, serializer=JSONSerializer)
            executor_id, signal = job.args
        except (NoSuchJobError, ValueError):
            # A hash that is no whole job, or gone by now.
            continue
        status = job.get_status(refresh=False).value
        order_id = job.return_value() if status == FINISHED else None
        found.append(PlainJob(executor_id=executor_id, symbol=signal["symbol"], status=status, order_id=order_id))
    return found


def _wait_for_quiet(system: PlainSystem, breaker: Breaker, sent: int, watcher: Watcher) -> None:
    """Turn all faults off and wait until every job is finished or failed, or nothing moves for as long as there."""
    breaker.heal()
    watcher.step("plain RQ: waiting", sent)
    before, moved_at = (0, 0), time.monotonic()
    while time.monotonic() < moved_at + QUIET_WITHIN_S:
        breaker.tend()
        open_jobs = _open_jobs(system)
        enqueued = _enqueued(system)
        watcher.at(enqueued, f"{open_jobs} jobs not over")
        if enqueued >= sent and open_jobs == 0:
            return
        if (enqueued, open_jobs) != before:
            before, moved_at = (enqueued, open_jobs), time.monotonic()
        time.sleep(_LOOK_EVERY_S)


def _open_jobs(system: PlainSystem) -> int:
    """Count what waits, runs or is to be retried. Without RQ's clean-up, which would change what it counts."""
    total = 0
    for executor_id in system.executors:
        queue = queue_of(executor_id, system.connection)
        registries = (queue.started_job_registry, queue.scheduled_job_registry)
        total += queue.count + sum(registry.get_job_count(cleanup=False) for registry in registries)
    return total


def _enqueued(system: PlainSystem) -> int:
    position = position_path(system.ledger)
    return int(position.read_text()) if position.exists() else 0
