"""Check that the record and the exchange agree on the positions, and that every exit was decided in time. Pure."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal

from pipeline.entrypoints.drill.exit_waits import LONGEST_WAIT_S, ExitWait
from pipeline.entrypoints.drill.findings import AuditFinding, late, unexplained
from pipeline.entrypoints.drill.ledgers import AuditedExecution, Ledgers
from pipeline.model.reasons import Code
from pipeline.model.states import WORKING, State

_NOTHING = Decimal(0)


def position_findings(ledgers: Ledgers) -> Iterator[AuditFinding]:
    """Check that each position at the exchange is the recorded one plus the fills of orders by hand."""
    for executor_id in {**ledgers.positions, **ledgers.holdings}:
        positions, recorded = ledgers.positions.get(executor_id, {}), ledgers.holdings.get(executor_id, {})
        by_hand = _by_hand(ledgers, executor_id)
        for symbol in sorted({*positions, *recorded, *by_hand}):
            figures = {
                "at_exchange": positions.get(symbol, _NOTHING),
                "recorded": recorded.get(symbol, _NOTHING),
                "by_hand": by_hand.get(symbol, _NOTHING),
            }
            if figures["at_exchange"] != figures["recorded"] + figures["by_hand"]:
                what = "position at the exchange that differs from the record"
                yield unexplained(what, executor_id=executor_id, symbol=symbol, **figures)


def stop_findings(ledgers: Ledgers) -> Iterator[AuditFinding]:
    """Check that the stop orders at the exchange protect the holdings whose entries gave a stop, and nothing else."""
    for executor_id, orders in ledgers.held.items():
        resting: dict[str, Decimal] = defaultdict(Decimal)
        for order in orders:
            if order.type == "stop" and order.is_open and not order.is_by_hand and order.qty is not None:
                resting[order.symbol] += order.qty - order.filled_qty
        stopped = ledgers.stopped.get(executor_id, {})
        for symbol in sorted({*resting, *stopped}):
            figures = {"stop_orders": resting[symbol], "holding": stopped.get(symbol, _NOTHING)}
            if figures["stop_orders"] != figures["holding"]:
                yield unexplained(
                    "stop orders that do not fit the holding", executor_id=executor_id, symbol=symbol, **figures
                )


def exit_findings(ledgers: Ledgers, waits: Sequence[ExitWait]) -> Iterator[AuditFinding]:
    """Check that no exit waited for too long, and that none left a position without a reason."""
    executions = {execution.execution_id: execution for execution in ledgers.executions}
    for wait in waits:
        if wait.seconds > LONGEST_WAIT_S:
            yield late("exit that waited for too long", **executions[wait.execution_id].facts | wait.to_json())
    for (executor_id, symbol), of_symbol in _by_symbol(ledgers.executions).items():
        left = ledgers.holdings.get(executor_id, {}).get(symbol, _NOTHING)
        if left and of_symbol[-1].closes and not any(map(_explains, of_symbol)):
            facts = {"executor_id": executor_id, "symbol": symbol, "left": left}
            yield unexplained("position left after its exit", execution_id=of_symbol[-1].execution_id, **facts)


def _explains(execution: AuditedExecution) -> bool:
    """Return whether the execution explains a leftover position: it is a dead letter, or its order works or is late."""
    return execution.state in WORKING or execution.state is State.DEAD or execution.reason_code == Code.LATE_ORDER


def _by_hand(ledgers: Ledgers, executor_id: str) -> Mapping[str, Decimal]:
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for order in ledgers.held.get(executor_id, ()):
        if order.is_by_hand:
            sums[order.symbol] += order.signed_fill
    return sums


def _by_symbol(executions: Sequence[AuditedExecution]) -> Mapping[tuple[str, str], Sequence[AuditedExecution]]:
    groups: dict[tuple[str, str], list[AuditedExecution]] = defaultdict(list)
    for execution in executions:
        groups[execution.executor_id, execution.symbol].append(execution)
    return groups
