"""What the switches of an account allow. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """How far a switch goes."""

    #: Entries are held, exits go.
    PAUSED = "paused"
    #: Entries are skipped, working entries canceled, exits go.
    REDUCING = "reducing"
    #: As reducing; only a person or the configured next-day rule lifts it.
    HALTED = "halted"


@dataclass(frozen=True, kw_only=True)
class Switch:
    """One reason for which an account is stopped. Several may stand at once."""

    kind: Kind
    #: person, daily_loss, drawdown or unreadable.
    cause: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    #: Close everything, and again until flat.
    flatten: bool = False
    set_by: str
    why: str | None = None
    set_at: datetime
