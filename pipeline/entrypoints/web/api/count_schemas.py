"""What routes answer that count or show accounts, for OpenAPI."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field

from pipeline.entrypoints.web.api.schemas import Number, SwitchAnswer, Time
from pipeline.model.states import State
from pipeline.store.rows import Mode

_READ = "Null while nobody has read the account."


class OpenAnswer(BaseModel):
    """What an executor has open."""

    workers: Annotated[int, Field(description="Living worker processes.")]
    open: Annotated[dict[str, int], Field(description="Undecided executions by status.")]
    oldest_unfinished_s: Annotated[float | None, Field(description="Seconds; null when nothing is open.")]
    dead_letters: int


class LatencyAnswer(BaseModel):
    """From the recorded signal to the recorded order id, milliseconds; null without an order."""

    p50: float | None
    p95: float | None
    p99: float | None


class TallyAnswer(BaseModel):
    """Counts of one executor in one mode."""

    executions: int
    eligible: Annotated[int, Field(description="Decided, and skipped by no rule.")]
    with_order: int
    by_status: dict[str, int]
    by_reason: dict[str, int]
    execution_rate: float | None
    fill_rate: float | None


class MetricsAnswer(BaseModel):
    """What came of the last hours' signals."""

    hours: int
    since: Time
    timestamp: Time
    signals: int
    refused: int
    executions: int
    by_status: dict[str, int]
    by_reason: dict[str, int]
    by_executor: Annotated[dict[str, dict[str, TallyAnswer]], Field(description="By executor, then by mode.")]
    execution_rate: Annotated[float | None, Field(examples=[0.97])]
    fill_rate: float | None
    oldest_unfinished_s: float | None
    latency_ms: LatencyAnswer
    executors: dict[str, OpenAnswer]


class ReasonCount(BaseModel):
    """How often an executor had one reason."""

    reason_code: str
    executor_id: str
    mode: Mode
    status: State
    count: int
    meaning: str | None
    remedy: str | None


class ReasonsAnswer(BaseModel):
    """Why executions came to nothing."""

    hours: int
    since: Time
    timestamp: Time
    reasons: Annotated[dict[str, int], Field(examples=[{"confidence_below_minimum": 12}])]
    items: list[ReasonCount]


class PositionAnswer(BaseModel):
    """What is held of a symbol; below zero is short."""

    symbol: str
    quantity: Number
    average_entry_price: Number
    current_price: Number | None
    unrealised: Number | None


class AccountAnswer(BaseModel):
    """An account as last read."""

    executor_id: str
    mode: Mode
    account_number: str | None
    currency: str | None
    equity: Annotated[str | None, Field(description=_READ)]
    last_equity: str | None
    cash: str | None
    buying_power: str | None
    blocked: bool | None
    refused: Annotated[str | None, Field(description="What the broker says, if it refuses the account.")]
    positions_count: int | None
    positions: list[PositionAnswer] | None
    timestamp: Annotated[str | None, Field(description="When it was read.")]


class AccountState(AccountAnswer):
    """An account with what is used of its limits."""

    limits: list[dict[str, Any]]


class ExecutorStatus(OpenAnswer):
    """What an executor is doing."""

    executor_id: str
    mode: Mode
    live: Annotated[bool, Field(description="Real money.")]
    status: Annotated[str, Field(description="trading, paused, reducing, halted or no_worker.", examples=["trading"])]
    account: AccountAnswer
    positions_count: int | None
    switches: list[SwitchAnswer]
    flattening: Annotated[dict[str, Any] | None, Field(description="How far it is, while everything is being closed.")]


class TradingStatus(BaseModel):
    """What all executors are doing."""

    status: Annotated[str, Field(description="trading (all), partly (some), stopped (none).", examples=["trading"])]
    timestamp: Time
    executors: list[ExecutorStatus]
