"""Drill tradewire: start it, send signals, break it, wait until all is decided, and audit the three ledgers."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline.entrypoints.drill.audit import audit
from pipeline.entrypoints.drill.breaking import Breaker
from pipeline.entrypoints.drill.by_hand import ByHand
from pipeline.entrypoints.drill.by_hand_schedule import HandEvent, by_hand
from pipeline.entrypoints.drill.exchange_admin import ExchangeAdmin
from pipeline.entrypoints.drill.exit_waits import exit_waits
from pipeline.entrypoints.drill.findings import AuditFinding
from pipeline.entrypoints.drill.ledger_files import read_ledgers, write_ledgers
from pipeline.entrypoints.drill.ledgers import Ledgers
from pipeline.entrypoints.drill.position_audit import exit_findings
from pipeline.entrypoints.drill.progress import DrillProgress
from pipeline.entrypoints.drill.recovery import recoveries_of
from pipeline.entrypoints.drill.result import DrillResult, result_of
from pipeline.entrypoints.drill.schedule import lasts_s, plan
from pipeline.entrypoints.drill.sending import (
    SOURCE,
    DrillSignal,
    make_pairs,
    make_signals,
    real_exits,
    timed,
    write_ledger,
)
from pipeline.entrypoints.drill.system import RunningSystem, running_system
from pipeline.operations.adopting import adopt
from pipeline.store.statements import sql

#: When nothing has changed for this many seconds, the undecided executions count as never decided. This is more than a
#: minute, because an order may stay unknown for a minute, and a refused account is tried once a minute.
QUIET_WITHIN_S = 90.0
#: When the findings have not changed for this many seconds, they are final. The keeper polls orders every two seconds,
#: and the second part of a fill comes up to two seconds after the first.
_SETTLED_AFTER_S = 20.0
#: The time between the start of the drill's clock and the first signal.
_LEAD_S = 0.5
_POLL_S = 0.5


@dataclass(frozen=True, kw_only=True)
class DrillPlan:
    """The settings of a drill."""

    signals: int
    seed: int
    #: Signals per second, at most.
    pace: float
    #: Whether half of the signals close the positions of the other half, and the drill acts at the accounts by hand.
    exits: bool = False

    @property
    def seconds(self) -> float:
        """Return how long signals are sent."""
        return lasts_s(self.signals, self.pace)


def drill_tradewire(order: DrillPlan, home: Path, progress: DrillProgress) -> DrillResult:
    """Drill tradewire in the empty folder *home* and return the result.

    Raises:
        DrillFailed: the drill could not be carried out.
    """
    began = time.monotonic()
    progress.step("starting", 1)
    with running_system(home) as system:
        token = system.services.exchange_token
        exchange = ExchangeAdmin(system.services.exchange_url or "", token.get_secret_value() if token else "")
        signals = (make_pairs if order.exits else make_signals)(order.seed, order.signals)
        exchange.prepare(sorted({body["symbol"] for body in signals}), system.executors)
        breaker = Breaker(drilled=system, exchange=exchange, seed=order.seed)
        hand = ByHand(exchange=exchange, events=_hand_events(order, signals, system.executors))
        try:
            ledger = send_and_break(order, breaker, signals, progress, hand)
            breaker.end_faults()
            hand.end(breaker.maintain)
            _wait_for_quiet(system, breaker, hand, len(ledger), progress)
            ledgers, findings = _settled_audit(order, system, exchange, ledger, progress)
            write_ledgers(home, system, ledgers)
        finally:
            breaker.resume()
            exchange.close()
    decided_at = {execution.execution_id: execution.decided_at for execution in ledgers.executions}
    return replace(
        result_of(ledgers, seed=order.seed, findings=findings),
        recoveries=recoveries_of(breaker.interrupted, decided_at),
        exit_waits=exit_waits(ledgers) if order.exits else (),
        broken=breaker.tally | hand.tally,
        fault_hits=exchange.fault_hits,
        took_s=time.monotonic() - began,
    )


def _hand_events(order: DrillPlan, signals: Sequence[dict[str, Any]], executors: Sequence[str]) -> Sequence[HandEvent]:
    """Return the manual actions; there are none in a drill without exits."""
    if not order.exits:
        return ()
    exits = real_exits(timed(signals, begins=0.0, seconds=order.seconds))
    return by_hand(order.seed, seconds=order.seconds, accounts=executors, exits=exits)


def send_and_break(
    order: DrillPlan,
    breaker: Breaker,
    signals: Sequence[dict[str, Any]],
    progress: DrillProgress,
    hand: ByHand | None = None,
) -> list[DrillSignal]:
    """Let the producer send *signals* while the schedule is carried out; return the ledger of what was sent."""
    ledger = timed(signals, begins=time.time() + _LEAD_S, seconds=order.seconds)
    events = plan(order.seed, seconds=order.seconds, accounts=breaker.drilled.executors)
    write_ledger(breaker.drilled.ledger, ledger)
    begins = time.monotonic() + _LEAD_S
    progress.step("sending and breaking", order.signals)

    def tick() -> None:
        if hand is not None:
            hand.advance(time.monotonic() - begins)
        due = (time.monotonic() - begins) / order.seconds * order.signals
        progress.advance(max(0, min(order.signals, int(due))), f"{sum(breaker.tally.values())} times broken")

    breaker.play(events, begins=begins, tick=tick)
    return ledger


def _wait_for_quiet(system: RunningSystem, breaker: Breaker, hand: ByHand, sent: int, progress: DrillProgress) -> None:
    """Wait until every signal is recorded and every execution decided, or nothing has changed for `QUIET_WITHIN_S`.

    Entries in a symbol that was bought by hand wait until a person adopts what was bought.
    """
    progress.step("waiting until all is decided", sent)
    before, changed_at = (0, 0), time.monotonic()
    while time.monotonic() < changed_at + QUIET_WITHIN_S:
        breaker.maintain()
        for account, symbol in hand.bought:
            adopt(system.record, [account], symbol=symbol, by="drill", why="bought by hand")
        recorded = system.record.one(int, sql("drill", "recorded"), {"source": SOURCE})
        undecided = system.record.one(int, sql("drill", "undecided"))
        progress.advance(recorded, f"{undecided} undecided")
        if recorded >= sent and undecided == 0:
            return
        if (recorded, undecided) != before:
            before, changed_at = (recorded, undecided), time.monotonic()
        time.sleep(_POLL_S)


def _settled_audit(
    order: DrillPlan,
    system: RunningSystem,
    exchange: ExchangeAdmin,
    ledger: Sequence[DrillSignal],
    progress: DrillProgress,
) -> tuple[Ledgers, list[AuditFinding]]:
    """Audit until there are no findings, or until they stay the same: the keeper may still read the last fills."""
    progress.step("auditing", 1)
    before: list[AuditFinding] = []
    changed_at = time.monotonic()
    while True:
        ledgers = read_ledgers(system, exchange, ledger, with_history=order.exits)
        findings = audit(ledgers)
        if order.exits:
            findings += exit_findings(ledgers, exit_waits(ledgers))
        if findings != before:
            before, changed_at = findings, time.monotonic()
        if not findings or time.monotonic() > changed_at + _SETTLED_AFTER_S:
            progress.advance(1)
            return ledgers, findings
        time.sleep(_POLL_S)
