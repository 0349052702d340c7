"""Check the executions: which wait, are unknown or dead, how many became orders, and the last fills."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from config.schema.executor import ExecutorSettings
from pipeline.entrypoints.doctor.findings import CheckResult, critical, ok, warning
from pipeline.model.reasons import Code
from pipeline.model.states import State
from pipeline.operations.dead_letters import DeadLetters
from pipeline.store.record import Record
from pipeline.store.rows import Mode
from pipeline.store.statements import sql
from pipeline.views.counts import open_counts, reason_counts
from pipeline.views.report import report

#: Rates and reasons are counted over this time.
SPAN = timedelta(hours=24)
_UNFINISHED_S = 60.0
_UNKNOWN_FOR = timedelta(seconds=30)
#: An execution rate below the first figure is a warning, unless fewer executions than the second were eligible.
_LEAST_RATE, _ENOUGH = 0.5, 10
_TOP = 5
# Executions with these reasons wait as intended: until the market opens, a person resumes, or a minimum hold is over.
_ON_PURPOSE = frozenset({Code.MARKET_CLOSED, Code.PAUSED, Code.MINIMUM_HOLD})


@dataclass(frozen=True, kw_only=True)
class _Waiting:
    """Undecided executions with the same executor, state and reason."""

    executor_id: str
    state: State
    reason_code: str | None
    count: int
    oldest_s: float

    def __str__(self) -> str:
        reason = f" ({self.reason_code})" if self.reason_code else ""
        return f"{self.count} {self.state} at {self.executor_id}{reason}, the oldest for {self.oldest_s:.0f} s"


@dataclass(frozen=True, kw_only=True)
class _Unknown:
    executor_id: str
    count: int
    oldest_s: float
    #: The oldest one.
    execution_id: UUID


@dataclass(frozen=True, kw_only=True)
class _Fill:
    mode: Mode
    symbol: str
    side: str
    filled_quantity: Decimal
    filled_average_price: Decimal | None
    ago: timedelta | None

    def __str__(self) -> str:
        price = "" if self.filled_average_price is None else f" at {self.filled_average_price:f}"
        ago = "some time ago" if self.ago is None else f"{self.ago.total_seconds():.0f} s ago"
        where = "at the paper exchange" if self.mode is Mode.EXCHANGE else f"in mode {self.mode}"
        return f"{self.side} {self.filled_quantity:f} {self.symbol}{price}, {ago}, {where}"


def check_work(record: Record, executors: Mapping[str, ExecutorSettings]) -> Iterator[CheckResult]:
    """Yield the findings on executions. Raises RecordUnavailable."""
    since = datetime.now(UTC) - SPAN
    reasons = [each.to_json() for each in reason_counts(record, since=since)]
    yield _unfinished(record)
    yield _unknown(record)
    yield _dead_letters(record)
    yield from _rates(report(record, since=since).to_json()["by_executor"], reasons)
    yield _top_reasons(reasons)
    for executor_id in executors:
        yield _last_fill(record, executor_id)


def _unfinished(record: Record) -> CheckResult:
    waiting = record.all(_Waiting, sql("doctor", "waiting"))
    on_their_way = [each for each in waiting if each.reason_code not in _ON_PURPOSE]
    late = [each for each in on_their_way if each.oldest_s > _UNFINISHED_S]
    if not late:
        moving = _total(on_their_way)
        saw = f"{moving} on their way, {_total(waiting) - moving} held on purpose" if waiting else "none waits"
        return ok("unfinished", saw)
    return warning(
        "unfinished",
        "; ".join(map(str, late)),
        cause="The broker is away, an earlier execution of the symbol is open, or no worker runs.",
        remedy=f"`tradewire executions --status {late[0].state}` and `tradewire why ID` show the cause.",
    )


def _total(waiting: Sequence[_Waiting]) -> int:
    return sum(each.count for each in waiting)


def _unknown(record: Record) -> CheckResult:
    found = record.all(_Unknown, sql("doctor", "unknowns"), {"older_than": _UNKNOWN_FOR})
    if not found:
        return ok("unknown", "no outcome has been unknown for 30 s")
    return critical(
        "unknown",
        "; ".join(f"{each.count} at {each.executor_id}, the oldest for {each.oldest_s:.0f} s" for each in found),
        cause="No answer of the broker shows whether it has the order: the broker or the keeper is away.",
        remedy=f"`tradewire why {found[0].execution_id}`. It becomes a dead letter after 60 s of clear answers.",
    )


def _dead_letters(record: Record) -> CheckResult:
    counts = {name: each.dead_letters for name, each in open_counts(record).items() if each.dead_letters}
    if not counts:
        return ok("dead letters", "0 open")
    by_executor = ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
    oldest = DeadLetters(record).open(limit=1)
    # The list is empty if all dead letters were closed after they were counted.
    first = "".join(f"; the oldest: {one.action} {one.symbol} at {one.executor_id}, {one.reason}" for one in oldest)
    return warning(
        "dead letters",
        f"{sum(counts.values())} open ({by_executor}){first}",
        cause="These executions need a person.",
        remedy="`tradewire dead list`, then `tradewire dead requeue ID` or `tradewire dead discard ID`.",
    )


def _rates(by_executor: Mapping[str, Any], reasons: list[dict[str, Any]]) -> Iterator[CheckResult]:
    counted = False
    for executor_id, modes in by_executor.items():
        for mode, tally in modes.items():
            if tally["eligible"]:
                counted = True
                yield _rate(executor_id, mode, tally, reasons)
    if not counted:
        yield ok("execution rate", "nothing was eligible in 24 h")


def _rate(executor_id: str, mode: str, tally: Mapping[str, Any], reasons: list[dict[str, Any]]) -> CheckResult:
    name, rate = f"execution rate {executor_id} ({mode})", tally["execution_rate"]
    skipped = tally["by_status"].get("skipped", 0)
    saw = (
        f"{rate:.1%}: {tally['with_order']} orders of {tally['eligible']} decided and not skipped; "
        f"{skipped} skipped by our rules, in 24 h"
    )
    if rate >= _LEAST_RATE or tally["eligible"] < _ENOUGH:
        return ok(name, saw)
    # Skipped executions do not count in the rate, so they cannot be the cause of a low rate.
    which = (executor_id, mode)
    why = [each for each in reasons if (each["executor_id"], each["mode"]) == which and each["status"] != "skipped"]
    cause, remedy = "No reason is more frequent than the others.", ""
    if why:
        cause = f"Most often {why[0]['reason_code']} ({why[0]['count']}). {why[0]['meaning']}"
        remedy = why[0]["remedy"]
    remedy = remedy or f"`tradewire reasons`, `tradewire executions --executor {executor_id}`."
    return warning(name, saw, cause=cause, remedy=remedy)


def _top_reasons(reasons: list[dict[str, Any]]) -> CheckResult:
    top = ", ".join(f"{each['reason_code']} {each['count']} ({each['executor_id']})" for each in reasons[:_TOP])
    return ok("top reasons", f"{top}, in 24 h" if top else "none in 24 h")


def _last_fill(record: Record, executor_id: str) -> CheckResult:
    fill = record.maybe(_Fill, sql("doctor", "last_fill"), {"executor_id": executor_id})
    return ok(f"last fill {executor_id}", "none yet" if fill is None else str(fill))
