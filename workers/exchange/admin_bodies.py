"""The bodies of the `/admin` routes."""

from datetime import UTC, datetime, time
from decimal import Decimal
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, RootModel

from workers.exchange.clock import ClockMode
from workers.exchange.trading_days import FIRST_DAY, LAST_DAY

_Price = Annotated[Decimal, Field(gt=0, max_digits=18, decimal_places=9)]
_Amount = Annotated[Decimal, Field(max_digits=24, decimal_places=9)]
#: A time within the broker's calendar. No session is known outside it.
_Time = Annotated[
    AwareDatetime,
    Field(ge=datetime.combine(FIRST_DAY, time(), UTC), lt=datetime.combine(LAST_DAY, time(), UTC)),
]


class AdminBody(BaseModel):
    """A body in which unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")


class Prices(RootModel[dict[str, _Price | None]]):
    """`/admin/prices`: the price at which each symbol trades from now on; null removes it."""


class BarsBody(AdminBody):
    """`/admin/bars`: set how the exchange plays price bars. A field that is left out changes nothing."""

    #: Seconds per bar.
    cadence_s: Annotated[float, Field(ge=0.01, le=86_400)] | None = None
    playing: bool | None = None
    #: Play this many cycles at once.
    turn: Annotated[int, Field(ge=0, le=10_000)] = 0


class ClockBody(AdminBody):
    """`/admin/clock`: the exchange's clock.

    If the clock follows the calendar and is set forward to a time, every opening and closing in between takes place:
    orders that wait for an opening are matched there, and day orders expire at the closing.
    """

    mode: ClockMode
    #: For `fixed`: the time from which the clock runs.
    now: _Time | None = None


class AccountBody(AdminBody):
    """`/admin/accounts`: change the account of an API key, or open it. A field that is left out changes nothing."""

    key: Annotated[str, Field(min_length=1)]
    #: Set the cash. `last_equity` changes by the same amount, so that the change does not count as a gain.
    cash: _Amount | None = None
    #: The equity at the last close.
    last_equity: _Amount | None = None
    #: Pay in; a negative amount is paid out. Cash changes, `last_equity` does not. An activity CSD or CSW is listed.
    deposit: _Amount | None = None
    #: The time of the deposit; the default is now.
    deposited_at: _Time | None = None
    #: List the deposit with only its date, as brokers do for some transfers.
    deposit_day_only: bool = False
    #: Answer 401 to every request.
    refused: bool | None = None
    trading_blocked: bool | None = None
    shorting_enabled: bool | None = None
    #: Refuse orders that open or add to a position.
    liquidation_only: bool | None = None


class AssetBody(AdminBody):
    """The flags and increments of one asset. A field that is left out gets back its original value."""

    exists: bool = True
    active: bool = True
    tradable: bool = True
    fractionable: bool = True
    shortable: bool = True
    fractional_eh: bool = True
    min_order_size: _Price | None = None
    min_trade_increment: _Price | None = None
    price_increment: _Price | None = None


class AssetsBody(RootModel[dict[str, AssetBody | None]]):
    """`/admin/assets`: the flags of symbols; null restores the original ones."""


class RateBody(AdminBody):
    """`/admin/rate`: how many requests of the trading API each account may make in a sliding minute.

    Setting the limit resets the counts, which `GET /admin/requests?key=` returns. Answers of the trading API have the
    three `X-RateLimit` headers, except those of injected faults.
    """

    #: None: no limit is enforced, as at the start, and the headers show the broker's 200.
    per_minute: Annotated[int, Field(ge=1)] | None
    #: Whether a 429 has a `Retry-After`.
    retry_after: bool = True
