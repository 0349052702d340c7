"""Compare three ledgers: what was sent, what the record says, what the exchange holds. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

from pipeline.model.states import State

Row = Mapping[str, Any]

#: Nothing stays in one of these once all is quiet.
UNDECIDED = frozenset({State.QUEUED, State.HELD, State.SUBMITTING, State.UNKNOWN})

#: What the exchange's word for an order makes of its execution; any other word is an order that works.
_STATE_OF = {
    "filled": State.FILLED,
    "partially_filled": State.PARTIALLY_FILLED,
    "canceled": State.CANCELED,
    "expired": State.EXPIRED,
    "rejected": State.REJECTED,
}


class AuditVerdict(StrEnum):
    """What is wrong."""

    LOST = "lost"
    DOUBLED = "doubled"
    UNEXPLAINED = "unexplained"


@dataclass(frozen=True, kw_only=True)
class AuditFinding:
    """One thing that must not be, with what is needed to hunt it down."""

    verdict: AuditVerdict
    what: str
    facts: Mapping[str, Any]

    def __str__(self) -> str:
        facts = " ".join(f"{name}={value}" for name, value in self.facts.items())
        return f"{self.verdict}: {self.what} {facts}"

    def to_json(self) -> dict[str, Any]:
        """Return it with every value as text."""
        facts = {name: None if value is None else str(value) for name, value in self.facts.items()}
        return {"verdict": self.verdict, "what": self.what, **facts}


@dataclass(frozen=True, kw_only=True)
class Ledgers:
    """All three. Rows are as the record and the exchange give them.

    Attributes:
        sent: The `source_id` of every signal that was due.
        source: The source whose signals these are.
        executors: Every configured executor's id, which is its key at the exchange too.
        signals: Rows of `signal`.
        executions: Rows of `execution`, in the order of `seq`.
        orders: Rows of `broker_order`.
        held: Per executor what the exchange holds, in the order of acceptance.
    """

    sent: Sequence[str]
    source: str
    executors: Sequence[str]
    signals: Sequence[Row]
    executions: Sequence[Row]
    orders: Sequence[Row]
    held: Mapping[str, Sequence[Row]]


def audit(ledgers: Ledgers) -> list[AuditFinding]:
    """Return everything that is lost, doubled or unexplained, in this order."""
    findings = [
        *_signals(ledgers),
        *_ends(ledgers),
        *_orders(ledgers),
        *_exchange(ledgers),
        *_sequence(ledgers),
    ]
    return sorted(findings, key=lambda finding: list(AuditVerdict).index(finding.verdict))


def _signals(ledgers: Ledgers) -> Iterator[AuditFinding]:
    """Every signal once in the record, and once at every executor."""
    recorded = Counter(row["source_id"] for row in ledgers.signals if row["source"] == ledgers.source)
    for source_id in ledgers.sent:
        if not recorded[source_id]:
            yield _lost("signal not recorded", source_id=source_id)
    for source_id, count in recorded.items():
        if count > 1:
            yield _doubled("signal recorded twice", source_id=source_id)
    executions = Counter((row["signal_id"], row["executor_id"]) for row in ledgers.executions)
    for row in ledgers.signals:
        for executor_id in ledgers.executors if row["source"] == ledgers.source else ():
            if not executions[row["signal_id"], executor_id]:
                yield _lost("signal without an execution", signal_id=row["signal_id"], executor_id=executor_id)
    for (signal_id, executor_id), count in executions.items():
        if count > 1:
            yield _doubled("two executions of a signal", signal_id=signal_id, executor_id=executor_id)


def _ends(ledgers: Ledgers) -> Iterator[AuditFinding]:
    """Every execution decided, by an order or by a reason."""
    ordered = {row["execution_id"] for row in ledgers.orders if row["order_id"] is not None}
    for row in ledgers.executions:
        if row["state"] in UNDECIDED:
            yield _lost("execution without an end", **_named(row))
        elif row["reason_code"] is None and row["execution_id"] not in ordered:
            yield _unexplained("ended without an order and without a reason", **_named(row))


def _orders(ledgers: Ledgers) -> Iterator[AuditFinding]:
    """Every order id of the record at the exchange."""
    at_exchange = {order["id"] for orders in ledgers.held.values() for order in orders}
    for row in ledgers.orders:
        if row["order_id"] is not None and row["order_id"] not in at_exchange:
            what = "recorded order that the exchange does not have"
            yield _lost(what, execution_id=row["execution_id"], order_id=row["order_id"])


def _exchange(ledgers: Ledgers) -> Iterator[AuditFinding]:
    """Every order of the exchange in the record, once, and both of one mind about it."""
    intents = {row["client_order_id"]: row for row in ledgers.orders}
    executions = {row["execution_id"]: row for row in ledgers.executions}
    seen: set[str] = set()
    ordered: set[UUID] = set()
    for executor_id, orders in ledgers.held.items():
        for order in orders:
            facts = {"order_id": order["id"], "client_order_id": order["client_order_id"], "executor_id": executor_id}
            intent = intents.get(order["client_order_id"])
            if order["client_order_id"] in seen:
                yield _doubled("two orders under one client id", **facts)
            elif intent is None:
                yield _unexplained("order at the exchange that the record does not know", **facts)
            else:
                if intent["execution_id"] in ordered:
                    yield _doubled("two orders of one execution", execution_id=intent["execution_id"], **facts)
                ordered.add(intent["execution_id"])
                yield from _differences(order, intent, executions[intent["execution_id"]], executor_id)
            seen.add(order["client_order_id"])


def _differences(order: Row, intent: Row, execution: Row, executor_id: str) -> Iterator[AuditFinding]:
    """What the record says otherwise of one order than the exchange."""
    facts = {"order_id": order["id"], "order_status": order["status"], **_named(execution)}
    if intent["executor_id"] != executor_id:
        yield _unexplained("order at another executor's account", at=executor_id, **facts)
    if (intent["symbol"], intent["side"]) != (order["symbol"], order["side"]):
        yield _unexplained("order for something else", intended=f"{intent['side']} {intent['symbol']}", **facts)
    if intent["order_id"] != order["id"]:
        yield _unexplained("order at the exchange whose id is not recorded", recorded=intent["order_id"], **facts)
    if execution["state"] != _STATE_OF.get(order["status"], State.ACCEPTED):
        yield _unexplained("order of which the execution says otherwise", **facts)
    if Decimal(intent["filled_quantity"]) != Decimal(order["filled_qty"]):
        figures = {"recorded": intent["filled_quantity"], "filled": order["filled_qty"]}
        yield _unexplained("order filled for another quantity than recorded", **figures, **facts)


def _sequence(ledgers: Ledgers) -> Iterator[AuditFinding]:
    """The orders of one symbol at one executor, accepted in the order in which their signals were recorded."""
    place = {row["execution_id"]: row["seq"] for row in ledgers.executions}
    execution_of = {row["client_order_id"]: row["execution_id"] for row in ledgers.orders}
    for executor_id, orders in ledgers.held.items():
        last: dict[str, tuple[int, UUID]] = defaultdict(lambda: (0, UUID(int=0)))
        for order in orders:
            execution_id = execution_of.get(order["client_order_id"])
            if execution_id is None:
                continue
            seq, before = last[order["symbol"]]
            if place[execution_id] < seq:
                facts = {"executor_id": executor_id, "symbol": order["symbol"], "after": before}
                yield _unexplained("order sent out of its symbol's order", execution_id=execution_id, **facts)
            last[order["symbol"]] = max((seq, before), (place[execution_id], execution_id))


def _named(execution: Row) -> dict[str, Any]:
    names = ("execution_id", "executor_id", "symbol", "state", "reason_code")
    return {name: execution[name] for name in names}


def _lost(what: str, **facts: Any) -> AuditFinding:
    return AuditFinding(verdict=AuditVerdict.LOST, what=what, facts=facts)


def _doubled(what: str, **facts: Any) -> AuditFinding:
    return AuditFinding(verdict=AuditVerdict.DOUBLED, what=what, facts=facts)


def _unexplained(what: str, **facts: Any) -> AuditFinding:
    return AuditFinding(verdict=AuditVerdict.UNEXPLAINED, what=what, facts=facts)
