"""The JSON shapes of counts: reports, reasons, signals, and the open work of an executor."""

from collections import Counter
from typing import Annotated

from pydantic import BeforeValidator, Field

from pipeline.model.json_model import JsonModel, Number, Time
from pipeline.model.states import State
from pipeline.store.rows import Mode


def _most_frequent_first(counts: dict[str, int]) -> dict[str, int]:
    return dict(Counter(counts).most_common())


_MostFrequentFirst = Annotated[dict[str, int], BeforeValidator(_most_frequent_first)]


class OpenCounts(JsonModel):
    """The open work of an executor."""

    workers: Annotated[int, Field(description="Living worker processes.")]
    open: Annotated[dict[str, int], Field(description="Undecided executions by status.")]
    oldest_unfinished_s: Annotated[float | None, Field(description="Seconds; null when nothing is open.")]
    dead_letters: int


class LatencyView(JsonModel):
    """Milliseconds from the recorded signal to the recorded order id; null without an order."""

    p50: float | None
    p95: float | None
    p99: float | None


class TallyView(JsonModel):
    """Counts of one executor in one mode."""

    executions: int
    eligible: Annotated[int, Field(description="Executions that are decided and that no rule skipped.")]
    with_order: int
    by_status: _MostFrequentFirst
    by_reason: _MostFrequentFirst
    execution_rate: float | None
    fill_rate: float | None


class Report(JsonModel):
    """Counts of signals and their executions."""

    signals: int
    refused: int
    executions: int
    by_status: _MostFrequentFirst
    by_reason: _MostFrequentFirst
    by_executor: Annotated[dict[str, dict[str, TallyView]], Field(description="By executor, then by mode.")]
    execution_rate: Annotated[float | None, Field(examples=[0.97])]
    fill_rate: float | None
    oldest_unfinished_s: float | None
    latency_ms: LatencyView


class ReasonCount(JsonModel):
    """How often an executor had one reason."""

    reason_code: str
    executor_id: str
    mode: Mode
    status: Annotated[State, Field(validation_alias="state")]
    count: int
    meaning: str | None
    remedy: str | None


class SignalCounts(JsonModel):
    """How many signals were recorded."""

    since: Time
    total_signals: int
    active_signals: Annotated[int, Field(description="Signals with an undecided execution or a working order.")]
    closed_signals: int
    refused: Annotated[int, Field(description="Input that was not a signal.")]
    average_confidence: Annotated[Number | None, Field(description="Percent; null when no signal has a confidence.")]
    by_action: dict[str, int]
    by_source: dict[str, int]
    first_recorded_at: Time | None
    last_recorded_at: Time | None
