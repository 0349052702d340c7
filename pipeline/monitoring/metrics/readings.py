"""Read the current state for the gauges: open work, limits, switches, running processes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from psycopg import Connection
from psycopg.rows import DictRow

from config.schema.executor import ExecutorSettings
from pipeline.accounts.findings import last_reconciles, open_findings
from pipeline.accounts.limit_usage import headroom
from pipeline.model.states import UNDECIDED, WORKING, State
from pipeline.store.processes import living_processes
from pipeline.store.query import execute, fetch_all
from pipeline.store.record import Record
from pipeline.store.rows import Mode
from pipeline.store.statements import sql

#: A metric's name, the values of its labels, and its value.
Reading = tuple[str, tuple[str, ...], float]
_Readings = Iterator[Reading]
_Executors = Mapping[str, ExecutorSettings]
_Connected = Connection[DictRow]


@dataclass(frozen=True, kw_only=True)
class _OpenWork:
    executor_id: str
    mode: Mode
    state: State
    count: int
    oldest_s: float


@dataclass(frozen=True, kw_only=True)
class _OpenDeadLetters:
    executor_id: str
    count: int
    oldest_s: float


@dataclass(frozen=True, kw_only=True)
class _Requests:
    """The requests of an account in the last minute; *closed* while it waits after a 429."""

    executor_id: str
    spent: int
    closed: bool


@dataclass(frozen=True, kw_only=True)
class _SwitchOn:
    executor_id: str
    kind: str
    cause: str


@dataclass(frozen=True, kw_only=True)
class _LastFill:
    executor_id: str
    filled_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class _LastSignal:
    source: str
    recorded_at: datetime


def read(record: Record, executors: _Executors) -> list[Reading]:
    """Return every gauge that is read from the record. Raises RecordUnavailable."""
    limits = headroom(record, executors)
    readings = record.run(lambda connection: list(_all(connection, executors)))
    for each in limits:
        labels = (each.executor_id, each.limit)
        # A limit of 0 is used up; after a gain, a loss limit is not used at all.
        used = float(each.used / each.allowed) if each.allowed else 1.0
        readings.append(("tradewire_limit_used_ratio", labels, max(used, 0.0)))
        readings.append(("tradewire_limit_left", labels, float(each.left)))
    return readings


def _all(connection: _Connected, executors: _Executors) -> _Readings:
    yield from _work(connection, executors)
    yield from _letters(connection, executors)
    yield from _budgets(connection, executors)
    yield from _accounts(connection, executors)
    yield from _findings(connection, executors)
    yield from _processes(connection, executors)
    yield from _last_times(connection, executors)


def _work(connection: _Connected, executors: _Executors) -> _Readings:
    # Zeros are yielded too: a metric that is absent can be neither drawn nor compared.
    counts = {
        (name, executor.mode, state.value): 0
        for name, executor in executors.items()
        for state in sorted(UNDECIDED | WORKING)
    }
    oldest, queued = dict.fromkeys(executors, 0.0), dict.fromkeys(executors, 0.0)
    for work in fetch_all(connection, _OpenWork, sql("metrics", "unfinished")):
        # `get` below, because the record may contain executors that the file no longer has.
        name, age = work.executor_id, work.oldest_s
        counts[name, work.mode.value, work.state.value] = work.count
        if work.state in UNDECIDED:
            oldest[name] = max(oldest.get(name, 0.0), age)
        if work.state is State.QUEUED:
            queued[name] = max(queued.get(name, 0.0), age)
    for labels, count in counts.items():
        yield "tradewire_executions_unfinished", labels, count
    for name, age in oldest.items():
        yield "tradewire_oldest_unfinished_seconds", (name,), age
    for name, age in queued.items():
        yield "tradewire_queue_age_seconds", (name,), age


def _letters(connection: _Connected, executors: _Executors) -> _Readings:
    dead_letters = dict.fromkeys(executors, (0, 0.0))
    for each in fetch_all(connection, _OpenDeadLetters, sql("metrics", "dead_letters")):
        dead_letters[each.executor_id] = (each.count, each.oldest_s)
    for name, (count, age) in dead_letters.items():
        yield "tradewire_dead_letters", (name,), count
        yield "tradewire_dead_letter_age_seconds", (name,), age


def _budgets(connection: _Connected, executors: _Executors) -> _Readings:
    spent = dict.fromkeys(executors, (0, False))
    for each in fetch_all(connection, _Requests, sql("metrics", "budgets"), {"executor_ids": list(executors)}):
        spent[each.executor_id] = (int(each.spent), each.closed)
    for name, (requests, held) in spent.items():
        yield "tradewire_requests_spent", (name,), requests
        yield "tradewire_requests_held", (name,), float(held)
        limit = executors[name].limits.requests_per_minute
        if limit is not None:
            yield "tradewire_requests_limit", (name,), limit


def _accounts(connection: _Connected, executors: _Executors) -> _Readings:
    for switch in fetch_all(connection, _SwitchOn, sql("metrics", "switches"), {"executor_ids": list(executors)}):
        yield "tradewire_switch_on", (switch.executor_id, switch.kind, switch.cause), 1
    for name in executors:
        refused = execute(connection, sql("accounts", "refusal"), {"executor_id": name}) > 0
        yield "tradewire_account_refused", (name,), float(refused)


def _findings(connection: _Connected, executors: _Executors) -> _Readings:
    counts = dict.fromkeys(executors, 0)
    for each in open_findings(connection, executors):
        counts[each.executor_id] += 1
    for name, count in counts.items():
        yield "tradewire_findings", (name,), count
    for name, last in last_reconciles(connection, executors).items():
        yield "tradewire_last_reconcile_timestamp_seconds", (name,), last.completed_at.timestamp()


def _processes(connection: _Connected, executors: _Executors) -> _Readings:
    # These processes are expected to run, so each is shown even when it does not run.
    alive = {("worker", name): 0 for name in executors} | {(kind, kind): 0 for kind in ("keeper", "tracker", "web")}
    unwell = dict(alive)
    for process in living_processes(connection):
        who = (process.kind, process.name)
        alive[who] = alive.get(who, 0) + 1
        unwell[who] = unwell.get(who, 0) + (not process.healthy)
    for who, count in alive.items():
        yield "tradewire_processes_alive", who, count
    for who, count in unwell.items():
        yield "tradewire_processes_unwell", who, count


def _last_times(connection: _Connected, executors: _Executors) -> _Readings:
    for fill in fetch_all(connection, _LastFill, sql("metrics", "last_fills"), {"executor_ids": list(executors)}):
        if fill.filled_at is not None:
            yield "tradewire_last_fill_timestamp_seconds", (fill.executor_id,), fill.filled_at.timestamp()
    for signal in fetch_all(connection, _LastSignal, sql("metrics", "last_signals")):
        yield "tradewire_last_signal_timestamp_seconds", (signal.source,), signal.recorded_at.timestamp()
