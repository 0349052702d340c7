"""Look at the work itself: what waits, what is unknown or dead, what was executed and filled, and why not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from config.schema.executor import ExecutorSettings
from pipeline.entrypoints.doctor.findings import CheckResult, CheckStatus
from pipeline.model.reasons import Code
from pipeline.operations.dead_letters import DeadLetters
from pipeline.store.record import Record
from pipeline.store.statements import sql
from pipeline.views.counts import open_counts, reason_counts
from pipeline.views.report import report

#: Rates and reasons are of this time.
SPAN = timedelta(hours=24)
_UNFINISHED_S = 60.0
_UNKNOWN_FOR = timedelta(seconds=30)
#: Below this share of orders, and from so many eligible executions on, something is wrong.
_LEAST_RATE, _ENOUGH = 0.5, 10
_TOP = 5
# It waits because somebody wants it to: the market opens, a person resumes, a firm's time is over.
_ON_PURPOSE = frozenset({Code.MARKET_CLOSED, Code.PAUSED, Code.MINIMUM_HOLD})


def look_at_work(record: Record, executors: Mapping[str, ExecutorSettings]) -> Iterator[CheckResult]:
    """Yield what became of the signals.

    Raises:
        RecordUnavailable: PostgreSQL is away.
    """
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
    rows = record.run(lambda connection: connection.execute(sql("doctor", "waiting")).fetchall())
    waits = [row for row in rows if row["reason_code"] not in _ON_PURPOSE]
    late = [row for row in waits if row["oldest_s"] > _UNFINISHED_S]
    if not late:
        on_purpose = sum(row["count"] for row in rows) - sum(row["count"] for row in waits)
        saw = f"{sum(row['count'] for row in waits)} on their way, {on_purpose} held on purpose"
        return CheckResult(name="unfinished", status=CheckStatus.OK, saw=saw if rows else "nothing waits")
    said = (
        f"{row['count']} {row['state'].value} at {row['executor_id']}"
        + (f" ({row['reason_code']})" if row["reason_code"] else "")
        + f", the oldest for {row['oldest_s']:.0f} s"
        for row in late
    )
    return CheckResult(
        name="unfinished",
        status=CheckStatus.WARNING,
        saw="; ".join(said),
        cause="Its broker is away, its symbol waits for an earlier one, or no worker runs.",
        remedy=f"`tradewire executions --status {late[0]['state'].value}` and `tradewire why ID` tell which.",
    )


def _unknown(record: Record) -> CheckResult:
    key = {"older_than": _UNKNOWN_FOR}
    rows = record.run(lambda connection: connection.execute(sql("doctor", "unknowns"), key).fetchall())
    if not rows:
        return CheckResult(name="unknown", status=CheckStatus.OK, saw="no outcome has been unknown for 30 s")
    return CheckResult(
        name="unknown",
        status=CheckStatus.CRITICAL,
        saw="; ".join(
            f"{row['count']} at {row['executor_id']}, the oldest for {row['oldest_s']:.0f} s" for row in rows
        ),
        cause="The broker did not say whether it has the order, and no look-up has: it, or the keeper, is away.",
        remedy=f"`tradewire why {rows[0]['execution_id']}`; at 60 s of a broker that answers it becomes a dead letter.",
    )


def _dead_letters(record: Record) -> CheckResult:
    counts = {name: each.dead_letters for name, each in open_counts(record).items() if each.dead_letters}
    if not counts:
        return CheckResult(name="dead letters", status=CheckStatus.OK, saw="0 open")
    said = ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
    oldest = DeadLetters(record).open(limit=1)
    first = f"; the oldest: {oldest[0].action} {oldest[0].symbol} at {oldest[0].executor_id}, {oldest[0].reason}"
    return CheckResult(
        name="dead letters",
        status=CheckStatus.WARNING,
        saw=f"{sum(counts.values())} open ({said}){first if oldest else ''}",
        cause="Executions that only a person can move on.",
        remedy="`tradewire dead list`, then `tradewire dead requeue ID` or `tradewire dead discard ID`.",
    )


def _rates(by_executor: Mapping[str, Any], reasons: list[dict[str, Any]]) -> Iterator[CheckResult]:
    """Yield the rate of each executor and mode, with what it is counted from; nothing executed yet is no problem."""
    found = False
    for executor_id, modes in by_executor.items():
        for mode, tally in modes.items():
            if tally["eligible"]:
                found = True
                yield _rate(executor_id, mode, tally, reasons)
    if not found:
        yield CheckResult(name="execution rate", status=CheckStatus.OK, saw="nothing was eligible in 24 h")


def _rate(executor_id: str, mode: str, tally: Mapping[str, Any], reasons: list[dict[str, Any]]) -> CheckResult:
    name, rate = f"execution rate {executor_id} ({mode})", tally["execution_rate"]
    skipped = tally["by_status"].get("skipped", 0)
    saw = (
        f"{rate:.1%}: {tally['with_order']} orders of {tally['eligible']} decided and not skipped; "
        f"{skipped} skipped by our rules, in 24 h"
    )
    if rate >= _LEAST_RATE or tally["eligible"] < _ENOUGH:
        return CheckResult(name=name, status=CheckStatus.OK, saw=saw)
    # A skip is not among the eligible, and so no cause.
    why = [
        each
        for each in reasons
        if (each["executor_id"], each["mode"]) == (executor_id, mode) and each["status"] != "skipped"
    ]
    cause = (
        f"Most often {why[0]['reason_code']} ({why[0]['count']}). {why[0]['meaning']}"
        if why
        else "No reason stands out."
    )
    remedy = (
        why[0]["remedy"] if why else None
    ) or f"`tradewire reasons`, `tradewire executions --executor {executor_id}`."
    return CheckResult(name=name, status=CheckStatus.WARNING, saw=saw, cause=cause, remedy=remedy)


def _top_reasons(reasons: list[dict[str, Any]]) -> CheckResult:
    said = ", ".join(f"{each['reason_code']} {each['count']} ({each['executor_id']})" for each in reasons[:_TOP])
    return CheckResult(name="top reasons", status=CheckStatus.OK, saw=f"{said}, in 24 h" if said else "none in 24 h")


def _last_fill(record: Record, executor_id: str) -> CheckResult:
    name, key = f"last fill {executor_id}", {"executor_id": executor_id}
    row = record.run(lambda connection: connection.execute(sql("doctor", "last_fill"), key).fetchone())
    if row is None:
        return CheckResult(name=name, status=CheckStatus.OK, saw="none yet")
    price = "" if row["filled_average_price"] is None else f" at {row['filled_average_price']:f}"
    ago = f"{row['ago'].total_seconds():.0f} s ago" if row["filled_at"] else "some time ago"
    money = "at the paper exchange" if row["mode"] == "exchange" else f"in mode {row['mode'].value}"
    saw = f"{row['side']} {row['filled_quantity']:f} {row['symbol']}{price}, {ago}, {money}"
    return CheckResult(name=name, status=CheckStatus.OK, saw=saw)
