"""How much of its loss limits an account has used. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from config.schema.executor import ExecutorSettings

_ZERO = Decimal(0)
_CENT = Decimal("0.01")
_TENTH = Decimal("0.1")


@dataclass(frozen=True, kw_only=True)
class EquityBaseline:
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


class LossLimit(StrEnum):
    """The limits that the ladder goes by; also the causes of its switches."""

    DAILY_LOSS = "daily_loss"
    DRAWDOWN = "drawdown"


class Rung(StrEnum):
    """How far up the ladder a limit's use is."""

    NONE = "none"
    #: From 70 percent.
    WARN = "warn"
    #: From 90 percent.
    REDUCE = "reduce"
    #: At the limit and beyond.
    HALT = "halt"


#: From which percentage of a limit on which rung is reached, the highest first.
RUNGS = ((100, Rung.HALT), (90, Rung.REDUCE), (70, Rung.WARN))


@dataclass(frozen=True, kw_only=True)
class Use:
    """How much of one loss limit is used, in the account's currency."""

    limit: LossLimit
    #: Below zero: that much has been gained.
    lost: Decimal
    #: At least 0.
    allowed: Decimal
    #: The figure that the loss is counted from, and what it is.
    reference: Decimal
    counted_from: str

    @property
    def left(self) -> Decimal:
        """What may still be lost; 0 when the limit is reached."""
        return max(self.allowed - self.lost, _ZERO)

    @property
    def percent(self) -> Decimal:
        """How much of the limit is used; 0 after a gain, 100 and more when it is reached."""
        if self.lost <= 0:
            return _ZERO
        return self.lost * 100 / self.allowed if self.allowed else Decimal(100)

    def facts(self) -> dict[str, Any]:
        """Return the figures as a reason and a switch tell them, money to the cent."""
        return {
            "lost": self.lost.quantize(_CENT),
            "allowed": self.allowed.quantize(_CENT),
            "percent": self.percent.quantize(_TENTH),
            self.counted_from: self.reference.quantize(_CENT),
        }


def uses(executor: ExecutorSettings, baseline: EquityBaseline) -> tuple[Use, ...]:
    """Return the use of every loss limit that is on: the day's loss, then the drawdown."""
    return tuple(use for use in (_daily_loss(executor, baseline), _drawdown(executor, baseline)) if use is not None)


def rung(use: Use) -> Rung:
    """Return how far up the ladder *use* is."""
    if use.lost <= 0:
        return Rung.NONE
    return next((name for percent, name in RUNGS if use.lost * 100 >= use.allowed * percent), Rung.NONE)


def _daily_loss(executor: ExecutorSettings, baseline: EquityBaseline) -> Use | None:
    percent, firm = executor.limits.daily_loss_percent, executor.firm
    if percent is None:
        return None
    on_balance = firm.daily_loss_basis == "balance"
    start = baseline.day_start_balance if on_balance else baseline.day_start_equity
    whole = start if firm.percent_of == "day_start" or firm.initial_balance is None else firm.initial_balance
    return Use(
        limit=LossLimit.DAILY_LOSS,
        lost=start - baseline.equity,
        allowed=_share(whole, percent),
        reference=start,
        counted_from="day_start_balance" if on_balance else "day_start_equity",
    )


def _drawdown(executor: ExecutorSettings, baseline: EquityBaseline) -> Use | None:
    percent, firm = executor.limits.drawdown_percent, executor.firm
    if percent is None:
        return None
    static = firm.drawdown == "static" and firm.initial_balance is not None
    reference = firm.initial_balance if static and firm.initial_balance is not None else baseline.peak_equity
    return Use(
        limit=LossLimit.DRAWDOWN,
        lost=reference - baseline.equity,
        allowed=_share(reference, percent),
        reference=reference,
        counted_from="initial_balance" if static else "peak_equity",
    )


def _share(whole: Decimal, percent: Decimal) -> Decimal:
    # Of an account in debt nothing may be lost.
    return max(whole * percent / 100, _ZERO)
