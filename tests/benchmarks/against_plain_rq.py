"""Drill tradewire, and then plain RQ under the same faults: `python -m tests.benchmarks.against_plain_rq --seed 1`.

Run it from the repository's root. For plain RQ the faults hit Redis, the workers, the producer and the exchange. Each
system has servers and a scratch folder of its own. Tradewire's folder is kept when its drill fails.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import psutil
from redis import Redis
from redis.exceptions import RedisError
from rich.console import Console
from rq.exceptions import NoSuchJobError
from rq.job import Job
from rq.serializers import JSONSerializer

from config.logs import configure_logs
from pipeline.entrypoints.drill.breaking import Breaker
from pipeline.entrypoints.drill.exchange_admin import ExchangeAdmin
from pipeline.entrypoints.drill.findings import AuditFinding, AuditVerdict
from pipeline.entrypoints.drill.processes import RestartedProcess, children_called, clean_environment, descendants, stop
from pipeline.entrypoints.drill.progress import DrillProgress
from pipeline.entrypoints.drill.run import QUIET_WITHIN_S, DrillPlan, drill_tradewire, send_and_break
from pipeline.entrypoints.drill.schedule import Target
from pipeline.entrypoints.drill.scratch import in_scratch
from pipeline.entrypoints.drill.sending import PRICE, symbols
from pipeline.entrypoints.drill.system import WORKERS, write_executors
from pipeline.entrypoints.drill.table import ProgressBar
from pipeline.entrypoints.supervisor.servers.addresses import LOOPBACK, free_port
from pipeline.entrypoints.supervisor.servers.spawn import Lifeline
from tests.benchmarks.plain_rq import EXCHANGE, position_path, queue_of, worker_name
from tests.benchmarks.plain_rq_audit import FINISHED, PlainJob, PlainLedgers, audit_plain
from tests.embedded_server import EmbeddedServer

_TOKEN = "the-admin-token-of-the-benchmark"
_ROOT = Path(__file__).parents[2]
_PLAIN = ("-m", "tests.benchmarks.plain_rq")
_POLL_S = 1.0
_STOP_WITHIN_S = 5.0


@dataclass(frozen=True, kw_only=True)
class PlainSystem:
    """The running processes of plain RQ."""

    home: Path
    executors: tuple[str, ...]
    server: EmbeddedServer
    workers: list[RestartedProcess]
    producer: RestartedProcess
    exchange: RestartedProcess
    connection: Redis
    #: Jobs that had finished before Redis was flushed; the audit counts their results.
    seen: list[PlainJob] = field(default_factory=list)

    @property
    def ledger(self) -> Path:
        """Return the file from which the producer reads the signals to send."""
        return self.home / "ledger.jsonl"

    @property
    def enqueued(self) -> int:
        """Return how many signals the producer has enqueued."""
        position = position_path(self.ledger)
        return int(position.read_text()) if position.exists() else 0

    def pids(self, target: Target) -> list[int]:
        """Return the running processes that *target* names. Plain RQ has no keeper and no PostgreSQL."""
        match target:
            case Target.WORKER:
                return [pid for worker in self.workers for pid in worker.pids]
            case Target.PRODUCER:
                return self.producer.pids
            case Target.EXCHANGE:
                return self.exchange.pids
            case Target.VALKEY:
                return children_called(self.server.guard_pid, "valkey-server")
        return []

    def restart_ended(self) -> None:
        """Restart every process that has ended, as a supervisor would."""
        for process in (*self.workers, self.producer, self.exchange):
            process.restart_ended()
        if not psutil.pid_exists(self.server.server_pid):
            self.server.kill()
            self.server.start()

    def process_group(self, pid: int) -> list[int]:
        """Return the ids of a worker and its forks, which systemd or a container would kill together."""
        return sorted(descendants([pid]))

    def is_busy(self, pid: int) -> bool:
        """Return whether RQ shows the worker as busy."""
        names = [worker_name(executor_id, pid) for executor_id in self.executors]
        try:
            return any(self.connection.hget(f"rq:worker:{name}", "state") == b"busy" for name in names)
        except RedisError:
            return False

    def held_by(self, pid: int) -> tuple[datetime, tuple[UUID, ...]]:
        """Return no executions: recovery is not measured, as RQ takes thirteen minutes, longer than the benchmark."""
        del pid
        return datetime.now(UTC), ()

    def flush(self) -> bool:
        """Empty Valkey; return False when it is down."""
        try:
            self.seen.extend(job for job in jobs_of(self.connection) if job.status == FINISHED)
            self.connection.flushall()
        except RedisError:
            return False
        return True

    def cut(self) -> bool:
        """Return False: there is no PostgreSQL whose sessions could be cut."""
        return False


def main() -> None:
    """Drill both systems and print what was lost, doubled or unexplained in each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--signals", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pace", type=float, default=20.0, help="signals a second, at most")
    chosen = parser.parse_args()
    # The drill stops PostgreSQL on purpose, so warnings about it are useless.
    configure_logs("console", process="drill", level=logging.CRITICAL)
    order = DrillPlan(signals=chosen.signals, seed=chosen.seed, pace=chosen.pace)
    with ProgressBar(Console(stderr=True)) as bar:
        ours = in_scratch(drill_tradewire, order, bar, keep=False)
        with tempfile.TemporaryDirectory(prefix="tradewire-drill-") as home:
            plain = drill_plain_rq(order, Path(home), bar)
    sys.stdout.write(f"{order.signals} signals, seed {order.seed}, {ours.executions} executions\n")
    sys.stdout.write(f"{'':<12}{'tradewire':>10}{'plain RQ':>10}\n")
    for verdict in AuditVerdict:
        theirs = sum(finding.verdict is verdict for finding in plain)
        sys.stdout.write(f"{verdict:<12}{ours.count(verdict):>10}{theirs:>10}\n")
    if ours.kept:
        sys.stdout.write(f"tradewire's logs and ledgers are kept in {ours.kept}\n")


