"""Compare the clocks of this machine, PostgreSQL and the brokers, and check whether the market is open."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from config.schema.executor import ExecutorSettings
from pipeline.entrypoints.doctor.findings import CheckResult, CheckStatus, ok, warning
from pipeline.model.account import Clock
from pipeline.store.record import Record
from pipeline.store.statements import sql

T = TypeVar("T")

#: A difference between two clocks above this is a warning.
SKEW_WARNING_S = 2.0
#: A difference between two clocks above this is critical: ages and market hours come out wrong.
SKEW_CRITICAL_S = 30.0


@dataclass(frozen=True, kw_only=True)
class Skew:
    """The seconds that another clock is ahead of this machine's, and how uncertain that is."""

    ahead_s: float
    #: Half the time that the request took: the clock was read at some moment within it.
    unsure_s: float

    def less(self, other: Skew) -> Skew:
        """Return how far this clock is ahead of the clock that *other* describes."""
        return Skew(ahead_s=self.ahead_s - other.ahead_s, unsure_s=self.unsure_s + other.unsure_s)

    @property
    def at_least_s(self) -> float:
        """Return by how many seconds the clocks differ at least."""
        return max(abs(self.ahead_s) - self.unsure_s, 0.0)


def measured(ask: Callable[[], T], time_of: Callable[[T], datetime]) -> tuple[T, Skew]:
    """Read another clock and compare it with ours at the middle of the request."""
    before = datetime.now(UTC)
    answer = ask()
    took = datetime.now(UTC) - before
    ahead = time_of(answer) - (before + took / 2)
    return answer, Skew(ahead_s=ahead.total_seconds(), unsure_s=took.total_seconds() / 2)


def skew_of_record(record: Record) -> Skew:
    """Return how far PostgreSQL's clock is ahead of this machine's. Raises RecordUnavailable."""
    # Open a connection first, so that the measured request does not include it.
    record.run(lambda _connection: None)
    return measured(lambda: record.one(datetime, sql("accounts", "now")), lambda now: now)[1]


def check_record_clock(skew: Skew) -> CheckResult:
    """Check whether this machine and PostgreSQL agree on the time."""
    return _finding(
        "clock postgresql",
        skew,
        whose="PostgreSQL's clock",
        than="this machine's",
        cause="The clock of this machine or of PostgreSQL's machine is wrong.",
        remedy="`timedatectl set-ntp true` on the machine whose clock is wrong.",
    )


def check_broker_clock(executor: ExecutorSettings, skew: Skew, record: Skew | None) -> CheckResult:
    """Check whether the broker's clock agrees with PostgreSQL's, which measures all ages.

    If *record*, the skew of PostgreSQL, is None, the broker's clock is compared with this machine's.
    """
    if executor.mode == "exchange":
        cause = "The clock of the paper exchange was set to another time."
        remedy = 'Restart `tradewire exchange`, or post {"mode": "always_open"} to its /admin/clock with its token.'
    else:
        cause = "The clock of PostgreSQL's machine is wrong; a broker's clock rarely is."
        remedy = "`timedatectl set-ntp true` on PostgreSQL's machine and on this one."
    return _finding(
        f"clock broker {executor.id}",
        skew if record is None else skew.less(record),
        whose="the broker's clock",
        than="this machine's" if record is None else "PostgreSQL's",
        cause=cause,
        remedy=remedy,
    )


def check_market(executor: ExecutorSettings, clock: Clock | None) -> CheckResult:
    """Check whether the market is open. A closed market is not a problem; a clock that cannot be read is a warning."""
    name = f"market {executor.id}"
    if clock is None:
        return warning(
            name,
            "the broker's clock cannot be read",
            cause="The broker did not answer the request for its clock; entries and exits of shares wait for it.",
            remedy="See the finding on the broker; run `tradewire doctor` again.",
        )
    hours = (
        f"closes {clock.next_close:%a %H:%M} UTC" if clock.is_open else f"opens {clock.next_open:%a %Y-%m-%d %H:%M} UTC"
    )
    return ok(name, f"{'open' if clock.is_open else 'closed'}, {hours}")


def _finding(name: str, skew: Skew, *, whose: str, than: str, cause: str, remedy: str) -> CheckResult:
    off = skew.at_least_s
    way = "ahead of" if skew.ahead_s >= 0 else "behind"
    saw = f"{whose} is {abs(skew.ahead_s):.3f} s {way} {than}"
    if off <= SKEW_WARNING_S:
        return ok(name, saw)
    status = CheckStatus.CRITICAL if off > SKEW_CRITICAL_S else CheckStatus.WARNING
    return CheckResult(name=name, status=status, saw=saw, cause=cause, remedy=remedy)
