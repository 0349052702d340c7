"""What routes answer, for OpenAPI: the shapes of `pipeline/views/json_shapes.py` as models with examples."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field

from pipeline.model.signals import Action, Intent
from pipeline.model.states import State
from pipeline.model.switches import SwitchKind
from pipeline.store.rows import Mode

_TIME = "2026-01-30T14:31:07.123456Z"
_ID = "0b9f6f0e-6c1f-4e3c-9d62-1c58a1f2f0aa"

Id = Annotated[str, Field(json_schema_extra={"format": "uuid"}, examples=[_ID])]
Time = Annotated[str, Field(description="RFC 3339 in UTC.", examples=[_TIME])]
Number = Annotated[str, Field(description="A decimal number, exact.", examples=["190.10"])]


class ExecutionAnswer(BaseModel):
    """One signal at one executor. Every key is always there."""

    execution_id: Id
    signal_id: Id
    executor_id: Annotated[str, Field(examples=["argo"])]
    mode: Mode
    symbol: Annotated[str, Field(examples=["AAPL"])]
    action: Action
    status: State
    order_id: Annotated[str | None, Field(description="The broker's.", examples=[_ID])]
    client_order_id: Annotated[str | None, Field(description="Ours.", examples=[f"tw-{_ID}-1"])]
    reason_code: Annotated[str | None, Field(examples=["confidence_below_minimum"])]
    reason: Annotated[str | None, Field(examples=["confidence_below_minimum minimum=82 was=75.3"])]
    attempts: int
    created_at: Time
    submitted_at: Time | None
    ended_at: Time | None
    filled_quantity: Number | None
    filled_average_price: Number | None


class RecordedAnswer(BaseModel):
    """What the record holds of a signal after it was sent."""

    signal_id: Id
    duplicate: Annotated[bool, Field(description="It had been recorded before; nothing was changed.")]
    executions: list[ExecutionAnswer]


class SignalAnswer(BaseModel):
    """A signal as it was recorded."""

    signal_id: Id
    source: str
    source_id: str | None
    symbol: Annotated[str, Field(examples=["AAPL"])]
    action: Action
    intent: Intent
    confidence: Number | None
    entry_price: Number | None
    target_price: Number | None
    stop_price: Number | None
    quantity: Number | None
    strategy: str | None
    regime: str | None
    volatility_percent: Number | None
    executors: list[str] | None
    generated_at: Time | None
    expires_at: Time | None
    recorded_at: Time


class ListedSignal(SignalAnswer):
    """A signal with its executions."""

    executions: list[ExecutionAnswer]


class _Page(BaseModel):
    limit: int
    has_more: bool
    next_cursor: Annotated[str | None, Field(description="The `cursor` of the next page; null on the last.")]


class SignalPage(_Page):
    """Signals, newest first."""

    items: list[ListedSignal]


class ExecutionPage(_Page):
    """Executions, newest first."""

    items: list[ExecutionAnswer]


class RefusalAnswer(BaseModel):
    """Input that was no signal."""

    refusal_id: Id
    at: Time
    source: str
    source_id: str | None
    code: str
    message: str
    payload: Annotated[str, Field(description="What came: secrets masked, at most 4,096 characters.")]


class RefusalPage(_Page):
    """Refusals, newest first."""

    items: list[RefusalAnswer]


class LifeAnswer(BaseModel):
    """One signal's whole life, as `tradewire why --json`."""

    signal: SignalAnswer
    deliveries: Annotated[
        list[dict[str, Any]],
        Field(description="How it came to a webhook: `at`, `dialect`, `identity_says`, `notes`, and re-sends of it."),
    ]
    executions: Annotated[
        list[dict[str, Any]],
        Field(description="Each execution with `moves`, `attempts_made`, `orders`, `settings`, `meaning`, `remedy`."),
    ]


class CountsAnswer(BaseModel):
    """How many signals came."""

    hours: int
    since: Time
    total_signals: int
    active_signals: Annotated[int, Field(description="Something is undecided, or works at a broker.")]
    closed_signals: int
    refused: Annotated[int, Field(description="Input that was no signal.")]
    average_confidence: Annotated[str | None, Field(description="Percent; null when no signal says.")]
    by_action: dict[str, int]
    by_source: dict[str, int]
    first_recorded_at: Time | None
    last_recorded_at: Time | None


class OutcomeAnswer(BaseModel):
    """What became of a signal."""

    success: Annotated[bool, Field(description="There is a broker's order id, and the order is not rejected.")]
    order_id: str | None
    executor_id: str | None
    status: State | None
    reason: str | None
    signal_id: Id
    executions: list[ExecutionAnswer]


class SwitchAnswer(BaseModel):
    """One reason for which an account is stopped."""

    kind: SwitchKind
    cause: Annotated[str, Field(examples=["person"])]
    reason_code: str
    reason: str
    facts: dict[str, Any]
    flatten: Annotated[bool, Field(description="Everything is being closed.")]
    set_by: str
    why: str | None
    set_at: Time


class StandAnswer(BaseModel):
    """What stands at an executor's account after a switch was turned."""

    executor_id: str
    account: Annotated[str | None, Field(description="Its number; null while nobody has read it.")]
    switches: list[SwitchAnswer]
    lifted: list[SwitchAnswer]
    still_over: Annotated[
        list[dict[str, Any]], Field(description="Loss limits that go on to stop entries, whatever was lifted.")
    ]


class DeadLetterAnswer(BaseModel):
    """An execution that only a person can move on."""

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


class DeadLetterList(BaseModel):
    """Open dead letters, oldest first."""

    items: list[DeadLetterAnswer]
    limit: int
    has_more: bool
