"""The tables of one executor: how much, with which orders, limits, patience and hours."""

from __future__ import annotations

from datetime import time
from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from config.schema.fields import Clock, Figure, Limit, Percent, Seconds, Section, TimeZone


class SizeSettings(Section):
    """How much one entry buys or sells."""

    method: Literal["equity_percent", "notional", "quantity", "risk_percent"]
    """What `value` is: percent of equity, an amount of money, a number of shares, or percent of equity at
    risk down to the stop. Required."""

    value: Annotated[Figure, Field(gt=0)]
    """The size at the minimum confidence, above 0, as `method` reads it. Required."""

    scale_at_100: Annotated[Figure, Field(ge=1, le=10)] = Decimal(1)
    """The size at confidence 100 as a multiple of `value`, 1 to 10; between the minimum confidence and 100 it
    grows in a straight line. Default: 1 (no scaling)."""

    maximum_percent: Limit[Percent] = None
    """Most that one entry may cost, in percent of equity, whatever the method says; "off" for none.
    Default: none of its own (the limits still hold)."""

    fractional: bool = False
    """Whether fractions of a share are ordered where the asset allows them. Default: false, whole shares."""

    default_stop_percent: Percent = Decimal(3)
    """The distance of the stop that is assumed for a signal without one, in percent of the entry: what an
    entry or a position without a stop counts as at risk. It is no order. Default: 3."""

    volatility_target_percent: Limit[Percent] = None
    """Entries are scaled by this over the signal's `volatility_percent`, so that wild symbols are bought smaller; a
    signal that names none is not scaled; "off" for no scaling. Default: off."""

    volatility_scale_maximum: Annotated[Figure, Field(ge=1, le=10)] = Decimal("1.5")
    """The largest factor by which a calm symbol's entry grows through `volatility_target_percent`, 1 to 10;
    1 only ever shrinks. Default: 1.5."""

    @field_validator("value")
    @classmethod
    def _at_most_all_of_it(cls, value: Decimal, info: ValidationInfo) -> Decimal:
        method = str(info.data.get("method", ""))
        if method.endswith("_percent") and value > 100:  # noqa: PLR2004 - a hundred percent is all of it
            raise ValueError(f"with method {method} at most 100 would be right")
        return value


class OrderSettings(Section):
    """Which orders an executor sends."""

    type: Literal["limit", "market"] = "limit"
    """The type of an entry's order. Default: limit."""

    collar_percent: Annotated[Figure, Field(ge=0, le=50)] = Decimal("0.5")
    """How far a limit order may go beyond the signal's price, 0 to 50 percent. Default: 0.5."""

    entry_timeout_s: Seconds = 60.0
    """Seconds after which an entry that is not filled is canceled. Default: 60."""

    allow_short: bool = False
    """Whether a SELL without a position opens a short one; else it is skipped. Default: false."""

    flip: Literal["close", "reverse"] = "close"
    """What a signal against the position does: close it, or close and open the other way. Default: close."""

    close_scope: Literal["strategy", "account"] = "strategy"
    """Whose shares an exit sells: those that the signal's own strategy bought here, or all that the account
    holds of the symbol. Default: strategy."""

    unprotected: Literal["allow", "guard", "refuse"] = "allow"
    """What happens to an entry without a stop: it is sent, it gets a stop of ours, or it is skipped.
    Default: allow."""


#: The limits on risk; an executor names one of them at least.
RISK_LIMITS = (
    "open_positions",
    "gross_exposure_percent",
    "daily_loss_percent",
    "drawdown_percent",
    "stop_distance_percent",
)


