"""Compare the clocks that decisions are timed by: this machine's, PostgreSQL's, the brokers'; tell the market."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from config.schema.executor import ExecutorSettings
from pipeline.entrypoints.doctor.findings import CheckResult, CheckStatus
from pipeline.model.account import Clock
from pipeline.store.record import Record
from pipeline.store.statements import sql

T = TypeVar("T")

#: Clocks that differ by more than this are a warning …
SKEW_WARNING_S = 2.0
#: … and by more than this, ages and the market's bells are told wrong.
SKEW_CRITICAL_S = 30.0


@dataclass(frozen=True, kw_only=True)
class Skew:
    """How far another clock is ahead of this machine's, in seconds, and how exactly that is known."""

    ahead_s: float
    #: Half the time that the question took: the clock was read somewhere within.
    unsure_s: float

    def less(self, other: Skew) -> Skew:
        """Return how far this clock is ahead of *other*."""
        return Skew(ahead_s=self.ahead_s - other.ahead_s, unsure_s=self.unsure_s + other.unsure_s)

    @property
    def at_least_s(self) -> float:
        """How far apart the two are for sure."""
        return max(abs(self.ahead_s) - self.unsure_s, 0.0)


def measured(ask: Callable[[], T], time_of: Callable[[T], datetime]) -> tuple[T, Skew]:
    """Ask for another clock's time and compare it with ours at the middle of the question."""
    before = datetime.now(UTC)
    answer = ask()
    took = datetime.now(UTC) - before
    ahead = time_of(answer) - (before + took / 2)
    return answer, Skew(ahead_s=ahead.total_seconds(), unsure_s=took.total_seconds() / 2)


def skew_of_record(record: Record) -> Skew:
    """Return how far PostgreSQL's clock is ahead of this machine's.

    Raises:
        RecordUnavailable: PostgreSQL is away.
    """

    def ask() -> datetime:
        row = record.run(lambda connection: connection.execute(sql("accounts", "now")).fetchone())
        assert row is not None
        now: datetime = row["now"]
        return now

    record.run(lambda _connection: None)  # A connection is there now: opening it is no part of the question.
    return measured(ask, lambda now: now)[1]


def look_at_record_clock(skew: Skew) -> CheckResult:
    """Say whether this machine and PostgreSQL agree on the time."""
    return _finding(
        "clock postgresql",
        skew,
        whose="PostgreSQL's clock",
        than="this machine's",
        cause="The clock of this machine or of PostgreSQL's is wrong.",
        remedy="`timedatectl set-ntp true` on the one that is off.",
    )


def look_at_broker_clock(executor: ExecutorSettings, skew: Skew, record: Skew | None) -> CheckResult:
    """Say whether the broker agrees with PostgreSQL, by whose clock all ages are counted; else with this machine."""
    if executor.mode == "exchange":
        cause = "The paper exchange was told to show another time."
        remedy = 'Restart `tradewire exchange`, or post {"mode": "always_open"} to its /admin/clock.'
    else:
        cause = "The clock of PostgreSQL's machine is wrong; a broker's seldom is."
        remedy = "`timedatectl set-ntp true` on PostgreSQL's machine and on this one."
    return _finding(
        f"clock broker {executor.id}",
        skew if record is None else skew.less(record),
        whose="the broker's clock",
        than="this machine's" if record is None else "PostgreSQL's",
        cause=cause,
        remedy=remedy,
    )


def look_at_market(executor: ExecutorSettings, clock: Clock | None) -> CheckResult:
    """Say whether the market is open. A closed one is no problem; one that nobody can tell is."""
    name = f"market {executor.id}"
    if clock is None:
        return CheckResult(
            name=name,
            status=CheckStatus.WARNING,
            saw="the broker's clock cannot be read",
            cause="The broker did not answer the question for its clock; entries and exits of shares wait for it.",
            remedy="See the broker's finding; `tradewire doctor` again tells whether it passed.",
        )
    queues = (
        f"closes {clock.next_close:%a %H:%M} UTC" if clock.is_open else f"opens {clock.next_open:%a %Y-%m-%d %H:%M} UTC"
    )
    return CheckResult(name=name, status=CheckStatus.OK, saw=f"{'open' if clock.is_open else 'closed'}, {queues}")


def _finding(name: str, skew: Skew, *, whose: str, than: str, cause: str, remedy: str) -> CheckResult:
    off = skew.at_least_s
    way = "ahead of" if skew.ahead_s >= 0 else "behind"
    saw = f"{whose} is {abs(skew.ahead_s):.3f} s {way} {than}"
    if off <= SKEW_WARNING_S:
        return CheckResult(name=name, status=CheckStatus.OK, saw=saw)
    status = CheckStatus.CRITICAL if off > SKEW_CRITICAL_S else CheckStatus.WARNING
    return CheckResult(name=name, status=status, saw=saw, cause=cause, remedy=remedy)
