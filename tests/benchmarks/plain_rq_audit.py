"""Compare plain RQ's jobs with the orders at the exchange. Every signal has a symbol of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.entrypoints.drill.findings import AuditFinding, AuditVerdict
from pipeline.entrypoints.drill.ledgers import HeldOrder

FINISHED, FAILED = "finished", "failed"


@dataclass(frozen=True, kw_only=True)
class PlainJob:
    """A job as RQ shows it."""

    executor_id: str
    symbol: str
    status: str
    #: The result of a finished job.
    order_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class PlainLedgers:
    """The signals that were sent, the jobs that RQ has, and the orders at the exchange."""

    symbols: Sequence[str]
    executors: Sequence[str]
    jobs: Sequence[PlainJob]
    held: Mapping[str, Sequence[HeldOrder]]


def audit_plain(ledgers: PlainLedgers) -> list[AuditFinding]:
    """Return everything that is lost, doubled or unexplained, in this order."""
    jobs: dict[tuple[str, str], list[PlainJob]] = {}
    for job in ledgers.jobs:
        jobs.setdefault((job.executor_id, job.symbol), []).append(job)
    orders: dict[tuple[str, str], list[str]] = {}
    for executor_id, held in ledgers.held.items():
        for order in held:
            orders.setdefault((executor_id, order.symbol), []).append(order.id)
    findings = [
        finding
        for executor_id in ledgers.executors
        for symbol in ledgers.symbols
        for finding in _of_one(
            {"executor_id": executor_id, "symbol": symbol},
            jobs.get((executor_id, symbol), []),
            orders.get((executor_id, symbol), []),
        )
    ]
    return sorted(findings, key=lambda finding: list(AuditVerdict).index(finding.verdict))


def _of_one(facts: dict[str, Any], jobs: Sequence[PlainJob], orders: Sequence[str]) -> Iterator[AuditFinding]:
    """Yield what is wrong with one signal at one executor."""
    states = Counter(job.status for job in jobs)
    facts |= {"jobs": ", ".join(sorted(states)) or "none"}
    if not orders and not states[FAILED]:
        yield AuditFinding(verdict=AuditVerdict.LOST, what="no order and no failed job", facts=facts)
    if len(orders) > 1:
        yield AuditFinding(verdict=AuditVerdict.DOUBLED, what=f"{len(orders)} orders for one signal", facts=facts)
    if orders and states[FAILED] and not states[FINISHED]:
        yield AuditFinding(verdict=AuditVerdict.UNEXPLAINED, what="failed with a live order", facts=facts)
    known = {job.order_id for job in jobs if job.order_id}
    if orders and not known & set(orders) and not states[FAILED]:
        yield AuditFinding(verdict=AuditVerdict.UNEXPLAINED, what="order whose id no job has", facts=facts)
    for order_id in known - set(orders):
        what = "order id that the exchange does not know"
        yield AuditFinding(verdict=AuditVerdict.UNEXPLAINED, what=what, facts=facts | {"order_id": order_id})
