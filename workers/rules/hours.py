"""When a market is open, by the broker's clock and calendar. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, kw_only=True)
class Hours:
    """One regular session, in UTC."""

    opens: datetime
    closes: datetime


@dataclass(frozen=True, kw_only=True)
class Market:
    """What the broker's clock says, carried forward to the moment of the decision."""

    is_open: bool
    #: The broker's time.
    now: datetime
    next_open: datetime
    next_close: datetime
    #: Regular sessions from a week back to two weeks ahead, in order; empty when the calendar was never read.
    sessions: tuple[Hours, ...] = ()
