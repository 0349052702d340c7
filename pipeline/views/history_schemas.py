"""The JSON shape of a signal's whole history: its origin, and each execution with its changes, attempts and orders."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field

from pipeline.intake.webhooks.translate import IDENTITY_TEXTS, Identity
from pipeline.model.fills import FillSource
from pipeline.model.json_model import Id, JsonModel, Number, Time
from pipeline.model.states import State
from pipeline.store.rows import Role
from pipeline.views.schemas import ExecutionView, SignalView


class MoveView(JsonModel):
    """A change of an execution's state."""

    at: Time
    after_ms: Annotated[float, Field(description="Milliseconds since the execution was recorded.")]
    from_state: Annotated[State | None, Field(serialization_alias="from")]
    to_state: Annotated[State, Field(serialization_alias="to")]
    reason: str | None
    by: Annotated[str, Field(validation_alias="moved_by")]
    why: Annotated[str | None, Field(validation_alias="moved_why")]
    request_id: Annotated[str | None, Field(description="The broker's own ids of the requests that led to it.")]


@dataclass(frozen=True, kw_only=True)
class AttemptView:
    """One try at sending an order, with the broker's answer."""

    generation: int
    sent_at: Time | None
    took_ms: Number | None
    outcome: str
    message: str | None
    order_id: str | None
    #: The broker's own id of the request (Alpaca's `X-Request-ID`), which its support asks for.
    request_id: str | None


class FillView(JsonModel):
    """A fill of an order. Those without a *voided_at* add up to the order's filled quantity."""

    fill_id: Annotated[str | None, Field(description="The broker's id; null: the fill is not itemised.")]
    filled_at: Annotated[Time, Field(description="The broker's time; the record's for one that is not itemised.")]
    quantity: Number
    price: Annotated[Number | None, Field(description="For one that is not itemised, an average.")]
    source: Annotated[FillSource, Field(description="Where the record has it from; `order`: it is not itemised.")]
    voided_at: Annotated[Time | None, Field(description="When the broker took it back or corrected it.")]
    corrected_by: Annotated[str | None, Field(description="The id of the fill that the broker reported instead.")]
    note: str | None


class OrderView(JsonModel):
    """An order as it was intended, and what the broker reported of it."""

    client_order_id: str
    order_id: str | None
    role: Role
    request: dict[str, Any]
    order_status: str | None
    filled_quantity: Number
    filled_average_price: Number | None
    intended_at: Time
    accepted_at: Time | None
    ended_at: Time | None
    cancel_requested_at: Annotated[Time | None, Field(description="When a person requested its cancel.")]
    cancel_requested_by: str | None
    cancel_requested_why: str | None
    fills: list[FillView]


class SettingsView(JsonModel):
    """The settings that an execution was decided under."""

    hash: str | None
    current: Annotated[bool | None, Field(description="Whether the file still has these settings; null: not known.")]
    changes: Annotated[list[str] | None, Field(description="The changes since then; null: not known.")]


class ExecutionHistory(ExecutionView):
    """An execution with everything that happened to it. `meaning` and `remedy` are null for unknown reasons."""

    meaning: str | None = None
    remedy: str | None = None
    moves: list[MoveView]
    attempts_made: list[AttemptView]
    orders: list[OrderView]
    settings: SettingsView
    pruned_at: Annotated[
        Time | None, Field(description="When `tradewire retention` removed its moves and attempts; null: it did not.")
    ]


@dataclass(frozen=True, kw_only=True)
class DeliveryRow:
    """A recorded delivery. It has no dialect, identity and signal if it was refused before its translation."""

    seq: int
    delivery_id: UUID
    at: datetime
    webhook: str
    times: int
    code: str | None
    message: str | None
    dialect: str | None
    identity: Identity | None
    signal_id: UUID | None
    source_id: str | None
    resend_of: UUID | None
    address: str | None
    payload: str

    @property
    def identity_says(self) -> str | None:
        """Return the sentence about how a repeated delivery is recognised."""
        return None if self.identity is None else IDENTITY_TEXTS[self.identity]

    @property
    def outcome(self) -> str:
        """Return whether the delivery became a signal: accepted, resend, refused or not_recorded."""
        if self.code is not None:
            return "refused"
        # The delivery was valid, but the transaction that records its signal failed.
        if self.signal_id is None:
            return "not_recorded"
        return "accepted" if self.resend_of is None else "resend"


class DeliveryNote(JsonModel):
    """One delivery of a signal to a webhook."""

    delivery_id: Id
    at: Time
    dialect: str | None
    resend_of: Annotated[UUID | None, Field(description="The first delivery of the same signal.")]
    identity: Identity
    identity_says: str
    notes: Annotated[str | None, Field(validation_alias="message")]


class SignalHistory(JsonModel):
    """A signal with its deliveries and executions, as `tradewire why --json` prints it."""

    signal: SignalView
    deliveries: list[DeliveryNote]
    executions: list[ExecutionHistory]


class DeliveryView(JsonModel):
    """A delivery to a webhook. Refused deliveries of unknown senders are counted together, by reason and minute."""

    delivery_id: Id
    at: Time
    webhook: Annotated[str, Field(description="`?` when there is no webhook of the name.", examples=["tradingview"])]
    outcome: Annotated[
        Literal["accepted", "resend", "refused", "not_recorded"],
        Field(description="`not_recorded`: PostgreSQL went away; the sender was asked to send it again."),
    ]
    times: int
    code: Annotated[str | None, Field(description="Why it was refused.", examples=["unauthorized"])]
    message: str | None
    dialect: Annotated[str | None, Field(examples=["tradingview"])]
    identity: Annotated[Identity | None, Field(description="How a repeated delivery is recognised as the same signal.")]
    identity_says: str | None
    signal_id: Id | None
    source_id: str | None
    resend_of: Annotated[UUID | None, Field(description="The first delivery of the same signal.")]
    address: Annotated[str | None, Field(examples=["52.89.214.238"])]
    payload: Annotated[str, Field(description="The body: secrets are masked, at most 4,096 characters.")]


class DeliveryPage(JsonModel):
    """Deliveries, newest first."""

    items: list[DeliveryView]
    limit: int
    has_more: bool
    next_cursor: Annotated[int | None, Field(description="The `cursor` of the next page; null on the last page.")]
