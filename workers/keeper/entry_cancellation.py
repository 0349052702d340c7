"""Cancel working entries that have worked for too long or whose account is stopped, and let workers skip held ones."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from pipeline.model.reasons import Code
from pipeline.model.symbols import AssetClass, asset_class
from pipeline.store.record import Record
from pipeline.store.statements import sql
from workers.account.runtime import ExecutorRuntime
from workers.execution.cancels import ask_to_cancel
from workers.rules.freshness import keeps_hours
from workers.rules.market_hours import Market, by_calendar, open_age

# A worker that decided just before the switch was turned on may record its hold up to this much later.
_GRACE = timedelta(seconds=5)
_HELD_FOR = (
    Code.PAUSED,
    Code.MARKET_CLOSED,
    Code.CLOCK_UNREADABLE,
    Code.PRICE_UNKNOWN,
    Code.ACCOUNT_UNWATCHED,
    Code.ENTRIES_REFUSED,
    Code.REJECTIONS_IN_A_ROW,
)


@dataclass(frozen=True, kw_only=True)
class _WorkingEntry:
    order_id: str
    symbol: str
    sent_at: datetime


def end_entries(record: Record, runtime: ExecutorRuntime, since: datetime) -> None:
    """Cancel working entries, and make executions due that were held before *since* for a reason in `_HELD_FOR`.

    A worker then skips the entries among them, and holds the exits again. Running it twice changes nothing.
    """
    reason_codes = [code.value for code in _HELD_FOR]
    values = {"executor_id": runtime.executor.id, "since": since, "grace": _GRACE, "reason_codes": reason_codes}
    record.do(sql("switches", "release_stopped"), values)
    cancel_entries(record, runtime)


def cancel_entries(record: Record, runtime: ExecutorRuntime, *, only: AssetClass | None = None) -> None:
    """Ask for a cancel of every working entry of the asset class *only* (None: of all)."""
    for entry in _working_entries(record, runtime):
        if only is None or asset_class(entry.symbol) is only:
            ask_to_cancel(record, runtime.broker.canceling(), entry.order_id)


def cancel_old_entries(record: Record, runtime: ExecutorRuntime) -> None:
    """Ask for a cancel of every entry that has worked for longer than `order.entry_timeout_s`, in open-market time."""
    timeout = timedelta(seconds=runtime.executor.order.entry_timeout_s)
    now = record.one(datetime, sql("accounts", "now"))
    market = _market(runtime, now)
    for entry in _working_entries(record, runtime):
        hours = market if keeps_hours(asset_class(entry.symbol), runtime.executor) else None
        if open_age(entry.sent_at, now, hours) > timeout:
            ask_to_cancel(record, runtime.broker.canceling(), entry.order_id, reason=Code.ENTRY_TIMEOUT)


def _working_entries(record: Record, runtime: ExecutorRuntime) -> list[_WorkingEntry]:
    return record.all(_WorkingEntry, sql("switches", "working_entries"), {"executor_id": runtime.executor.id})


def _market(runtime: ExecutorRuntime, now: datetime) -> Market | None:
    """Return the hours at *now* without a request to the broker; None if they are not known."""
    last = runtime.snapshots.last_clock()
    return by_calendar(last, now, runtime.calendar.known(now if last is None else last.at(now)))
