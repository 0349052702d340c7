"""Compute how much of its loss limits an account has used. Pure."""

from collections.abc import Sequence
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
    """An account's equity, and the figures from which its losses are counted, in the account's currency.

    The day's start and the peak include deposits and withdrawals.
    """

    equity: Decimal
    #: Equity without unrealised profit.
    balance: Decimal
    day: date
    day_started_at: datetime
    day_start_equity: Decimal
    day_start_balance: Decimal
    peak_equity: Decimal
    #: The best profit of an earlier day; 0 without one. The consistency rule applies only to a day that exceeds it.
    best_day_profit: Decimal
    #: All profit since the first day, today's included.
    earned: Decimal
    #: The limits that were reached at the last evaluation. A halt that a person has lifted is not set again for these.
    breached: Sequence[str] = ()
    read_at: datetime


class LossLimit(StrEnum):
    """The loss limits; their values are also the causes of the switches that they set."""

    DAILY_LOSS = "daily_loss"
    DRAWDOWN = "drawdown"


class LimitStep(StrEnum):
    """The steps of a loss limit: each is reached at a percentage of the limit."""

    NONE = "none"
    #: From 70 percent.
    WARN = "warn"
    #: From 90 percent.
    REDUCE = "reduce"
    #: At the limit and beyond.
    HALT = "halt"


#: The percentage of a limit from which a step is reached; the highest first.
LIMIT_STEPS = ((100, LimitStep.HALT), (90, LimitStep.REDUCE), (70, LimitStep.WARN))


@dataclass(frozen=True, kw_only=True)
class Use:
    """How much of one loss limit is used, in the account's currency."""

    limit: LossLimit
    #: Below zero after a gain.
    lost: Decimal
    #: At least 0.
    allowed: Decimal
    #: The figure from which the loss is counted.
    reference: Decimal
    #: The name of that figure.
    counted_from: str

    @property
    def left(self) -> Decimal:
        """Return the amount that may still be lost; 0 when the limit is reached."""
        return max(self.allowed - self.lost, _ZERO)

    @property
    def percent(self) -> Decimal:
        """Return the used share of the limit in percent; 0 after a gain, 100 or more when it is reached."""
        if self.lost <= 0:
            return _ZERO
        return self.lost * 100 / self.allowed if self.allowed else Decimal(100)

    def facts(self) -> dict[str, Any]:
        """Return the figures that a reason or a switch shows; money to the cent."""
        return {
            "lost": self.lost.quantize(_CENT),
            "allowed": self.allowed.quantize(_CENT),
            "percent": self.percent.quantize(_TENTH),
            self.counted_from: self.reference.quantize(_CENT),
        }


def uses(executor: ExecutorSettings, baseline: EquityBaseline) -> tuple[Use, ...]:
    """Return the use of each configured loss limit: the daily loss, then the drawdown."""
    return tuple(use for use in (_daily_loss(executor, baseline), _drawdown(executor, baseline)) if use is not None)


def limit_step(use: Use) -> LimitStep:
    """Return the highest step that *use* has reached."""
    if use.lost <= 0:
        return LimitStep.NONE
    return next((name for percent, name in LIMIT_STEPS if use.lost * 100 >= use.allowed * percent), LimitStep.NONE)


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
    # An account in debt may lose nothing.
    return max(whole * percent / 100, _ZERO)
