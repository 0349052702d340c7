"""Record a signal and one execution for every configured executor, in one transaction; refuse what is no signal."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import structlog
from psycopg import Connection
from psycopg.errors import SerializationFailure
from psycopg.rows import DictRow
from psycopg.types.json import Json

from config.executors import ExecutorSettings
from pipeline.crash import reached
from pipeline.errors import InvalidSignal, SourceIdConflict
from pipeline.reasons import storable
from pipeline.relay import job_id
from pipeline.routing import always_refused, may_be_exit, refusals
from pipeline.signals import Signal, read_signal
from pipeline.states import State
from pipeline.store.record import Record
from pipeline.store.rows import ExecutionRow
from pipeline.store.statements import sql

log = structlog.get_logger(__name__)

#: How long whoever recorded a signal has to enqueue it before the keeper does.
ENQUEUE_GRACE = timedelta(seconds=1)

_TELLTALE = r"secret|token|passw|api.?key|authorization"
_SECRET_KEY = re.compile(_TELLTALE, re.IGNORECASE)
# The same in text that is no JSON: a key that is named like a secret, and all of its value.
_SECRET_PAIR = re.compile(
    rf"""((?:{_TELLTALE})[^\s"':=]{{0,40}}["']?\s*[:=]\s*)("[^"]*"?|'[^']*'?|[^,}}\n]+)""", re.IGNORECASE
)
_LONGEST_PAYLOAD = 4096
_DEEPEST_PAYLOAD = 16


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """What the record holds of a signal after it was sent."""

    signal_id: UUID
    #: True: it had been recorded before, and nothing was changed.
    duplicate: bool
    executions: tuple[ExecutionRow, ...]


class Intake:
    """The one door through which signals come in."""

    def __init__(self, record: Record, executors: Mapping[str, ExecutorSettings], *, by: str) -> None:
        self._record = record
        self._executors = executors
        self._by = by

    def record(self, raw: Mapping[str, Any], *, source: str) -> Recorded:
        """Record what a sender wrote; *source* names it when the signal does not.

        Raises:
            InvalidSignal: it is not a signal. It was kept as a refusal.
            SourceIdConflict: its source_id was used for other content. Kept as a refusal, nothing changed.
            RecordUnavailable: PostgreSQL is away; nothing was recorded.
        """
        signal_id = uuid4()
        try:
            signal = read_signal(raw)
            signal = signal if signal.source else signal.model_copy(update={"source": source})
            self._know_executors(signal)
            recorded = self._record.run(lambda connection: self._unit(connection, signal_id, signal))
        except InvalidSignal as error:
            self.refuse(raw, source=source, code=error.code, message=str(error))
            raise
        reached("intake.after_commit")
        if not recorded.duplicate:
            log.info(
                "signal.recorded",
                signal_id=str(recorded.signal_id),
                symbol=signal.symbol,
                action=signal.action,
            )
        return recorded

    def refuse(self, raw: Any, *, source: str, code: str, message: str) -> None:
        """Keep what was not a signal, masked and bounded, with the reason.

        Raises:
            RecordUnavailable: PostgreSQL is away; nothing was kept.
        """
        given = raw if isinstance(raw, Mapping) else {}
        source_id = given.get("source_id")
        row: dict[str, Any] = {
            "refusal_id": uuid4(),
            "source": storable(str(given.get("source") or source))[:100] or source,
            "source_id": storable(source_id)[:200] if isinstance(source_id, str) else None,
            "code": code,
            "message": storable(message)[:1000],
            "payload": storable(_bounded(raw)),
        }
        log.warning("signal.refused", source=row["source"], code=code, message=row["message"])
        self._record.run(lambda connection: connection.execute(sql("signals", "insert_refusal"), row))

    def _know_executors(self, signal: Signal) -> None:
        unknown = sorted(set(signal.executors or ()) - set(self._executors))
        if unknown:
            raise InvalidSignal(
                "unknown_executor",
                f"executors: {', '.join(unknown)} not configured; there is {', '.join(self._executors)}",
            )

    def _unit(self, connection: Connection[DictRow], signal_id: UUID, signal: Signal) -> Recorded:
        """Do it all in one transaction; run again after a lost COMMIT it finds its own signal_id."""
        connection.execute(sql("signals", "lock_symbol"), {"symbol": signal.symbol})
        row = _signal_row(signal_id, signal)
        if connection.execute(sql("signals", "insert"), row).fetchone() is None:
            first = connection.execute(sql("signals", "same"), row).fetchone()
            if first is None:
                # It was deleted between the two statements: the unit is run again, and inserts.
                raise SerializationFailure("the signal's first record is gone")
            if first["content_hash"] != row["content_hash"]:
                raise SourceIdConflict(
                    f"source_id {signal.source_id} of {signal.source} was used for another signal, {first['signal_id']}"
                )
            return Recorded(
                signal_id=first["signal_id"],
                duplicate=first["signal_id"] != signal_id,
                executions=executions_of(connection, first["signal_id"]),
            )
        for executor in self._executors.values():
            connection.execute(sql("signals", "insert_execution"), self._execution_row(signal_id, signal, executor))
        recorded = Recorded(signal_id=signal_id, duplicate=False, executions=executions_of(connection, signal_id))
        reached("intake.before_commit")
        return recorded

    def _execution_row(self, signal_id: UUID, signal: Signal, executor: ExecutorSettings) -> dict[str, Any]:
        reasons = always_refused(signal, executor) if may_be_exit(signal, executor) else refusals(signal, executor)
        execution_id = uuid4()
        facts = reasons[0].to_json() if reasons else {}
        if len(reasons) > 1:
            facts["also"] = "; ".join(str(reason) for reason in reasons[1:])
        return {
            "execution_id": execution_id,
            "signal_id": signal_id,
            "executor_id": executor.id,
            "mode": executor.mode,
            "symbol": signal.symbol,
            "action": signal.action,
            "state": State.SKIPPED if reasons else State.QUEUED,
            "reason_code": reasons[0].code if reasons else None,
            "reason_facts": Json(facts),
            "grace": ENQUEUE_GRACE,
            "moved_by": self._by,
            "job_id": job_id(execution_id, 1),
        }


def executions_of(connection: Connection[DictRow], signal_id: UUID) -> tuple[ExecutionRow, ...]:
    """Return the executions of a signal in the order of the executors file."""
    rows = connection.execute(sql("executions", "of_signal"), {"signal_ids": [signal_id]}).fetchall()
    return tuple(ExecutionRow.of(row) for row in rows)


def _signal_row(signal_id: UUID, signal: Signal) -> dict[str, Any]:
    row = signal.model_dump(exclude={"executors"})
    return row | {
        "signal_id": signal_id,
        "content_hash": signal.content_hash(),
        "asset_class": signal.asset_class,
        "executors": None if signal.executors is None else list(signal.executors),
    }


def _bounded(raw: Any) -> str:
    """Return what was sent with its secrets masked, cut to what a row holds."""
    if isinstance(raw, str):
        text = _SECRET_PAIR.sub(r"\1***", raw[:_LONGEST_PAYLOAD])
    else:
        text = json.dumps(_masked(raw), default=str)
    return text[:_LONGEST_PAYLOAD]


def _masked(value: Any, depth: int = 0) -> Any:
    """Hide what is named like a secret: refusals are shown to people. What is nested absurdly deep is left out."""
    if isinstance(value, Mapping | list | tuple) and depth >= _DEEPEST_PAYLOAD:
        return "…"
    if isinstance(value, Mapping):
        return {
            str(key): "***" if _SECRET_KEY.search(str(key)) else _masked(inner, depth + 1)
            for key, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [_masked(inner, depth + 1) for inner in value]
    return value
