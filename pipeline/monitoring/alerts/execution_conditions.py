"""Find in the record what needs a person now: dead letters, unknown outcomes, exits, and late orders."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from psycopg import Connection
from psycopg.rows import DictRow

from config.schema.executor import ExecutorSettings
from pipeline.model.reasons import sentence
from pipeline.model.signals import Action
from pipeline.model.sources import HAND, HAND_CLOSE, PROTECT_RETRY, RETRY
from pipeline.monitoring.alerts.kinds import AlertKind, ConditionResult, found, raised
from pipeline.store.query import fetch_all
from pipeline.store.statements import sql

# The most alerts of one kind. A message counts them, and shows only some.
_MOST = 1000
#: An outcome that has been unknown for this long is an alert.
UNKNOWN_AFTER = timedelta(seconds=30)
# From the third try on, the alert is raised: the first exit and one more have failed.
_TRIES = 3


@dataclass(frozen=True, kw_only=True)
class _Trade:
    execution_id: UUID
    executor_id: str
    action: Action
    symbol: str

    def __str__(self) -> str:
        return f"{self.executor_id}, {self.action.value} {self.symbol}"

    @property
    def facts(self) -> dict[str, Any]:
        return {"executor": self.executor_id, "execution_id": self.execution_id}


@dataclass(frozen=True, kw_only=True)
class _DeadLetter(_Trade):
    number: int
    reason_code: str
    reason_facts: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class _UnknownOutcome(_Trade):
    age_s: float


@dataclass(frozen=True, kw_only=True)
class _LateOrder(_Trade):
    order_id: str | None


@dataclass(frozen=True, kw_only=True)
class _TriedExit:
    executor_id: str
    symbol: str
    source_id: str


@dataclass(frozen=True, kw_only=True)
class _LateExit:
    execution_id: UUID
    symbol: str
    reason_code: str | None
    age: timedelta


@dataclass(frozen=True, kw_only=True)
class _RefusedExit:
    refusal_id: UUID
    source: str
    code: str
    message: str


def dead_letters(connection: Connection[DictRow], _: Mapping[str, ExecutorSettings]) -> ConditionResult:
    """Find the open dead letters."""
    dead_letters = fetch_all(connection, _DeadLetter, sql("alerts", "dead_letters"), {"limit": _MOST})
    alerts = [
        raised(
            AlertKind.DEAD_LETTER,
            # The number makes a new alert when an execution that was requeued becomes a dead letter again.
            f"{dead_letter.execution_id}:{dead_letter.number}",
            f"dead letter at {dead_letter}: {sentence(dead_letter.reason_code, dead_letter.reason_facts)}",
            **dead_letter.facts,
            reason=dead_letter.reason_code,
        )
        for dead_letter in dead_letters
    ]
    return found(AlertKind.DEAD_LETTER, alerts, complete=len(dead_letters) < _MOST)


def unknown_outcomes(connection: Connection[DictRow], _: Mapping[str, ExecutorSettings]) -> ConditionResult:
    """Find the executions that have been unknown for too long: the broker may or may not have an order."""
    values = {"age": UNKNOWN_AFTER, "limit": _MOST}
    unknown = fetch_all(connection, _UnknownOutcome, sql("alerts", "unknowns"), values)
    alerts = [
        raised(
            AlertKind.UNKNOWN,
            str(each.execution_id),
            f"it has been unknown for {each.age_s:.0f} s whether the broker has an order of {each}",
            **each.facts,
        )
        for each in unknown
    ]
    return found(AlertKind.UNKNOWN, alerts, complete=len(unknown) < _MOST)


def failed_exits(connection: Connection[DictRow], _: Mapping[str, ExecutorSettings]) -> ConditionResult:
    """Find the positions whose exits have failed several times."""
    alerts = {}
    values = {"sources": [RETRY, PROTECT_RETRY, HAND], "first": HAND_CLOSE}
    for exit_ in fetch_all(connection, _TriedExit, sql("alerts", "exits_tried"), values):
        # The source id of a repeated exit is the execution id of the first one, and the number of the try.
        root, _colon, number = exit_.source_id.rpartition(":")
        if number.isdecimal() and int(number) >= _TRIES:
            alerts[root] = raised(
                AlertKind.EXIT_NOT_DONE,
                root,
                f"an exit of {exit_.symbol} at {exit_.executor_id} did not close the position; it is tried again",
                executor=exit_.executor_id,
                symbol=exit_.symbol,
                execution_id=root,
            )
    return found(AlertKind.EXIT_NOT_DONE, alerts.values())


def late_exits(connection: Connection[DictRow], executors: Mapping[str, ExecutorSettings]) -> ConditionResult:
    """Find the undecided exits that have waited for over 15 minutes, not counting the time before the market opened."""
    alerts, complete = [], True
    for name in executors:
        values = {"executor_id": name, "limit": _MOST}
        rows = fetch_all(connection, _LateExit, sql("exit_follow_up", "late"), values)
        complete = complete and len(rows) < _MOST
        for late in rows:
            reason = f" ({late.reason_code})" if late.reason_code else ""
            minutes = late.age.total_seconds() / 60
            subject = f"an exit of {late.symbol} at {name} waits for {minutes:.0f} min{reason}"
            which = late.execution_id
            alerts.append(raised(AlertKind.EXIT_LATE, str(which), subject, executor=name, execution_id=which))
    return found(AlertKind.EXIT_LATE, alerts, complete=complete)


def refused_exits(connection: Connection[DictRow], _: Mapping[str, ExecutorSettings]) -> ConditionResult:
    """Find the refused input of the last hour that reads as an exit: a position may have stayed open."""
    refused = fetch_all(connection, _RefusedExit, sql("alerts", "refused_exits"), {"limit": _MOST})
    alerts = [
        raised(
            AlertKind.EXIT_REFUSED,
            str(each.refusal_id),
            # Parts of this message come from the sender and may be long, and the subject becomes the title of ours.
            f"an exit from {each.source} was refused, so a position may be open: {each.code}, {each.message[:200]}",
            source=each.source,
            code=each.code,
        )
        for each in refused
    ]
    return found(AlertKind.EXIT_REFUSED, alerts, complete=len(refused) < _MOST)


def late_orders(connection: Connection[DictRow], _: Mapping[str, ExecutorSettings]) -> ConditionResult:
    """Find the late orders of the last hour: orders that the broker held although their execution had ended here."""
    orders = fetch_all(connection, _LateOrder, sql("alerts", "late_orders"), {"limit": _MOST})
    alerts = [
        raised(
            AlertKind.LATE_ORDER,
            str(order.execution_id),
            f"the broker holds an order of an execution that had ended: {order}",
            **order.facts,
            order_id=order.order_id,
        )
        for order in orders
    ]
    return found(AlertKind.LATE_ORDER, alerts, complete=len(orders) < _MOST)
