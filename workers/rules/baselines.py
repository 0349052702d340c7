"""What an account's losses are counted from: the start of its day and its peak, through gaps and transfers. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from pipeline.model.account import Account, Position, Transfer
from workers.rules.trading_day import Day

# A reading so near to the day's start is taken for the one at its start.
_NEAR = timedelta(minutes=2)
# What was read on the day before still says what this one began with; what is older does not.
_DAY_BEFORE = timedelta(hours=26)


class Origin(StrEnum):
    """Where the figures of a day's start come from."""

    #: The broker's own, of its last close.
    BROKER = "broker"
    #: A person's.
    TYPED = "typed"
    #: Our reading next to the start.
    WATCHED = "watched"


@dataclass(frozen=True, kw_only=True)
class EquityReading:
    """An account's worth at one moment, in its currency."""

    at: datetime
    equity: Decimal
    #: Equity without unrealised profit.
    balance: Decimal


@dataclass(frozen=True, kw_only=True)
class DayStart:
    """What a day began with."""

    day: Day
    equity: Decimal
    balance: Decimal
    origin: Origin
    #: The moment that the figures are of: what is deposited later is not in them.
    as_of: datetime


@dataclass(frozen=True, kw_only=True)
class TransferEffect:
    """What newly listed transfers change."""

    #: What moves the peak, and what of it moves the day's start; below zero: withdrawn.
    amount: Decimal
    of_the_day: Decimal


def reading_of(account: Account, positions: Sequence[Position], at: datetime) -> EquityReading:
    """Return what the account is worth; a position without a price counts as neither profit nor loss."""
    unrealised = sum((position.unrealised or Decimal(0) for position in positions), Decimal(0))
    return EquityReading(at=at, equity=account.equity, balance=account.equity - unrealised)


def first_start(day: Day, reading: EquityReading, *, last_equity: Decimal, closed_at: datetime) -> DayStart:
    """Return the start of a day of which nobody saw the beginning: the broker's figure, never today's.

    What the balance was then, no broker says: it is taken to have been no lower than now, nor than the equity.

    Args:
        day: The day that *reading* lies in.
        reading: The account now.
        last_equity: Its equity at the broker's last close.
        closed_at: When that was.
    """
    balance = max(last_equity, reading.balance)
    return DayStart(day=day, equity=last_equity, balance=balance, origin=Origin.BROKER, as_of=closed_at)


def next_start(
    day: Day, before: EquityReading, now: EquityReading, *, last_equity: Decimal, closed_at: datetime
) -> DayStart:
    """Return the start of a new day, from the last reading of an earlier one and the first one of this.

    Where nobody looked over the boundary, the nearer of the two counts, and a loss between them is the new day's: it is
    not shed by stopping what watches. Was the day before not watched either, the broker's figure counts.
    """
    gap, late = day.started_at - before.at, now.at - day.started_at
    if gap > _DAY_BEFORE:
        return first_start(day, now, last_equity=last_equity, closed_at=closed_at)
    if gap > _NEAR and late <= gap:
        higher = max(before, now, key=lambda each: each.equity)
        return _watched(day, higher, balance=max(before.balance, now.balance))
    nearest = now if late <= _NEAR else before
    return _watched(day, nearest, balance=nearest.balance)


def count(
    listed: Sequence[Transfer],
    *,
    known: Collection[str],
    since: datetime,
    asked_before: bool,
    as_of: datetime,
) -> TransferEffect:
    """Return what the *listed* transfers change that are not *known* yet.

    Args:
        listed: What the broker lists, older ones among them.
        known: The ids of those that were counted, or are too old to count.
        since: When the broker was asked before, or from when on its transfers count.
        asked_before: It was asked before. Then what is new came since, whatever day the broker gives for it.
        as_of: The moment that the figures of the day's start are of.
    """
    new = [each for each in listed if each.transfer_id not in known and (asked_before or each.at >= since)]
    of_the_day = [each for each in new if as_of <= since or each.at >= as_of]
    return TransferEffect(
        amount=sum((each.amount for each in new), Decimal(0)),
        of_the_day=sum((each.amount for each in of_the_day), Decimal(0)),
    )


def _watched(day: Day, reading: EquityReading, *, balance: Decimal) -> DayStart:
    return DayStart(day=day, equity=reading.equity, balance=balance, origin=Origin.WATCHED, as_of=reading.at)
