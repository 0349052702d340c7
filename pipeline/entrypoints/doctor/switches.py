"""Check the switches of every account: paused, reducing or halted, by whom and why."""

from collections.abc import Iterable

from pipeline.accounts.switches import Switches, SwitchStatus, is_limit
from pipeline.entrypoints.doctor.findings import CheckResult, CheckStatus, ok
from pipeline.model.switches import SwitchKind, reason_of
from pipeline.store.record import Record


def check_switches(record: Record, executor_ids: Iterable[str]) -> list[CheckResult]:
    """Return one finding per executor: whether its account takes entries, and which switches stop them.

    Raises:
        RecordUnavailable: PostgreSQL is away.
    """
    switches = Switches(record)
    return [_finding(switches.active_switches(executor_id)) for executor_id in executor_ids]


def _finding(status: SwitchStatus) -> CheckResult:
    name = f"switches {status.executor_id}"
    if not status.switches:
        return ok(name, "nothing stops entries")
    saw = "; ".join(str(reason_of(switch)) for switch in status.switches)
    halted = any(switch.kind is SwitchKind.HALTED for switch in status.switches)
    # To lift a halt that a limit has set, a person must give a reason.
    why = " --why …" if any(is_limit(switch) and switch.kind is SwitchKind.HALTED for switch in status.switches) else ""
    closing = any(switch.flatten for switch in status.switches)
    if all(switch.cause == "unreadable" for switch in status.switches):
        cause = "An account with a position at risk could not be read for 30 s. Exits are sent."
        remedy = f"It ends by itself once the account can be read: see the part `broker {status.executor_id}`."
        return CheckResult(name=name, status=CheckStatus.WARNING, saw=saw, cause=cause, remedy=remedy)
    return CheckResult(
        name=name,
        status=CheckStatus.CRITICAL if halted else CheckStatus.WARNING,
        saw=saw,
        cause="Everything is being closed." if closing else "A person or a limit stopped entries; exits are sent.",
        remedy=f"`tradewire flatten {status.executor_id}` shows what is left."
        if closing
        else f"`tradewire resume {status.executor_id}{why}` when it may trade again.",
    )
