"""Decide what the switches of an account allow. Pure."""

from collections.abc import Sequence
from datetime import timedelta

from pipeline.model.reasons import Reason
from pipeline.model.switches import Switch, SwitchKind, reason_of

#: A paused entry is decided on again this often, so that it ends when it is too old. `resume` makes it due at once.
PAUSE_WAIT = timedelta(seconds=5)

#: The switches that end entries and cancel working ones.
STOPPING = frozenset({SwitchKind.REDUCING, SwitchKind.HALTED})


def verdict_on(switches: Sequence[Switch]) -> tuple[list[Reason], Reason | None]:
    """Return every reason to end an entry, the strictest first, and the reason to hold it, if there is one."""
    kinds = list(SwitchKind)
    hardest_first = sorted(switches, key=lambda switch: (-kinds.index(switch.kind), switch.set_at))
    reasons = [(switch.kind, reason_of(switch)) for switch in hardest_first]
    skips = [reason for kind, reason in reasons if kind in STOPPING]
    return skips, next((reason for kind, reason in reasons if kind is SwitchKind.PAUSED), None)
