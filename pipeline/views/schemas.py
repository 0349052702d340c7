"""The JSON shapes of what the record lists: executions, signals, dead letters, refusals and pages of them.

The command line, HTTP, the live feed and MCP write these shapes. Every key is always present.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Generic, Self, TypeVar
from uuid import UUID

from pydantic import Field

from pipeline.model.json_model import EXAMPLE_ID, Id, JsonModel, Number, Time
from pipeline.model.signals import Action, Intent
from pipeline.model.states import State
from pipeline.store.rows import ExecutionRow, Mode, SignalRow

T = TypeVar("T")


class ExecutionView(JsonModel):
    """One signal at one executor."""

    execution_id: Id
    signal_id: Id
    executor_id: Annotated[str, Field(examples=["argo"])]
    mode: Mode
    symbol: Annotated[str, Field(examples=["AAPL"])]
    action: Action
    status: Annotated[State, Field(validation_alias="state")]
    order_id: Annotated[str | None, Field(description="The broker's id of the order.", examples=[EXAMPLE_ID])]
    client_order_id: Annotated[str | None, Field(description="Our id of the order.", examples=[f"tw-{EXAMPLE_ID}-1"])]
    reason_code: Annotated[str | None, Field(examples=["confidence_below_minimum"])]
    reason: Annotated[str | None, Field(examples=["confidence_below_minimum minimum=82 was=75.3"])]
    attempts: int
    created_at: Time
    submitted_at: Time | None
    ended_at: Time | None
    filled_quantity: Number | None
    filled_average_price: Number | None


class SignalView(JsonModel):
    """A signal as it was recorded."""

    signal_id: Id
    source: str
    source_id: str | None
    symbol: Annotated[str, Field(examples=["AAPL"])]
    action: Action
    intent: Intent
    confidence: Number | None
    entry_price: Number | None
    price: str | None
    target_price: Number | None
    stop_price: Number | None
    quantity: Number | None
    notional: Number | None
    equity_percent: Number | None
    close_percent: Number | None
    strategy: str | None
    regime: str | None
    volatility_percent: Number | None
    executors: list[str] | None
    generated_at: Time | None
    expires_at: Time | None
    recorded_at: Time


class ListedSignal(SignalView):
    """A signal with its executions."""

    executions: list[ExecutionView]

    @classmethod
    def of(cls, signal: SignalRow, executions: Sequence[ExecutionRow]) -> Self:
        """Return *signal* with *executions*, in their order."""
        return cls.model_validate({**vars(signal), "executions": executions})


class RecordedView(JsonModel):
    """The answer to a signal that was sent: its id and its executions."""

    signal_id: Id
    duplicate: Annotated[bool, Field(description="It had been recorded before, and nothing was changed.")]
    executions: list[ExecutionView]


class DeadLetterView(JsonModel):
    """An execution that stopped and needs a person to requeue or discard it."""

    execution_id: Id
    number: int
    signal_id: Id
    executor_id: str
    symbol: str
    action: Action
    confidence: Number | None
    reason_code: str
    reason: str
    attempts: int
    opened_at: Time
    created_at: Time


@dataclass(frozen=True, kw_only=True)
class RefusalView:
    """Input that was not a signal."""

    refusal_id: UUID
    at: Time
    source: str
    source_id: str | None
    code: str
    message: str
    payload: Annotated[str, Field(description="The input: secrets are masked, at most 4,096 characters.")]


class Page(JsonModel, Generic[T]):
    """A part of a list, newest first."""

    items: list[T]
    limit: int
    has_more: bool
    next_cursor: Annotated[str | None, Field(description="The `cursor` of the next page; null on the last page.")]
