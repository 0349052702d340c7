"""The table `.firm` of an executor: how a firm that lends the account counts, and what it asks for besides."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticKnownError

from config.schema.fields import Figure, Limit, Percent, Seconds, Section


class Firm(Section):
    """How the loss limits are counted, and the rules that only such firms have; left out, none of them holds."""

    percent_of: Literal["day_start", "initial_balance"] = "day_start"
    """What `limits.daily_loss_percent` is a percentage of: the figure at the day's start, or the initial balance.
    Default: day_start."""

    daily_loss_basis: Literal["equity", "balance"] = "equity"
    """The figure at the day's start from which the day's loss is counted: equity, or balance, which is equity
    without the profit of what is open. Default: equity."""

    drawdown: Literal["trailing", "static"] = "trailing"
    """How `limits.drawdown_percent` is counted: down from the highest equity so far, or, static, down from the
    initial balance for ever. Default: trailing."""

    initial_balance: Annotated[Annotated[Figure, Field(gt=0)] | None, Field(validate_default=True)] = None
    """The balance that the account began with, in its currency; needed where `percent_of` or `drawdown` counts
    from it. Default: none."""

    maximum_quantity: Limit[Annotated[Figure, Field(gt=0)]] = None
    """Most shares or coins of one position, or "off". Default: off."""

    flat_before_close_s: Limit[Annotated[Seconds, Field(le=86_400)]] = None
    """Seconds before each close of the market at which everything is closed and after which no entry is
    taken, at most 86400, or "off". Default: off."""

    consistency_percent: Limit[Percent] = None
    """Most that one day's profit may be of all profit so far, in percent; a day that has earned so much takes no
    further entry; or "off". Default: off."""

    minimum_hold_s: Limit[Annotated[Seconds, Field(le=86_400)]] = None
    """Seconds that a position is held at least before an ordinary exit, at most 86400, or "off". Default: off."""

    @field_validator("initial_balance", mode="after")
    @classmethod
    def _known_where_it_is_counted_from(cls, value: Decimal | None, info: ValidationInfo) -> Decimal | None:
        counted = info.data.get("percent_of") == "initial_balance" or info.data.get("drawdown") == "static"
        if value is None and counted:
            raise PydanticKnownError("missing")
        return value
