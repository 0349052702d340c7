"""Record each account's equity over time, and read it as a history of profit and loss."""

from bisect import bisect_right
from collections.abc import Sequence
from decimal import Decimal
from operator import attrgetter

from workers.exchange.account_records import EquityPoint
from workers.exchange.accounts import DEFAULT_CASH, ExchangeAccount
from workers.exchange.venue import Venue

_AT = attrgetter("at_ns")


def record_equity(venue: Venue, now_ns: int) -> None:
    """Add the current equity of every account to its points, unless it equals the last point."""
    for account in venue.accounts.values():
        last, now = point_at(account, now_ns), present(venue, account, now_ns)
        if (now.equity, now.contributed) != (last.equity, last.contributed):
            account.points.append(now)
            venue.changes.points.append(now)


def end_day(venue: Venue, now_ns: int) -> None:
    """Record the current equity of every account, and store it as `last_equity`, the equity at the last close."""
    record_equity(venue, now_ns)
    for account in venue.accounts.values():
        if account.positions or account.last_equity != account.cash:
            sums = venue.totals(account)
            account.last_equity, account.last_maintenance = sums.equity, sums.maintenance_margin
            venue.changes.accounts[account.key] = account


def present(venue: Venue, account: ExchangeAccount, now_ns: int) -> EquityPoint:
    """Return the current equity of *account*."""
    equity = venue.totals(account).equity
    return EquityPoint(account=account.key, at_ns=now_ns, equity=equity, contributed=account.contributed)


def point_at(account: ExchangeAccount, at_ns: int, points: Sequence[EquityPoint] | None = None) -> EquityPoint:
    """Return the last point at or before *at_ns*; before the first point, the account has its opening cash."""
    known = account.points if points is None else points
    index = bisect_right(known, at_ns, key=_AT)
    if index:
        return known[index - 1]
    return EquityPoint(
        account=account.key, at_ns=account.created_ns, equity=DEFAULT_CASH, contributed=DEFAULT_CASH
    )  # fmt: skip


def gain(point: EquityPoint, base: EquityPoint) -> Decimal:
    """Return the profit from *base* to *point*, without the deposits and withdrawals in between."""
    return (point.equity - point.contributed) - (base.equity - base.contributed)
