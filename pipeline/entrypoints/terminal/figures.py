"""Read the figures of the full screen from the record."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from config.schema.executor import ExecutorSettings
from pipeline.accounts.limit_usage import Headroom, headroom
from pipeline.accounts.switches import Switches, SwitchStatus
from pipeline.model.states import UNDECIDED
from pipeline.operations.dead_letters import DeadLetter, DeadLetters
from pipeline.store.record import Record
from pipeline.store.rows import ExecutionRow
from pipeline.views.counts import nothing_open, open_counts
from pipeline.views.history import executions
from pipeline.views.report import report

#: Rates and latencies are counted over this time.
SPAN = timedelta(hours=1)
_MOST = 30  # More do not fit on most screens.


@dataclass(frozen=True, kw_only=True)
class ExecutorLine:
    """The line of one account."""

    executor_id: str
    mode: str
    switches: SwitchStatus
    workers: int
    #: Undecided executions: queued, held, submitting, unknown.
    open: int
    dead: int
    oldest_s: float | None
    #: In the last hour, in the executor's mode: executions with an order, and those that were decided and not skipped.
    with_order: int
    eligible: int
    #: The limit that is used most; None when the account was never read or has no limit.
    tightest: Headroom | None


@dataclass(frozen=True, kw_only=True)
class ScreenFigures:
    """Everything on the screen at the time *at*."""

    at: datetime
    lines: tuple[ExecutorLine, ...]
    dead_letters: Sequence[DeadLetter]
    newest: Sequence[ExecutionRow]
    signals: int
    latency_ms: Mapping[str, float | None]


def read(record: Record, executors: Mapping[str, ExecutorSettings]) -> ScreenFigures:
    """Return the current figures. Raises RecordUnavailable."""
    now = datetime.now(UTC)
    body, counts = report(record, since=now - SPAN).to_json(), open_counts(record)
    limits, switches = headroom(record, executors), Switches(record)

    def line(executor: ExecutorSettings) -> ExecutorLine:
        count = counts.get(executor.id, nothing_open())
        # Count only the executor's current mode: orders at the paper exchange say nothing about a live account.
        tally = body["by_executor"].get(executor.id, {}).get(executor.mode, {})
        own = [limit for limit in limits if limit.executor_id == executor.id]
        return ExecutorLine(
            executor_id=executor.id,
            mode=executor.mode,
            switches=switches.active_switches(executor.id),
            workers=count.workers,
            open=sum(count.open[state.value] for state in UNDECIDED),
            dead=count.dead_letters,
            oldest_s=count.oldest_unfinished_s,
            with_order=tally.get("with_order", 0),
            eligible=tally.get("eligible", 0),
            tightest=max(own, key=lambda limit: limit.percent, default=None),
        )

    return ScreenFigures(
        at=now,
        lines=tuple(map(line, executors.values())),
        dead_letters=DeadLetters(record).open(limit=_MOST),
        newest=executions(record, limit=_MOST),
        signals=body["signals"],
        latency_ms=body["latency_ms"],
    )
