"""Drill tradewire: start it, send signals, break it, wait until all is decided, and audit the three ledgers."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline.entrypoints.drill.audit import AuditFinding, audit
from pipeline.entrypoints.drill.breaking import Breaker
from pipeline.entrypoints.drill.exchange_admin import ExchangeAdmin
from pipeline.entrypoints.drill.ledgers import AuditedExecution, AuditedIntent, AuditedSignal, Ledgers
from pipeline.entrypoints.drill.progress import DrillProgress
from pipeline.entrypoints.drill.recovery import recoveries_of
from pipeline.entrypoints.drill.result import DrillResult, result_of
from pipeline.entrypoints.drill.schedule import lasts_s, plan
from pipeline.entrypoints.drill.sending import SOURCE, DrillSignal, make_signals, timed, write_ledger
from pipeline.entrypoints.drill.system import RunningSystem, running_system
from pipeline.store.statements import sql

#: When nothing has changed for this long, the executions that are left count as never decided. An order may stay
#: unknown for a minute and a refused account is tried once a minute, so a slow machine with a backlog has time.
QUIET_WITHIN_S = 90.0
#: When the findings have not changed for this long, they stay. The keeper polls orders every two seconds, and the
#: second part of a fill comes up to two seconds after the first.
_SETTLED_AFTER_S = 20.0
#: From the start of the clock to the first signal.
_LEAD_S = 0.5
_POLL_S = 0.5


@dataclass(frozen=True, kw_only=True)
class DrillPlan:
    """The settings of a drill."""

    signals: int
    seed: int
    #: Signals per second, at most.
    pace: float

    @property
    def seconds(self) -> float:
        """Return how long signals are sent."""
        return lasts_s(self.signals, self.pace)


def drill_tradewire(order: DrillPlan, home: Path, progress: DrillProgress) -> DrillResult:
    """Drill tradewire in the empty folder *home* and return the result.

    Raises:
        DrillFailed: it could not be carried out.
    """
    began = time.monotonic()
    progress.step("starting", 1)
    with running_system(home) as system:
        exchange = ExchangeAdmin(system.services.exchange_url or "")
        signals = make_signals(order.seed, order.signals)
        exchange.prepare(sorted({body["symbol"] for body in signals}), system.executors)
        breaker = Breaker(drilled=system, exchange=exchange, seed=order.seed)
        try:
            ledger = send_and_break(order, breaker, signals, progress)
            _wait_for_quiet(system, breaker, len(ledger), progress)
            ledgers, findings = _settled_audit(system, exchange, ledger, progress)
            _write_ledgers(home, system, ledgers)
        finally:
            breaker.resume()
            exchange.close()
    decided_at = {execution.execution_id: execution.decided_at for execution in ledgers.executions}
    return replace(
        result_of(ledgers, seed=order.seed, findings=findings),
        recoveries=recoveries_of(breaker.interrupted, decided_at),
        broken=breaker.tally,
        fault_hits=exchange.fault_hits,
        took_s=time.monotonic() - began,
    )


def send_and_break(
    order: DrillPlan, breaker: Breaker, signals: Sequence[dict[str, Any]], progress: DrillProgress
) -> list[DrillSignal]:
    """Let the producer send *signals* while the schedule is carried out; return the ledger of what was sent."""
    ledger = timed(signals, begins=time.time() + _LEAD_S, seconds=order.seconds)
    events = plan(order.seed, seconds=order.seconds, accounts=breaker.drilled.executors)
    write_ledger(breaker.drilled.ledger, ledger)
    begins = time.monotonic() + _LEAD_S
    progress.step("sending and breaking", order.signals)

    def tick() -> None:
        due = (time.monotonic() - begins) / order.seconds * order.signals
        progress.advance(max(0, min(order.signals, int(due))), f"{sum(breaker.tally.values())} times broken")

    breaker.play(events, begins=begins, tick=tick)
    return ledger


def _wait_for_quiet(system: RunningSystem, breaker: Breaker, sent: int, progress: DrillProgress) -> None:
    """End all faults and wait until every signal is recorded and every execution decided, or nothing changes."""
    breaker.end_faults()
    progress.step("waiting until all is decided", sent)
    before, changed_at = (0, 0), time.monotonic()
    while time.monotonic() < changed_at + QUIET_WITHIN_S:
        breaker.maintain()
        recorded = system.record.one(int, sql("drill", "recorded"), {"source": SOURCE})
        undecided = system.record.one(int, sql("drill", "undecided"))
        progress.advance(recorded, f"{undecided} undecided")
        if recorded >= sent and undecided == 0:
            return
        if (recorded, undecided) != before:
            before, changed_at = (recorded, undecided), time.monotonic()
        time.sleep(_POLL_S)


def _settled_audit(
    system: RunningSystem, exchange: ExchangeAdmin, ledger: Sequence[DrillSignal], progress: DrillProgress
) -> tuple[Ledgers, list[AuditFinding]]:
    """Audit until there are no findings, or until they stay the same: the keeper may still read the last fills."""
    progress.step("auditing", 1)
    before: list[AuditFinding] = []
    changed_at = time.monotonic()
    while True:
        ledgers = _read_ledgers(system, exchange, ledger)
        findings = audit(ledgers)
        if findings != before:
            before, changed_at = findings, time.monotonic()
        if not findings or time.monotonic() > changed_at + _SETTLED_AFTER_S:
            progress.advance(1)
            return ledgers, findings
        time.sleep(_POLL_S)


def _read_ledgers(system: RunningSystem, exchange: ExchangeAdmin, ledger: Sequence[DrillSignal]) -> Ledgers:
    """Read the record and the exchange as they are now."""
    return Ledgers(
        sent=[sent.source_id for sent in ledger],
        source=SOURCE,
        executors=system.executors,
        signals=system.record.all(AuditedSignal, sql("drill", "signals")),
        executions=system.record.all(AuditedExecution, sql("drill", "executions")),
        intents=system.record.all(AuditedIntent, sql("drill", "intents")),
        held={executor_id: exchange.orders(executor_id) for executor_id in system.executors},
    )


def _write_ledgers(home: Path, system: RunningSystem, ledgers: Ledgers) -> None:
    """Write the record and the exchange's orders into the scratch folder, for the search for a finding's cause."""
    record = system.record
    files = {
        "executions": record.all(str, sql("drill", "execution_lines")),
        "orders": record.all(str, sql("drill", "intent_lines")),
        "history": record.all(str, sql("drill", "history_lines")),
    }
    for executor_id, orders in ledgers.held.items():
        files[f"exchange-{executor_id}"] = [order.model_dump_json() for order in orders]
    for name, lines in files.items():
        (home / f"{name}.jsonl").write_text("".join(line + "\n" for line in lines))
