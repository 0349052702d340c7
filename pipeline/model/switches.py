"""Define the switches that stop a broker account, and the reason that each one gives. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from pipeline.model.reasons import Code, Reason


class SwitchKind(StrEnum):
    """Which orders a switch stops."""

    #: Entries are held; exits are sent.
    PAUSED = "paused"
    #: Entries are skipped, and working entries are canceled; exits are sent.
    REDUCING = "reducing"
    #: As reducing, but it stays until a person or the rule `limits.next_day` lifts it.
    HALTED = "halted"


_CODES = {
    (SwitchKind.REDUCING, "daily_loss"): Code.REDUCING_DAILY_LOSS,
    (SwitchKind.REDUCING, "drawdown"): Code.REDUCING_DRAWDOWN,
    (SwitchKind.REDUCING, "unreadable"): Code.REDUCING_UNREADABLE,
    (SwitchKind.HALTED, "daily_loss"): Code.HALTED_DAILY_LOSS,
    (SwitchKind.HALTED, "drawdown"): Code.HALTED_DRAWDOWN,
}

_ANY_CAUSE = {SwitchKind.PAUSED: Code.PAUSED, SwitchKind.REDUCING: Code.REDUCING, SwitchKind.HALTED: Code.HALTED}


@dataclass(frozen=True, kw_only=True)
class Switch:
    """One cause that stops an account. Several may be on at once."""

    kind: SwitchKind
    #: person, daily_loss, drawdown or unreadable.
    cause: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    #: Whether tradewire also closes the positions, again and again until the account is flat.
    flatten: bool = False
    set_by: str
    why: str | None = None
    set_at: datetime


def reason_of(switch: Switch) -> Reason:
    """Return the reason that *switch* gives: its figures, who turned it on, since when and why."""
    facts = {**switch.facts, "by": switch.set_by, "since": switch.set_at}
    if switch.why is not None:
        facts["why"] = switch.why
    return Reason(code=_CODES.get((switch.kind, switch.cause), _ANY_CAUSE[switch.kind]), facts=facts)
