"""Define the tables of one executor: size, orders, limits, retries and hours."""

from datetime import time
from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from config.schema.fields import Clock, Figure, Limit, Percent, Seconds, Section, TimeZone


class SizeSettings(Section):
    """The size of an entry."""

    method: Literal["equity_percent", "notional", "quantity", "risk_percent"]
    """The meaning of `value`: percent of equity, an amount of money, a number of shares, or the percent of equity that
    is lost if the stop is reached. Required."""

    value: Annotated[Figure, Field(gt=0)]
    """The size at the minimum confidence, above 0, in the unit of `method`. Required."""

    scale_at_100: Annotated[Figure, Field(ge=1, le=10)] = Decimal(1)
    """The size at confidence 100 as a multiple of `value`, 1 to 10. From the minimum confidence to 100 the size grows
    linearly. Default: 1 (no scaling)."""

    maximum_percent: Limit[Percent] = None
    """The most that one entry may cost with any method, in percent of equity, or "off". All limits apply as well.
    Default: none."""

    fractional: bool = False
    """Fractions of a share are ordered where the asset allows them (true), or whole shares only (false). Default: false
    (whole shares)."""

    default_stop_percent: Percent = Decimal(3)
    """The distance of the stop that is assumed where a signal has none, in percent of the entry price. It sets the
    assumed loss of an entry without a stop, and of a position without one or whose price has passed it. A stop order
    is placed there only with `order.unprotected = "guard"`. Default: 3."""

    volatility_target_percent: Limit[Percent] = None
    """The volatility at which an entry keeps its size, in percent, or "off". The size is multiplied by this value and
    divided by the signal's `volatility_percent`; a signal without one is not scaled. Default: off."""

    volatility_scale_maximum: Annotated[Figure, Field(ge=1, le=10)] = Decimal("1.5")
    """The largest factor by which `volatility_target_percent` may enlarge an entry, 1 to 10. With 1 it only makes
    entries smaller. Default: 1.5."""

    @field_validator("value")
    @classmethod
    def _at_most_100_percent(cls, value: Decimal, info: ValidationInfo) -> Decimal:
        method = str(info.data.get("method", ""))
        if method.endswith("_percent") and value > 100:  # noqa: PLR2004 - percent
            raise ValueError(f"with method {method}, at most 100 is expected")
        return value


class OrderSettings(Section):
    """The orders that an executor sends."""

    type: Literal["limit", "market"] = "limit"
    """The type of an entry's order. Default: limit."""

    collar_percent: Annotated[Figure, Field(ge=0, le=50)] = Decimal("0.5")
    """How much worse than the signal's price the limit of an order may be, 0 to 50 percent. Default: 0.5."""

    entry_timeout_s: Seconds = 60.0
    """Seconds of open market after which the unfilled rest of an entry is canceled. Default: 60."""

    allow_short: bool = False
    """A SELL without a position opens a short position (true), or is skipped (false). Default: false."""

    flip: Literal["close", "reverse"] = "close"
    """The effect of a signal against the position: it closes the position (close), or closes it and opens one on the
    other side (reverse). Default: close."""

    close_scope: Literal["strategy", "account"] = "strategy"
    """How much an exit closes: what the signal's strategy bought in this account (strategy), or all that the account
    holds of the symbol (account). Default: strategy."""

    cancel_foreign: Literal["forced", "always", "never"] = "forced"
    """Whether an exit cancels orders that tradewire did not place and that are in its way, such as a stop that holds
    the shares: only an exit by flatten, by flat-by-time, by a stop or limit, or by a person (forced); every exit
    (always); none (never). An exit that may not cancel them sells what is available, waits, and alerts.
    Default: forced."""

    unprotected: Literal["allow", "guard", "refuse"] = "allow"
    """The handling of an entry without a stop: it is sent (allow), tradewire gives it a stop at
    `size.default_stop_percent` from its price (guard), or it is skipped (refuse). Default: allow."""


#: The limits on risk. The table `.limits` must name at least one of them.
RISK_LIMITS = (
    "open_positions",
    "gross_exposure_percent",
    "daily_loss_percent",
    "drawdown_percent",
    "stop_distance_percent",
)


