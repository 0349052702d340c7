"""Compare the ledgers: the signals that were sent, the record, and what the exchange holds. Pure."""

from collections import Counter
from collections.abc import Iterator
from uuid import UUID

from pipeline.entrypoints.drill.findings import AuditFinding, AuditVerdict, doubled, lost, unexplained
from pipeline.entrypoints.drill.ledgers import AuditedExecution, AuditedIntent, HeldOrder, Ledgers
from pipeline.entrypoints.drill.position_audit import position_findings, stop_findings
from pipeline.model.states import UNDECIDED, State

#: The execution's state for each final or partial status of the exchange; in any other status the order is working.
_STATE_OF = {
    "filled": State.FILLED,
    "partially_filled": State.PARTIALLY_FILLED,
    "canceled": State.CANCELED,
    "expired": State.EXPIRED,
    "rejected": State.REJECTED,
}


def audit(ledgers: Ledgers) -> list[AuditFinding]:
    """Return everything that is lost, doubled or unexplained, in this order."""
    findings = [
        *_signals(ledgers),
        *_ends(ledgers),
        *_orders(ledgers),
        *_exchange(ledgers),
        *_sequence(ledgers),
        *position_findings(ledgers),
        *stop_findings(ledgers),
    ]
    return sorted(findings, key=lambda finding: list(AuditVerdict).index(finding.verdict))


def _signals(ledgers: Ledgers) -> Iterator[AuditFinding]:
    """Check that every signal is recorded once, and has one execution at every executor."""
    sent = [signal for signal in ledgers.signals if signal.source == ledgers.source]
    recorded = Counter(signal.source_id for signal in sent)
    for source_id in ledgers.sent:
        if not recorded[source_id]:
            yield lost("signal not recorded", source_id=source_id)
    for recorded_id, count in recorded.items():
        if count > 1:
            yield doubled("signal recorded twice", source_id=recorded_id)
    executions = Counter((execution.signal_id, execution.executor_id) for execution in ledgers.executions)
    for signal in sent:
        for executor_id in ledgers.executors:
            if not executions[signal.signal_id, executor_id]:
                yield lost("signal without an execution", signal_id=signal.signal_id, executor_id=executor_id)
    for (signal_id, executor_id), count in executions.items():
        if count > 1:
            yield doubled("two executions of a signal", signal_id=signal_id, executor_id=executor_id)


def _ends(ledgers: Ledgers) -> Iterator[AuditFinding]:
    """Check that every execution is decided, by an order or by a reason."""
    with_order = ledgers.with_order
    for execution in ledgers.executions:
        if execution.state in UNDECIDED:
            yield lost("execution without an end", **execution.facts)
        elif execution.reason_code is None and execution.execution_id not in with_order:
            yield unexplained("ended without an order and without a reason", **execution.facts)


def _orders(ledgers: Ledgers) -> Iterator[AuditFinding]:
    """Check that the exchange has every recorded order id."""
    at_exchange = {order.id for orders in ledgers.held.values() for order in orders}
    for intent in ledgers.intents:
        if intent.order_id is not None and intent.order_id not in at_exchange:
            what = "recorded order that the exchange does not have"
            yield lost(what, execution_id=intent.execution_id, order_id=intent.order_id)


def _exchange(ledgers: Ledgers) -> Iterator[AuditFinding]:
    """Check that each order of the exchange, unless placed by hand, is recorded once and agrees with the record."""
    intents = {intent.client_order_id: intent for intent in ledgers.intents}
    executions = {execution.execution_id: execution for execution in ledgers.executions}
    seen: set[str] = set()
    ordered: set[UUID] = set()
    for executor_id, orders in ledgers.held.items():
        for order in orders:
            facts = {"order_id": order.id, "client_order_id": order.client_order_id, "executor_id": executor_id}
            intent = intents.get(order.client_order_id)
            if order.is_by_hand:
                continue
            if order.client_order_id in seen:
                yield doubled("two orders under one client id", **facts)
            elif intent is None:
                yield unexplained("order at the exchange that the record does not know", **facts)
            else:
                if intent.execution_id in ordered:
                    yield doubled("two orders of one execution", execution_id=intent.execution_id, **facts)
                ordered.add(intent.execution_id)
                yield from _differences(order, intent, executions[intent.execution_id], executor_id)
            seen.add(order.client_order_id)


def _differences(
    order: HeldOrder, intent: AuditedIntent, execution: AuditedExecution, executor_id: str
) -> Iterator[AuditFinding]:
    """Check that the record and the exchange agree about one order."""
    facts = {"order_id": order.id, "order_status": order.status, **execution.facts}
    if intent.executor_id != executor_id:
        yield unexplained("order at another executor's account", at=executor_id, **facts)
    if (intent.symbol, intent.side) != (order.symbol, order.side):
        yield unexplained("order for something else", intended=f"{intent.side} {intent.symbol}", **facts)
    if intent.order_id != order.id:
        yield unexplained("order at the exchange whose id is not recorded", recorded=intent.order_id, **facts)
    if execution.state is not _STATE_OF.get(order.status, State.ACCEPTED):
        yield unexplained("order and execution have different states", **facts)
    if intent.filled_quantity != order.filled_qty:
        figures = {"recorded": intent.filled_quantity, "filled": order.filled_qty}
        yield unexplained("order filled for another quantity than recorded", **figures, **facts)


def _sequence(ledgers: Ledgers) -> Iterator[AuditFinding]:
    """Check that orders of one symbol at one executor were accepted in the order of their signals."""
    place = {execution.execution_id: execution.seq for execution in ledgers.executions if not execution.protects}
    execution_of = {intent.client_order_id: intent.execution_id for intent in ledgers.intents}
    for executor_id, orders in ledgers.held.items():
        latest: dict[str, UUID] = {}
        for order in orders:
            execution_id = execution_of.get(order.client_order_id)
            if execution_id is None or execution_id not in place:
                continue
            before = latest.setdefault(order.symbol, execution_id)
            if place[execution_id] < place[before]:
                facts = {"executor_id": executor_id, "symbol": order.symbol, "after": before}
                yield unexplained("order sent after that of a later signal", execution_id=execution_id, **facts)
            else:
                latest[order.symbol] = execution_id
