"""Look at what stops an account: pauses, reductions and halts, with who and why."""

from __future__ import annotations

from collections.abc import Iterable

from pipeline.accounts.switches import Switches, SwitchStatus, is_limit
from pipeline.entrypoints.doctor.findings import CheckResult, CheckStatus
from pipeline.model.switches import SwitchKind, reason_of
from pipeline.store.record import Record


def look_at_switches(record: Record, executor_ids: Iterable[str]) -> list[CheckResult]:
    """Return one finding per executor: does its account take entries, and what stops it if not.

    Raises:
        RecordUnavailable: PostgreSQL is away.
    """
    switches = Switches(record)
    return [_finding(switches.active_switches(executor_id)) for executor_id in executor_ids]


def _finding(stand: SwitchStatus) -> CheckResult:
    name = f"switches {stand.executor_id}"
    if not stand.switches:
        return CheckResult(name=name, status=CheckStatus.OK, saw="nothing stops entries")
    halted = any(switch.kind is SwitchKind.HALTED for switch in stand.switches)
    why = " --why …" if any(is_limit(switch) and switch.kind is SwitchKind.HALTED for switch in stand.switches) else ""
    closing = any(switch.flatten for switch in stand.switches)
    return CheckResult(
        name=name,
        status=CheckStatus.CRITICAL if halted else CheckStatus.WARNING,
        saw="; ".join(str(reason_of(switch)) for switch in stand.switches),
        cause="Everything is being closed." if closing else "A person or a limit stopped entries; exits go.",
        remedy=f"`tradewire flatten {stand.executor_id}` shows what is left."
        if closing
        else f"`tradewire resume {stand.executor_id}{why}` when it may trade again.",
    )
