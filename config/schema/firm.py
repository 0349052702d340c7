"""Define the table `.firm` of an executor: how a firm that lends the account counts losses, and its further rules."""

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticKnownError

from config.schema.fields import Figure, Limit, Percent, Seconds, Section


class Firm(Section):
    """How the loss limits are counted, and rules that only firms have. Without this table, no such rule applies."""

    percent_of: Literal["day_start", "initial_balance"] = "day_start"
    """The base of `limits.daily_loss_percent`: the equity or balance at the day's start (day_start), or
    `initial_balance`. Default: day_start."""

    daily_loss_basis: Literal["equity", "balance"] = "equity"
    """The value at the day's start from which the day's loss is counted: equity, or balance, which is equity
    without the profit of open positions. Default: equity."""

    drawdown: Literal["trailing", "static"] = "trailing"
    """How `limits.drawdown_percent` is counted: down from the highest equity so far (trailing), or always down from
    the initial balance (static). Default: trailing."""

    initial_balance: Annotated[Annotated[Figure, Field(gt=0)] | None, Field(validate_default=True)] = None
    """The balance with which the account began, in its currency. It is needed when `percent_of` or `drawdown`
    counts from it. Default: none."""

    maximum_quantity: Limit[Annotated[Figure, Field(gt=0)]] = None
    """The largest number of shares or coins of one position, or "off". Default: off."""

    flat_before_close_s: Limit[Annotated[Seconds, Field(le=86_400)]] = None
    """Seconds before each market close at which all positions are closed and after which no entry is taken, at most
    86400, or "off". Default: off."""

    consistency_percent: Limit[Percent] = None
    """The largest part of all profit so far that may come from one day, in percent, or "off". On a day that has reached
    it, no further entry is taken. Default: off."""

    minimum_hold_s: Limit[Annotated[Seconds, Field(le=86_400)]] = None
    """The shortest time that a position is held before an ordinary exit, in seconds, at most 86400, or "off". Default:
    off."""

    @field_validator("initial_balance", mode="after")
    @classmethod
    def _required_when_counted_from(cls, value: Decimal | None, info: ValidationInfo) -> Decimal | None:
        counted = info.data.get("percent_of") == "initial_balance" or info.data.get("drawdown") == "static"
        if value is None and counted:
            raise PydanticKnownError("missing")
        return value
