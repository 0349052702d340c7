"""Read what an admin sends: the bodies of the `/admin` routes."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, RootModel

from workers.exchange.clock import ClockMode

_Price = Annotated[Decimal, Field(gt=0, max_digits=18, decimal_places=9)]


class AdminBody(BaseModel):
    """A body with no other fields than these."""

    model_config = ConfigDict(extra="forbid")


class Prices(RootModel[dict[str, _Price | None]]):
    """`/admin/prices`: symbol to the price at which it trades until further notice; null takes the pin away."""


class BarsBody(AdminBody):
    """`/admin/bars`: how the bars go on; what is left out stays."""

    #: Seconds per bar.
    cadence_s: Annotated[float, Field(ge=0.01)] | None = None
    playing: bool | None = None
    #: Play this many cycles at once.
    turn: Annotated[int, Field(ge=0, le=10_000)] = 0


class ClockBody(AdminBody):
    """`/admin/clock`: how the exchange tells the time.

    A clock that goes by the calendar and is set to a later time passes every opening and closing in between:
    orders that waited for the open fill or rest there, day orders end at the close.
    """

    mode: ClockMode
    #: For `fixed`: the time from which the clock runs on.
    now: AwareDatetime | None = None


class AccountBody(AdminBody):
    """`/admin/accounts`: change the account of an API key, opening it if there is none; what is left out stays."""

    key: Annotated[str, Field(min_length=1)]
    #: Set the cash; `last_equity` moves by as much, so that it is no gain.
    cash: Decimal | None = None
    #: The equity at the last close.
    last_equity: Decimal | None = None
    #: Pay so much in, or out (below zero): cash moves, `last_equity` stays, and an activity `CSD` or `CSW` is listed.
    deposit: Decimal | None = None
    #: When it was paid; absent: now.
    deposited_at: AwareDatetime | None = None
    #: List the day alone, without the moment, as brokers do for some transfers.
    deposit_day_only: bool = False
    #: Answer 401 to every request.
    refused: bool | None = None
    trading_blocked: bool | None = None
    shorting_enabled: bool | None = None


class AssetBody(AdminBody):
    """What is changed about one asset."""

    exists: bool = True
    active: bool = True
    tradable: bool = True
    fractionable: bool = True
    shortable: bool = True


class AssetsBody(RootModel[dict[str, AssetBody | None]]):
    """`/admin/assets`: symbol to flags; null restores what it was."""


class RateBody(AdminBody):
    """`/admin/rate`: how many requests of the trading API each account may make in a minute that slides.

    Requests are counted anew from here. `GET /admin/requests?key=` tells what was counted.
    """

    #: None: any number, as at the start.
    per_minute: Annotated[int, Field(ge=1)] | None
    #: Whether a 429 has a `Retry-After`. While a rate is set, every answer has the three `X-RateLimit` headers.
    retry_after: bool = True
