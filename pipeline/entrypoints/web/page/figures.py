"""Count the outcomes of executions in a window of time. Requests within seconds of each other share one count."""

import threading
import time
from collections import Counter, defaultdict
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

from psycopg import Connection
from psycopg.rows import DictRow

from pipeline.entrypoints.web.page.charts import ChartBar, Series, columns, lines, most_frequent
from pipeline.model.states import State
from pipeline.store.query import execute, fetch_all
from pipeline.store.record import Record
from pipeline.store.rows import Mode
from pipeline.store.statements import sql
from pipeline.views.report import ReportTally

#: The bounds between the steps of the latency histogram, in milliseconds.
BOUNDS = (2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)
_SHARED_S, _LONGEST_KEPT_S = 4.0, 60.0
# Seconds that a page waits for a count. A count that takes longer is shown on a later request.
_RETRY_FOR_S = 0.12


@dataclass(frozen=True, kw_only=True)
class Window:
    """How far back the charts go."""

    label: str
    back: timedelta
    slot: timedelta
    #: The format of a slot's time.
    time_format: str

    @property
    def slots(self) -> int:
        """Return the number of columns of a chart."""
        return round(self.back / self.slot)


WINDOWS = MappingProxyType(
    {
        "1h": Window(label="hour", back=timedelta(hours=1), slot=timedelta(minutes=2), time_format="%H:%M"),
        "24h": Window(label="24 hours", back=timedelta(hours=24), slot=timedelta(minutes=30), time_format="%H:%M"),
        "7d": Window(label="7 days", back=timedelta(days=7), slot=timedelta(hours=4), time_format="%d %b %H:%M"),
    }
)


@dataclass(frozen=True, kw_only=True)
class ExecutionRate:
    """The execution rate of one executor in one mode. Rates are never summed over modes."""

    executor_id: str
    mode: str
    tally: ReportTally
    lines: list[str]


@dataclass(frozen=True, kw_only=True)
class ChartFigures:
    """The figures of the charts."""

    window: Window
    counted_at: datetime
    labels: list[str]
    rates: list[ExecutionRate]
    reasons: list[Series]
    bars: list[ChartBar]
    highest: int
    #: The label of each step of the histogram, and its number of order ids.
    latency: list[tuple[str, int]]

    def rate_of(self, executor_id: str, mode: str) -> ReportTally | None:
        """Return the counts of an executor in a mode; None when it had no execution."""
        return next((rate.tally for rate in self.rates if (rate.executor_id, rate.mode) == (executor_id, mode)), None)


class CountCache:
    """Counts each window once for requests at about the same time.

    While a new count runs, the last count is shown with its time, if it is at most a minute old.
    """

    def __init__(self, record: Record) -> None:
        self._record = record
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[ChartFigures, float]] = {}
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="figures")
        self._begun: dict[str, Future[ChartFigures]] = {}

    def of(self, window: str) -> ChartFigures | None:
        """Return the figures of a window, at most a minute old; None while they are being counted.

        Raises:
            RecordUnavailable: PostgreSQL is away.
        """
        with self._lock:
            figures, at = self._kept.get(window, (None, 0.0))
            age_s = time.monotonic() - at
            if figures is not None and age_s < _SHARED_S:
                return figures
            begun = self._begun.get(window)
            if begun is None:
                begun = self._begun[window] = self._pool.submit(self._count, window)
        if figures is not None and age_s < _LONGEST_KEPT_S:
            return figures
        try:
            return begun.result(_RETRY_FOR_S)
        except TimeoutError:
            return None

    def _count(self, name: str) -> ChartFigures:
        try:
            figures = self._counted(WINDOWS[name])
            with self._lock:
                self._kept[name] = (figures, time.monotonic())
            return figures
        finally:
            with self._lock:
                del self._begun[name]

    def _counted(self, window: Window) -> ChartFigures:
        now = datetime.now(UTC)
        # Slots begin at round times, so that a column stays in its place while it grows.
        since = now - (now - datetime(1970, 1, 1, tzinfo=UTC)) % window.slot - window.back + window.slot
        key = {"since": since, "slot": window.slot, "bounds": [float(bound) for bound in BOUNDS]}

        def unit(connection: Connection[DictRow]) -> list[_OutcomeGroup]:
            execute(connection, sql("page", "memory_for_counts"))
            return fetch_all(connection, _OutcomeGroup, sql("page", "outcomes"), key)

        return _figures(window, since, now, self._record.run(unit))


@dataclass(frozen=True, kw_only=True)
class _OutcomeGroup:
    slot: datetime
    executor_id: str
    mode: Mode
    state: State
    reason_code: str | None
    #: How many of the `BOUNDS` the time to the order id has reached; None without an order id.
    step: int | None
    count: int
    with_order: int


@dataclass(kw_only=True)
class _Sums:
    slots: int
    whole: dict[tuple[str, str], ReportTally] = field(default_factory=lambda: defaultdict(ReportTally))
    parts: dict[tuple[str, str, int], ReportTally] = field(default_factory=lambda: defaultdict(ReportTally))
    reasons: dict[str, list[int]] = field(default_factory=dict)
    steps: Counter[int] = field(default_factory=Counter)

    def add(self, slot: int, group: _OutcomeGroup) -> None:
        key = (group.executor_id, group.mode.value)
        for tally in (self.whole[key], self.parts[*key, slot]):
            tally.add(group.state, group.reason_code, count=group.count, with_order=group.with_order)
        if group.reason_code:
            self.reasons.setdefault(group.reason_code, [0] * self.slots)[slot] += group.count
        if group.step is not None:
            self.steps[group.step] += group.count


def _figures(window: Window, since: datetime, now: datetime, groups: list[_OutcomeGroup]) -> ChartFigures:
    sums = _Sums(slots=window.slots)
    for group in groups:
        # The database's clock may be a little ahead of this process's: a slot in the future counts as the last slot.
        sums.add(min(int((group.slot - since) / window.slot), window.slots - 1), group)
    labels = [f"{since + slot * window.slot:{window.time_format}}" for slot in range(window.slots)]
    reasons = most_frequent(sums.reasons)
    bars, highest = columns(reasons, labels)
    latency = [(_step(step), sums.steps[step]) for step in range(len(BOUNDS) + 1)]
    return ChartFigures(
        window=window,
        counted_at=now,
        labels=labels,
        rates=_rates(sums),
        reasons=reasons,
        bars=bars,
        highest=highest,
        latency=latency,
    )


def _rates(sums: _Sums) -> list[ExecutionRate]:
    rates = []
    for (executor_id, mode), tally in sorted(sums.whole.items()):
        by_slot = (sums.parts.get((executor_id, mode, slot)) for slot in range(sums.slots))
        drawn = lines([None if part is None else part.execution_rate for part in by_slot])
        rates.append(ExecutionRate(executor_id=executor_id, mode=mode, tally=tally, lines=drawn))
    return rates


def _step(step: int) -> str:
    if step == 0:
        return f"below {_ms(BOUNDS[0])}"
    if step == len(BOUNDS):
        return f"{_ms(BOUNDS[-1])} and more"
    return f"{_ms(BOUNDS[step - 1])} to {_ms(BOUNDS[step])}"


def _ms(milliseconds: int) -> str:
    return f"{milliseconds} ms" if milliseconds < 1000 else f"{milliseconds // 1000} s"  # noqa: PLR2004 -- a second