class LimitSettings(Section):
    """What an executor never exceeds. Of the five limits on risk it names one at least; each has a default."""

    open_positions: Limit[Annotated[int, Field(ge=1, le=10_000)]] = 10
    """Most positions open at once, or "off". Default: 10."""

    gross_exposure_percent: Limit[Annotated[Figure, Field(gt=0, le=400)]] = Decimal(100)
    """Most that all positions may be worth together, in percent of equity (up to 400), or "off".
    Default: 100."""

    symbol_exposure_percent: Limit[Annotated[Figure, Field(gt=0, le=400)]] = None
    """Most that one symbol's position may be worth, in percent of equity (up to 400), or "off". Default: off."""

    group_positions: Limit[Annotated[int, Field(ge=1, le=10_000)]] = None
    """Most positions open at once in the symbols of one of `.groups`, or "off". Default: off."""

    group_exposure_percent: Limit[Annotated[Figure, Field(gt=0, le=400)]] = None
    """Most that the positions of one of `.groups` may be worth together, in percent of equity (up to 400), or
    "off". Default: off."""

    daily_loss_percent: Limit[Percent] = Decimal(5)
    """Most that a day may lose, in percent of the day's starting equity (or of what `.firm` says), or "off".
    Default: 5."""

    drawdown_percent: Limit[Percent] = Decimal(10)
    """Most that equity may fall below its peak, in percent of the peak (or as `.firm` says), or "off".
    Default: 10."""

    stop_distance_percent: Limit[Percent] = Decimal(20)
    """Farthest that a given stop may be from the entry, in percent of the entry, or "off". Default: 20."""

    buying_power_percent: Limit[Percent] = Decimal(95)
    """Most of the buying power that is used, in percent, or "off". Default: 95."""

    entry_age_s: Limit[Seconds] = 60.0
    """Oldest that an entry may be when it is sent, in seconds of open market, or "off". Default: 60."""

    price_drift_percent: Limit[Percent] = Decimal(1)
    """Farthest that the market may have moved from the signal's price, in percent, or "off". Default: 1."""

    requests_per_minute: Limit[Annotated[int, Field(ge=10, le=10_000)]] = 200
    """Requests that the broker allows the account in a minute, at least 10, or "off". Default: 200."""

    orders_per_day: Limit[Annotated[int, Field(ge=1, le=100_000)]] = None
    """Most entries that are ordered in a day (from `hours.day_starts_at`), or "off". Default: off."""

    consecutive_rejections: Limit[Annotated[int, Field(ge=2, le=1000)]] = None
    """Entries rejected by the broker in a row, at least 2, after which further ones are held and one is tried
    each minute until the broker takes it, or "off". Default: off."""

    repeat_window_s: Limit[Seconds] = 300.0
    """Seconds in which the same entry (see `repeat_by`) is not ordered again, or "off". Default: 300."""

    repeat_by: Literal["idea", "content"] = "idea"
    """What makes two entries the same for `repeat_window_s`: idea (strategy, symbol and side), or content (its
    prices and confidence too). Default: idea."""

    pyramiding: Limit[Annotated[int, Field(ge=1, le=1000)]] = 1
    """Entries that one position may be built from (1: none is added to), or "off". Default: 1."""

    account_age_s: Annotated[Seconds, Field(le=60)] = 5.0
    """Oldest that the snapshot of the account may be when an entry is judged, at most 60 seconds; it
    cannot be off, because nothing is judged blind. Default: 5."""

    on_breach: Literal["halt", "flatten"] = "halt"
    """What a loss limit that is reached does: halt, or halt and close everything. Default: halt."""

    next_day: Literal["stay", "resume"] = "stay"
    """What a new day does to a halt by `daily_loss_percent`: nothing (a person lifts it), or it lifts it. A halt by
    `drawdown_percent` always stays. Default: stay."""

    @model_validator(mode="after")
    def _risk_is_limited_on_purpose(self) -> Self:
        """Refuse a table that only looks like limits: whoever trades has thought about one of the five."""
        if self.model_fields_set.isdisjoint(RISK_LIMITS):
            raise ValueError(f'at least one of {", ".join(RISK_LIMITS)} is named, with a figure or "off"')
        return self


class RetrySettings(Section):
    """How patient an executor is with its broker."""

    attempts: Annotated[int, Field(ge=1, le=20)] = 5
    """Tries at sending one order before a person has to look, 1 to 20. Default: 5."""

    broker_timeout_s: Annotated[Seconds, Field(le=60)] = 3.0
    """Seconds that one request may take, at most 60; a slower order is unknown and looked up. Default: 3."""

    unknown_s: Annotated[Seconds, Field(le=600)] = 60.0
    """Seconds that an order may stay unknown while the broker answers, at most 600, before a person has to
    look. Default: 60."""


class HoursSettings(Section):
    """What happens outside regular trading hours, and when the day begins. Crypto trades always."""

    closed: Literal["hold", "skip", "extended"] = "hold"
    """What an entry does while the market is closed: wait for the open, be skipped, or go out at once as an
    order for extended hours (the market's state then stops nothing). Default: hold."""

    hold_s: Seconds = 64_800.0
    """Longest that an entry waits for the open, in seconds. Default: 64800 (a night, not a weekend)."""

    time_zone: TimeZone = "America/New_York"
    """The time zone of `day_starts_at`. Default: America/New_York."""

    day_starts_at: Clock = time(0, 0)
    """When the day of `daily_loss_percent` begins, like "17:00". Default: 00:00."""
