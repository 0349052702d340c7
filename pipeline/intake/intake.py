"""Record a signal with one execution per configured executor in one transaction; refuse input that is not a signal."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import structlog
from psycopg import Connection
from psycopg.errors import SerializationFailure
from psycopg.rows import DictRow
from psycopg.types.json import Json

from config.logs import without_secrets
from config.schema.executor import ExecutorSettings, settings_hash
from pipeline.intake.exit_words import reads_as_exit
from pipeline.intake.routing import always_refused, may_be_exit, refusals
from pipeline.intake.signal_checks import refuse_future, refuse_reserved_source
from pipeline.model.crash_points import reached
from pipeline.model.errors import InvalidSignal, SourceIdConflict
from pipeline.model.masking import bounded
from pipeline.model.reasons import Reason, storable
from pipeline.model.signals import Action, Intent, Signal, read_signal
from pipeline.model.sources import OWN, is_own
from pipeline.model.states import State
from pipeline.queues.dispatcher import job_id
from pipeline.store.query import execute, fetch_all, fetch_maybe
from pipeline.store.record import Record
from pipeline.store.rows import ExecutionRow
from pipeline.store.statements import sql

log = structlog.get_logger(__name__)

#: The process that records an execution has this long to enqueue it; afterwards the keeper does.
ENQUEUE_GRACE = timedelta(seconds=1)


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """A signal that is in the record, with its executions."""

    signal_id: UUID
    #: True if the signal had been recorded before; then nothing was changed.
    duplicate: bool
    executions: tuple[ExecutionRow, ...]


@dataclass(frozen=True, kw_only=True)
class Wait:
    """The reason why one of our own orders is held before its first try, and for how long."""

    reason: Reason
    due_in: timedelta


@dataclass(frozen=True, kw_only=True)
class _FirstRecord:
    signal_id: UUID
    content_hash: str


class Intake:
    """Records signals, each with one execution per executor. Every signal is recorded through this class."""

    def __init__(
        self, record: Record, executors: Mapping[str, ExecutorSettings], *, by: str, why: str | None = None
    ) -> None:
        self._record = record
        self._executors = executors
        self._by, self._why = by, why
        self._hashes: dict[str, str] = {}

    def record(
        self, raw: Mapping[str, Any], *, source: str, waited: timedelta | None = None, by_person: bool = False
    ) -> Recorded:
        """Record a signal as its sender wrote it; *source* is used when the signal does not name one.

        *waited*, the time since its receipt, counts towards the age unless `generated_at` is given. *by_person* is true
        if a person sent it, judged by the signal's route: a sender may write any source.

        Raises:
            InvalidSignal: *raw* is not a signal, or has a forbidden source, time or executor; a refusal was recorded.
            SourceIdConflict: its source_id was used for another signal; *raw* was recorded as a refusal.
            RecordUnavailable: PostgreSQL is away; perhaps nothing was recorded.
        """
        signal_id = uuid4()
        try:
            signal = read_signal(raw)
            signal = signal if signal.source else signal.model_copy(update={"source": source})
            refuse_reserved_source(signal)
            self._check_executors(signal)
            arrival = {"waited": waited, "by_person": by_person}
            recorded = self._record.run(lambda unit: self._record_in_unit(unit, signal_id, signal, arrival=arrival))
        except InvalidSignal as error:
            self.refuse(raw, source=source, code=error.code, message=str(error))
            raise
        return _logged(recorded, signal)

    def record_own(self, raw: Mapping[str, Any], *, cause: str, wait: Wait | None = None) -> Recorded:
        """Record an order of our own as a signal of source `tradewire:<cause>`, for the executors that *raw* names.

        Recording the same source_id again changes nothing. If *wait* is given, the executions are held at first.

        Raises:
            SourceIdConflict: the source_id was used with other content. Any other InvalidSignal is the caller's fault.
            RecordUnavailable: PostgreSQL is away; perhaps nothing was recorded.
        """
        signal_id = uuid4()
        signal = read_signal({**raw, "source": f"{OWN}{cause}"})
        self._check_executors(signal)
        recorded = self._record.run(lambda unit: self._record_in_unit(unit, signal_id, signal, wait=wait))
        return _logged(recorded, signal)

    def refuse(self, raw: Any, *, source: str, code: str, message: str) -> None:
        """Record input that is not a signal, masked and shortened, with the reason.

        Raises:
            RecordUnavailable: PostgreSQL is away; perhaps nothing was recorded.
        """
        given = raw if isinstance(raw, Mapping) else {}
        values: dict[str, Any] = {
            "refusal_id": uuid4(),
            "source": storable(str(given.get("source") or source))[:100] or source,
            "source_id": storable(id_)[:200] if isinstance(id_ := given.get("source_id"), str) else None,
            "code": code,
            "message": storable(without_secrets(message))[:1000],
            "payload": storable(bounded(raw, mask=without_secrets)),
            "reads_as_exit": reads_as_exit(raw),
        }
        log.warning("signal.refused", source=values["source"], code=code, message=values["message"])
        self._record.do(sql("signals", "insert_refusal"), values)

    def _check_executors(self, signal: Signal) -> None:
        unknown = sorted(set(signal.executors or ()) - set(self._executors))
        if unknown:
            message = f"executors: {', '.join(unknown)} not configured; there is {', '.join(self._executors)}"
            raise InvalidSignal("unknown_executor", message)

    # If the answer to COMMIT is lost, the unit runs again. It then finds its own signal_id and reports no duplicate.
    def _record_in_unit(
        self, connection: Connection[DictRow], signal_id: UUID, signal: Signal, *, wait: Wait | None = None,
        arrival: dict[str, Any] | None = None,
    ) -> Recorded:  # fmt: skip
        execute(connection, sql("signals", "lock_symbol"), {"symbol": signal.symbol})
        values = _signal_values(signal_id, signal) | (arrival or {"waited": None, "by_person": False})
        now = fetch_maybe(connection, datetime, sql("signals", "insert"), values)
        if now is None:
            return _first_record(connection, signal, values)
        refuse_future(signal, now)
        for executor in self._addressed(signal):
            of_executor = self._execution_values(connection, signal_id, signal, executor) | _held(wait)
            execute(connection, sql("signals", "insert_execution"), of_executor)
        recorded = Recorded(signal_id=signal_id, duplicate=False, executions=_executions_of(connection, signal_id))
        reached("intake.before_commit")
        return recorded

    # An executor that does not trade a signal records a reason. Our own orders go only to the executors that they name.
    def _addressed(self, signal: Signal) -> Iterable[ExecutorSettings]:
        if not is_own(signal.source):
            return self._executors.values()
        return [self._executors[executor_id] for executor_id in signal.executors or ()]

    def _execution_values(
        self, connection: Connection[DictRow], signal_id: UUID, signal: Signal, executor: ExecutorSettings
    ) -> dict[str, Any]:
        may_exit = may_be_exit(signal, executor) or _covers_a_short(connection, signal, executor)
        reasons = always_refused(signal, executor) if may_exit else refusals(signal, executor)
        execution_id = uuid4()
        return {
            "execution_id": execution_id,
            "signal_id": signal_id,
            "executor_id": executor.id,
            "mode": executor.mode,
            "symbol": signal.symbol,
            "action": signal.action,
            "state": State.SKIPPED if reasons else State.QUEUED,
            "reason_code": reasons[0].code if reasons else None,
            "reason_facts": Json(_facts(reasons)),
            "due_in": None if reasons else ENQUEUE_GRACE,
            "moved_by": self._by,
            "moved_why": self._why,
            "job_id": job_id(execution_id, 1),
            "settings_hash": self._hash(executor) if reasons else None,  # A queued one gets that of its worker.
        }

    def _hash(self, executor: ExecutorSettings) -> str:
        if executor.id not in self._hashes:
            self._hashes[executor.id] = settings_hash(executor)
        return self._hashes[executor.id]


# A BUY may close a short position. The last reading of the account shows whether there was one.
def _covers_a_short(connection: Connection[DictRow], signal: Signal, executor: ExecutorSettings) -> bool:
    if signal.action is not Action.BUY or signal.intent is not Intent.AUTO:
        return False
    key = {"executor_id": executor.id, "symbol": signal.symbol}
    return fetch_maybe(connection, str, sql("signals", "seen_short"), key) is not None


def _first_record(connection: Connection[DictRow], signal: Signal, values: Mapping[str, Any]) -> Recorded:
    first = fetch_maybe(connection, _FirstRecord, sql("signals", "same"), values)
    if first is None:
        # The first record was deleted between the two statements. This error makes the unit run again, and insert.
        raise SerializationFailure("the signal's first record is gone")
    if first.content_hash != values["content_hash"]:
        message = f"source_id {signal.source_id} of {signal.source} was used for another signal, {first.signal_id}"
        raise SourceIdConflict(message)
    return Recorded(
        signal_id=first.signal_id,
        duplicate=first.signal_id != values["signal_id"],
        executions=_executions_of(connection, first.signal_id),
    )


# The first reason becomes that of the execution; the text of the others is kept in `also`.
def _facts(reasons: Sequence[Reason]) -> dict[str, Any]:
    facts = reasons[0].to_json() if reasons else {}
    if len(reasons) > 1:
        facts["also"] = "; ".join(str(reason) for reason in reasons[1:])
    return facts


def _held(wait: Wait | None) -> dict[str, Any]:
    if wait is None:
        return {}
    reason = {"reason_code": wait.reason.code, "reason_facts": Json(wait.reason.to_json())}
    return {"state": State.HELD, "due_in": wait.due_in, **reason}


def _logged(recorded: Recorded, signal: Signal) -> Recorded:
    reached("intake.after_commit")
    if not recorded.duplicate:
        log.info("signal.recorded", signal_id=str(recorded.signal_id), symbol=signal.symbol, action=signal.action)
    return recorded


def _executions_of(connection: Connection[DictRow], signal_id: UUID) -> tuple[ExecutionRow, ...]:
    return tuple(fetch_all(connection, ExecutionRow, sql("executions", "of_signal"), {"signal_ids": [signal_id]}))


def _signal_values(signal_id: UUID, signal: Signal) -> dict[str, Any]:
    return signal.model_dump(exclude={"executors"}) | {
        "signal_id": signal_id,
        "content_hash": signal.content_hash(),
        "asset_class": signal.asset_class,
        "executors": None if signal.executors is None else list(signal.executors),
    }
