"""What the list of deliveries answers, for OpenAPI."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from pipeline.entrypoints.web.api.schemas import Id, Time
from pipeline.intake.webhooks.translate import Identity


class DeliveryAnswer(BaseModel):
    """One delivery; of strangers, all of a minute that were refused for one reason."""

    delivery_id: Id
    at: Time
    webhook: Annotated[str, Field(description="`?` when there is none of the name.", examples=["tradingview"])]
    outcome: Annotated[
        Literal["accepted", "resend", "refused", "not_recorded"],
        Field(description="`not_recorded`: PostgreSQL went away; the sender was told to send it again."),
    ]
    times: int
    code: Annotated[str | None, Field(description="Why it was refused.", examples=["unauthorized"])]
    message: str | None
    dialect: Annotated[str | None, Field(examples=["tradingview"])]
    identity: Annotated[Identity | None, Field(description="What makes a re-send the same signal.")]
    identity_says: str | None
    signal_id: Id | None
    source_id: str | None
    resend_of: Annotated[str | None, Field(description="The first delivery of the same signal.")]
    address: Annotated[str | None, Field(examples=["52.89.214.238"])]
    payload: Annotated[str, Field(description="What came: secrets masked, at most 4,096 characters.")]


class DeliveryPage(BaseModel):
    """Deliveries, newest first."""

    items: list[DeliveryAnswer]
    limit: int
    has_more: bool
    next_cursor: Annotated[int | None, Field(description="The `cursor` of the next page; null on the last.")]
