"""The answers that only HTTP gives; the shapes that it shares with the command line are in `pipeline.views`."""

from typing import Annotated

from pydantic import Field

from pipeline.accounts.losses import LossLimit
from pipeline.model.json_model import Id, JsonModel, Number, Time
from pipeline.model.states import State
from pipeline.store.rows import Mode
from pipeline.views.account_schemas import AccountView, SwitchStatusView, SwitchView
from pipeline.views.count_schemas import OpenCounts, ReasonCount, Report, SignalCounts
from pipeline.views.flatten_progress import FlattenProgress
from pipeline.views.schemas import DeadLetterView, ExecutionView

# The JSON keys of a class with several bases come in this order: those of the last base first, the class's own last.


class _HoursBack(JsonModel):
    hours: int


class _CountedHours(_HoursBack):
    since: Time
    timestamp: Annotated[Time, Field(description="When it was counted.")]


class SignalStats(SignalCounts, _HoursBack):
    """How many signals were recorded in the last hours."""


class ExecutionMetrics(Report, _CountedHours):
    """Counts of the executions of the last hours' signals, and of the work that is open now."""

    executors: dict[str, OpenCounts]


class ReasonsAnswer(_CountedHours):
    """Why executions of the last hours ended in another state than filled, by reason."""

    reasons: Annotated[dict[str, int], Field(examples=[{"confidence_below_minimum": 12}])]
    items: list[ReasonCount]


class OutcomeAnswer(JsonModel):
    """The outcome of a signal."""

    success: Annotated[bool, Field(description="There is a broker's order id, and the order is not rejected.")]
    order_id: str | None
    executor_id: str | None
    status: State | None
    reason: str | None
    signal_id: Id
    executions: list[ExecutionView]


class _ExecutorSummary(JsonModel):
    executor_id: str
    mode: Mode
    live: Annotated[bool, Field(description="Real money.")]
    status: Annotated[str, Field(description="trading, paused, reducing, halted or no_worker.", examples=["trading"])]
    account: AccountView
    positions_count: int | None


class ExecutorStatus(OpenCounts, _ExecutorSummary):
    """The state of an executor: whether it trades, its account, its open work and its switches."""

    switches: list[SwitchView]
    flattening: Annotated[FlattenProgress | None, Field(description="The progress while every position is closed.")]


class TradingStatus(JsonModel):
    """The state of all executors."""

    timestamp: Time
    status: Annotated[str, Field(description="trading (all), partly (some), stopped (none).", examples=["trading"])]
    executors: list[ExecutorStatus]


class LossLimitUse(JsonModel):
    """A loss limit that stops entries."""

    limit: LossLimit
    lost: Number
    allowed: Number


class SwitchAnswer(SwitchStatusView):
    """The switches of an executor's account after a command."""

    still_over: Annotated[list[LossLimitUse], Field(description="Loss limits that still stop entries after a command.")]


class DeadLetterList(JsonModel):
    """Open dead letters, oldest first."""

    items: list[DeadLetterView]
    limit: int
    has_more: bool
