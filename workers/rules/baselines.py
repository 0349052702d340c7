"""Compute the equity at the start of an account's day, from which losses are counted."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from pipeline.model.account import Account, Position, Transfer
from pipeline.model.trading_day import Day

# If the readings before and after the day's start are both within this time of it, the later one counts for the start.
_NEAR = timedelta(minutes=2)
# If the last reading before the day's start is older than this, it does not show the figures at the start.
_DAY_BEFORE = timedelta(hours=26)


class Origin(StrEnum):
    """The source of the figures of a day's start."""

    #: The broker's figure of its last close.
    BROKER = "broker"
    #: A person's correction.
    TYPED = "typed"
    #: One of our readings around the start.
    WATCHED = "watched"


@dataclass(frozen=True, kw_only=True)
class EquityReading:
    """An account's equity and balance at one moment, in its currency."""

    at: datetime
    equity: Decimal
    #: Equity without unrealised profit.
    balance: Decimal


@dataclass(frozen=True, kw_only=True)
class DayStart:
    """The figures at the start of a day."""

    day: Day
    equity: Decimal
    balance: Decimal
    origin: Origin
    #: The time of the figures: they do not include later deposits.
    as_of: datetime


@dataclass(frozen=True, kw_only=True)
class TransferEffect:
    """By how much newly listed transfers change the peak and the equity at the day's start."""

    #: The change of the peak, and the part of it that also changes the day's start; below zero: withdrawn.
    amount: Decimal
    of_the_day: Decimal


def reading_of(account: Account, positions: Sequence[Position], at: datetime) -> EquityReading:
    """Return the account's figures. A position without a price adds no profit and no loss."""
    unrealised = sum((position.unrealised or Decimal(0) for position in positions), Decimal(0))
    return EquityReading(at=at, equity=account.equity, balance=account.equity - unrealised)


def first_start(day: Day, reading: EquityReading, *, last_equity: Decimal, closed_at: datetime) -> DayStart:
    """Return the start of a day that began before the first reading: the broker's figure, never the present equity.

    *last_equity* is the equity at the broker's last close, at *closed_at*.
    """
    # No broker reports the balance at that time. With the larger figure no loss is missed.
    balance = max(last_equity, reading.balance)
    return DayStart(day=day, equity=last_equity, balance=balance, origin=Origin.BROKER, as_of=closed_at)


def next_start(
    day: Day, before: EquityReading, now: EquityReading, *, last_equity: Decimal, closed_at: datetime
) -> DayStart:
    """Return the start of a new day from the last reading of an earlier day and the first reading of the new day.

    If both readings are within two minutes of the start, *now* counts. Otherwise *before* counts if it is nearer to the
    start. If *now* is nearer, the higher equity and the higher balance of the two count, so that a loss while no keeper
    ran counts for the new day. If *before* is more than 26 hours older than the start, the broker's figure counts.
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
    listed: Sequence[Transfer], *, known: Collection[str], since: datetime, asked_before: bool, as_of: datetime
) -> TransferEffect:
    """Return the effect of those of the *listed* transfers that are not *known* yet.

    Args:
        listed: The transfers that the broker lists, older ones among them.
        known: The ids of the transfers that were counted, or are too old to count.
        since: When the broker was last asked; if it never was, the time from which on transfers count.
        asked_before: The broker was asked before. Then every unknown transfer counts, whatever day the broker gives it.
        as_of: The time of the figures of the day's start.
    """
    new = [each for each in listed if each.transfer_id not in known and (asked_before or each.at >= since)]
    of_the_day = [each for each in new if as_of <= since or each.at >= as_of]
    return TransferEffect(
        amount=sum((each.amount for each in new), Decimal(0)),
        of_the_day=sum((each.amount for each in of_the_day), Decimal(0)),
    )


def _watched(day: Day, reading: EquityReading, *, balance: Decimal) -> DayStart:
    return DayStart(day=day, equity=reading.equity, balance=balance, origin=Origin.WATCHED, as_of=reading.at)