class LimitSettings(Section):
    """The limits that an executor never exceeds. The table must name at least one of `RISK_LIMITS`."""

    open_positions: Limit[Annotated[int, Field(ge=1, le=10_000)]] = 10
    """The most positions that are open at once, or "off". Default: 10."""

    gross_exposure_percent: Limit[Annotated[Figure, Field(gt=0, le=400)]] = Decimal(100)
    """The most that all positions together may be worth, in percent of equity (up to 400), or "off".
    Default: 100."""

    symbol_exposure_percent: Limit[Annotated[Figure, Field(gt=0, le=400)]] = None
    """The most that the position in one symbol may be worth, in percent of equity (up to 400), or "off".
    Default: off."""

    group_positions: Limit[Annotated[int, Field(ge=1, le=10_000)]] = None
    """The most positions that are open at once in one group of `.groups`, or "off". Default: off."""

    group_exposure_percent: Limit[Annotated[Figure, Field(gt=0, le=400)]] = None
    """The most that the positions of one group of `.groups` together may be worth, in percent of equity (up to 400),
    or "off". Default: off."""

    daily_loss_percent: Limit[Percent] = Decimal(5)
    """The most that the account may lose in a day, in percent of the equity at the day's start (or of the base in
    `.firm`), or "off". Default: 5."""

    drawdown_percent: Limit[Percent] = Decimal(10)
    """The most that equity may fall below its peak, in percent of the peak (or as counted by `.firm`), or "off".
    Default: 10."""

    stop_distance_percent: Limit[Percent] = Decimal(20)
    """The largest distance of a signal's stop from its entry price, in percent of that price, or "off". Default: 20."""

    buying_power_percent: Limit[Percent] = Decimal(95)
    """The largest part of the buying power that is used, in percent, or "off". Default: 95."""

    entry_age_s: Limit[Seconds] = 60.0
    """The greatest age of an entry when it is sent, in seconds of open market, or "off". Default: 60."""

    price_drift_percent: Limit[Percent] = Decimal(1)
    """The most that the market may have moved from the signal's price, in percent, or "off". Default: 1."""

    requests_per_minute: Limit[Annotated[int, Field(ge=10, le=10_000)]] = 200
    """The requests that the broker allows the account in a minute, at least 10, or "off". Default: 200."""

    orders_per_day: Limit[Annotated[int, Field(ge=1, le=100_000)]] = None
    """The most entries that are ordered in a day, which begins at `hours.day_starts_at`, or "off". Default: off."""

    consecutive_rejections: Limit[Annotated[int, Field(ge=2, le=1000)]] = None
    """The number of entries in a row that the broker rejects before further ones are held, at least 2, or "off". Then
    one entry a minute is tried until the broker accepts one. Default: off."""

    repeat_window_s: Limit[Seconds] = 300.0
    """Seconds for which the same entry (see `repeat_by`) is not ordered again, or "off". Default: 300."""

    repeat_by: Literal["idea", "content"] = "idea"
    """When two entries are the same for `repeat_window_s`: with equal strategy, symbol and side (idea), or with equal
    prices and confidence too (content). Default: idea."""

    pyramiding: Limit[Annotated[int, Field(ge=1, le=1000)]] = 1
    """The most entries of one position (with 1, nothing is added to it), or "off". Default: 1."""

    account_age_s: Annotated[Seconds, Field(le=60)] = 5.0
    """The greatest age of the account snapshot by which an entry is decided, in seconds, at most 60. It cannot be off,
    because no entry is decided without a snapshot. Default: 5."""

    on_breach: Literal["halt", "flatten"] = "halt"
    """The effect of a reached loss limit: the account is halted (halt), or halted and all its positions are
    closed (flatten). Default: halt."""

    next_day: Literal["stay", "resume"] = "stay"
    """The effect of a new day on a halt by `daily_loss_percent`: it holds until a person lifts it (stay), or it is
    lifted (resume). A halt by `drawdown_percent` always stays. Default: stay."""

    @model_validator(mode="after")
    def _names_a_limit_on_risk(self) -> Self:
        """Refuse a table without a limit on risk, so that the user decides on one for each executor."""
        if self.model_fields_set.isdisjoint(RISK_LIMITS):
            raise ValueError(f'at least one of {", ".join(RISK_LIMITS)} is expected, with a number or "off"')
        return self


class RetrySettings(Section):
    """How long and how often an executor tries to reach its broker."""

    attempts: Annotated[int, Field(ge=1, le=20)] = 5
    """Attempts at sending one order before it becomes a dead letter, 1 to 20. Default: 5."""

    broker_timeout_s: Annotated[Seconds, Field(le=60)] = 3.0
    """Seconds that one request may take, at most 60. After a slower order, tradewire asks the broker whether it has
    the order. Default: 3."""

    unknown_s: Annotated[Seconds, Field(le=600)] = 60.0
    """Seconds, at most 600, that an order may stay unknown while the broker answers. Then it becomes a dead letter.
    Default: 60."""


class HoursSettings(Section):
    """The behaviour outside regular trading hours, and the beginning of the day. Crypto trades at all hours."""

    closed: Literal["hold", "skip", "extended"] = "hold"
    """The handling of an entry while the market is closed: it waits for the open (hold), it is skipped (skip), or it is
    sent at once, outside regular hours as an order for extended hours (extended). Default: hold."""

    hold_s: Seconds = 64_800.0
    """The longest time that an entry waits for the open, in seconds. Default: 64800 (18 hours: over a night, but not
    over a weekend)."""

    time_zone: TimeZone = "America/New_York"
    """The time zone of `day_starts_at`. Default: America/New_York."""

    day_starts_at: Clock = time(0, 0)
    """The time at which the day of `daily_loss_percent` begins, like "17:00". Default: 00:00."""
