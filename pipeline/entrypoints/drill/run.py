"""Drill tradewire: start it, send signals, break it, wait for quiet, and audit the three ledgers."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.entrypoints.drill.audit import AuditFinding, Ledgers, audit
from pipeline.entrypoints.drill.breaking import Breaker
from pipeline.entrypoints.drill.progress import Watcher
from pipeline.entrypoints.drill.recovery import recoveries_of
from pipeline.entrypoints.drill.result import Result, reasons_of
from pipeline.entrypoints.drill.schedule import lasts_s, plan
from pipeline.entrypoints.drill.sending import SOURCE, DrillSignal, make_signals, timed, write_ledger
from pipeline.entrypoints.drill.system import System, running_system
from pipeline.entrypoints.drill.venue import DrilledExchange
from pipeline.store.statements import sql

#: For so long nothing is decided before what is left counts as having no end. An order may stay unknown for a
#: minute, and a refused account is probed once a minute; a slow machine with a backlog gets all the time it needs.
QUIET_WITHIN_S = 90.0
#: The keeper polls orders every two seconds; fills in parts take two more.
_FOLLOWED_WITHIN_S = 20.0
#: From the start of the clock to the first signal.
_LEAD_S = 0.5
_LOOK_EVERY_S = 0.5


@dataclass(frozen=True, kw_only=True)
class DrillPlan:
    """What is to be drilled."""

    signals: int
    seed: int
    #: Signals per second, at most.
    pace: float

    @property
    def seconds(self) -> float:
        """Return how long signals are sent."""
        return lasts_s(self.signals, self.pace)


def drill_tradewire(order: DrillPlan, home: Path, watcher: Watcher) -> Result:
    """Drill tradewire in the empty folder *home* and return what came of it.

    Raises:
        DrillFailed: it could not be carried out.
    """
    began = time.monotonic()
    watcher.step("starting", 1)
    with running_system(home) as system:
        url = system.services.exchange_url or ""
        exchange = DrilledExchange(url)
        signals = make_signals(order.seed, order.signals)
        exchange.prepare(sorted({body["symbol"] for body in signals}), system.executors)
        breaker = Breaker(drilled=system, exchange=exchange, seed=order.seed)
        try:
            ledger = send_and_break(order, breaker, signals, watcher)
            _wait_for_quiet(system, breaker, len(ledger), watcher)
            ledgers, findings = _settled_audit(system, exchange, ledger, watcher)
            _write_down(home, system, ledgers)
        finally:
            breaker.thaw()
            exchange.close()
    return Result(
        seed=order.seed,
        sent=len(ledger),
        accepted=sum(row["source"] == SOURCE for row in ledgers.signals),
        owed=len(ledger) * len(system.executors),
        orders=sum(len(orders) for orders in ledgers.held.values()),
        reasons=reasons_of(ledgers),
        dead=sum(row["state"] == "dead" for row in ledgers.executions),
        findings=findings,
        recoveries=recoveries_of(breaker.interrupted, ledgers.executions),
        broken=breaker.tally,
        strikes=exchange.strikes,
        took_s=time.monotonic() - began,
    )


def send_and_break(
    order: DrillPlan, breaker: Breaker, signals: Sequence[dict[str, Any]], watcher: Watcher
) -> list[DrillSignal]:
    """Let the producer send the ledger while the schedule is carried out; return the ledger."""
    ledger = timed(signals, begins=time.time() + _LEAD_S, seconds=order.seconds)
    events = plan(order.seed, seconds=order.seconds, accounts=breaker.drilled.executors)
    write_ledger(breaker.drilled.ledger, ledger)
    begins = time.monotonic() + _LEAD_S
    watcher.step("sending and breaking", order.signals)

    def tick() -> None:
        due = (time.monotonic() - begins) / order.seconds * order.signals
        watcher.at(max(0, min(order.signals, int(due))), f"{sum(breaker.tally.values())} times broken")

    breaker.play(events, begins=begins, tick=tick)
    return ledger


def _wait_for_quiet(system: System, breaker: Breaker, sent: int, watcher: Watcher) -> None:
    """Turn all faults off and wait until every signal is recorded and every execution decided, or nothing moves."""
    breaker.heal()
    watcher.step("waiting for quiet", sent)
    before, moved_at = (0, 0), time.monotonic()
    while time.monotonic() < moved_at + QUIET_WITHIN_S:
        breaker.tend()
        recorded, undecided = system.one("recorded", source=SOURCE), system.one("undecided")
        watcher.at(recorded, f"{undecided} undecided")
        if recorded >= sent and undecided == 0:
            return
        if (recorded, undecided) != before:
            before, moved_at = (recorded, undecided), time.monotonic()
        time.sleep(_LOOK_EVERY_S)


def _settled_audit(
    system: System, exchange: DrilledExchange, ledger: Sequence[DrillSignal], watcher: Watcher
) -> tuple[Ledgers, list[AuditFinding]]:
    """Audit until there is nothing to find, or until the keeper has had its time to hear the last fills."""
    watcher.step("auditing", 1)
    deadline = time.monotonic() + _FOLLOWED_WITHIN_S
    while True:
        ledgers = read_ledgers(system, exchange, ledger)
        findings = audit(ledgers)
        if not findings or time.monotonic() > deadline:
            watcher.at(1)
            return ledgers, findings
        time.sleep(_LOOK_EVERY_S)


def _write_down(home: Path, system: System, ledgers: Ledgers) -> None:
    """Leave both ledgers and the history in the scratch folder, for whoever hunts what was found."""
    history = system.record.run(lambda connection: connection.execute(sql("drill", "history")).fetchall())
    for name, rows in (
        ("executions", ledgers.executions),
        ("orders", ledgers.orders),
        ("history", history),
        *((f"exchange-{executor_id}", orders) for executor_id, orders in ledgers.held.items()),
    ):
        text = "".join(json.dumps(row, default=str) + "\n" for row in rows)
        (home / f"{name}.jsonl").write_text(text)


def read_ledgers(system: System, exchange: DrilledExchange, ledger: Sequence[DrillSignal]) -> Ledgers:
    """Read the record and the exchange as they are now."""
    rows = {
        name: system.record.run(lambda connection, name=name: connection.execute(sql("drill", name)).fetchall())  # type: ignore[misc]
        for name in ("signals", "executions", "orders")
    }
    return Ledgers(
        sent=[sent.source_id for sent in ledger],
        source=SOURCE,
        executors=system.executors,
        signals=rows["signals"],
        executions=rows["executions"],
        orders=rows["orders"],
        held={executor_id: exchange.orders(executor_id) for executor_id in system.executors},
    )
