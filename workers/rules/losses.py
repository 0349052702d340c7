"""How much of its loss limits an account has used. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal


@dataclass(frozen=True, kw_only=True)
class Standing:
    """The account's day and peak as the keeper watches them, in the account's currency.

    Deposits and withdrawals are in the day's start and the peak already.
    """

    equity: Decimal
    #: Equity without unrealised profit.
    balance: Decimal
    day: date
    day_start_equity: Decimal
    day_start_balance: Decimal
    peak_equity: Decimal
    #: The best earlier day's profit, and all profit since the first day; for the consistency rule.
    best_day_profit: Decimal
    earned: Decimal
    read_at: datetime
    #: False while the account cannot be read.
    readable: bool = True