def own_symbols(count: int) -> list[dict[str, Any]]:
    """Return *count* purchases, each of a different symbol, so that an order shows which signal it belongs to."""
    return [
        {"source_id": f"{number:06d}", "symbol": symbol, "action": "BUY", "confidence": 98, "entry_price": PRICE}
        for number, symbol in enumerate(symbols(count))
    ]


def drill_plain_rq(order: DrillPlan, home: Path, progress: DrillProgress) -> list[AuditFinding]:
    """Drill plain RQ in the empty folder *home* and return what was lost, doubled or unexplained.

    Raises: DrillFailed: The drill could not be carried out.
    """
    progress.step("plain RQ: starting", 1)
    signals = own_symbols(order.signals)
    tickers = [body["symbol"] for body in signals]
    with running_plain_rq(home) as (system, exchange):
        exchange.prepare(tickers, system.executors)
        breaker = Breaker(drilled=system, exchange=exchange, seed=order.seed)
        try:
            send_and_break(order, breaker, signals, progress)
            _wait_for_quiet(system, breaker, order.signals, progress)
            ledgers = PlainLedgers(
                symbols=tickers,
                executors=system.executors,
                jobs=[*system.seen, *jobs_of(system.connection)],
                held={executor_id: exchange.orders(executor_id) for executor_id in system.executors},
            )
        finally:
            breaker.resume()
    return audit_plain(ledgers)


@contextmanager
def running_plain_rq(home: Path) -> Iterator[tuple[PlainSystem, ExchangeAdmin]]:
    """Run Valkey, the exchange, workers and the producer in *home* for the time of the block."""
    executors = write_executors(home / "executors.toml")
    port = free_port()
    url = f"http://{LOOPBACK}:{port}"
    with ExitStack() as stack:
        server = stack.enter_context(EmbeddedServer.valkey(home / "valkey"))
        lifeline = Lifeline.make()
        stack.callback(lifeline.cut)
        variables = {"TRADEWIRE_HOME": str(home), "TRADEWIRE_LOG": "json", "REDIS_URL": server.url, EXCHANGE: url}
        variables["TRADEWIRE_EXCHANGE_TOKEN"] = _TOKEN
        environment: Mapping[str, str] = clean_environment(**variables, PYTHONPATH=str(_ROOT))
        everything: list[RestartedProcess] = []
        stack.callback(lambda: stop([one.process for one in everything], within_s=_STOP_WITHIN_S))

        def kept(*command: str, log: str) -> RestartedProcess:
            one = RestartedProcess(*command, home=home, environment=environment, log=log, lifeline=lifeline)
            everything.append(one)
            return one

        system = PlainSystem(
            home=home,
            executors=executors,
            server=server,
            exchange=kept("-m", "pipeline.entrypoints.cli", "exchange", "--port", str(port), log="exchange.log"),
            workers=[kept(*_PLAIN, "work", executor_id, log="workers.log") for executor_id in executors * WORKERS],
            producer=kept(*_PLAIN, "produce", *executors, "--ledger", str(home / "ledger.jsonl"), log="producer.log"),
            connection=stack.enter_context(Redis.from_url(server.url)),
        )
        exchange = ExchangeAdmin(url, _TOKEN)
        stack.callback(exchange.close)
        yield system, exchange


def jobs_of(connection: Redis) -> Sequence[PlainJob]:
    """Return all jobs that RQ still has, whatever their status."""
    found = []
    for key in connection.scan_iter("rq:job:*", count=1000):
        try:
            job = Job.fetch(key.decode().removeprefix("rq:job:"), connection=connection, serializer=JSONSerializer)
            executor_id, signal = job.args
        except (NoSuchJobError, ValueError):
            # The job's hash is incomplete, or another process has removed it.
            continue
        status = job.get_status(refresh=False).value
        order_id = job.return_value() if status == FINISHED else None
        found.append(PlainJob(executor_id=executor_id, symbol=signal["symbol"], status=status, order_id=order_id))
    return found


def _wait_for_quiet(system: PlainSystem, breaker: Breaker, sent: int, progress: DrillProgress) -> None:
    """Turn all faults off, and wait until every job has finished or failed, or nothing has changed for a long time."""
    breaker.end_faults()
    progress.step("plain RQ: waiting", sent)
    before, moved_at = (0, 0), time.monotonic()
    while time.monotonic() < moved_at + QUIET_WITHIN_S:
        breaker.maintain()
        now = system.enqueued, _open_jobs(system)
        progress.advance(now[0], f"{now[1]} jobs not over")
        if now[0] >= sent and now[1] == 0:
            return
        if now != before:
            before, moved_at = now, time.monotonic()
        time.sleep(_POLL_S)


def _open_jobs(system: PlainSystem) -> int:
    """Count the jobs that wait, run or will be retried, without RQ's clean-up, which would change the count."""
    total = 0
    for executor_id in system.executors:
        queue = queue_of(executor_id, system.connection)
        registries = (queue.started_job_registry, queue.scheduled_job_registry)
        total += queue.count + sum(registry.get_job_count(cleanup=False) for registry in registries)
    return total


if __name__ == "__main__":
    main()
