"""The switches that stop a broker account, and the reason that each one gives. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from pipeline.model.reasons import Code, Reason


class SwitchKind(StrEnum):
    """How far a switch goes."""

    #: Entries are held, exits go.
    PAUSED = "paused"
    #: Entries are skipped, working entries canceled, exits go.
    REDUCING = "reducing"
    #: As reducing; only a person or the configured next-day rule lifts it.
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
    """One reason for which an account is stopped. Several may stand at once."""

    kind: SwitchKind
    #: person, daily_loss, drawdown or unreadable.
    cause: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    #: Close everything, and again until flat.
    flatten: bool = False
    set_by: str
    why: str | None = None
    set_at: datetime


def switch_of(row: Mapping[str, Any]) -> Switch:
    """Return the switch that *row* of the record holds."""
    return Switch(
        kind=SwitchKind(row["kind"]),
        cause=row["cause"],
        facts=row["facts"],
        flatten=row["flatten"],
        set_by=row["set_by"],
        why=row["why"],
        set_at=row["set_at"],
    )


def reason_of(switch: Switch) -> Reason:
    """Return *switch* as the reason of what it stops: its figures, who turned it, since when and why."""
    facts = {**switch.facts, "by": switch.set_by, "since": switch.set_at}
    if switch.why is not None:
        facts["why"] = switch.why
    return Reason(code=_CODES.get((switch.kind, switch.cause), _ANY_CAUSE[switch.kind]), facts=facts)
