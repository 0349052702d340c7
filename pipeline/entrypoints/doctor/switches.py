"""Look at what stops an account: pauses, reductions and halts, with who and why."""

from __future__ import annotations

from collections.abc import Iterable

from pipeline.accounts.switches import Stand, Switches, is_limit
from pipeline.entrypoints.doctor.findings import Finding, Status
from pipeline.model.switches import Kind, reason_of
from pipeline.store.record import Record


def look_at_switches(record: Record, executor_ids: Iterable[str]) -> list[Finding]:
    """Return one finding per executor: does its account take entries, and what stops it if not.

    Raises:
        RecordUnavailable: PostgreSQL is away.
    """
    switches = Switches(record)
    return [_finding(switches.standing(executor_id)) for executor_id in executor_ids]


def _finding(stand: Stand) -> Finding:
    name = f"switches {stand.executor_id}"
    if not stand.switches:
        return Finding(name=name, status=Status.OK, saw="nothing stops entries")
    halted = any(switch.kind is Kind.HALTED for switch in stand.switches)
    why = " --why …" if any(is_limit(switch) and switch.kind is Kind.HALTED for switch in stand.switches) else ""
    closing = any(switch.flatten for switch in stand.switches)
    return Finding(
        name=name,
        status=Status.CRITICAL if halted else Status.WARNING,
        saw="; ".join(str(reason_of(switch)) for switch in stand.switches),
        cause="Everything is being closed." if closing else "A person or a limit stopped entries; exits go.",
        remedy=f"`tradewire flatten {stand.executor_id}` shows what is left."
        if closing
        else f"`tradewire resume {stand.executor_id}{why}` when it may trade again.",
    )
