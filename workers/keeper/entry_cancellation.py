"""End the entries of a reducing or halted account: cancel working orders, and make held ones due."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from pipeline.model.reasons import Code
from pipeline.model.symbols import AssetClass, asset_class
from pipeline.store.record import Record
from pipeline.store.statements import sql
from workers.account.runtime import ExecutorRuntime
from workers.execution.cancels import ask_to_cancel

# A worker that decided just before the switch was turned may hold its entry a little after it.
_GRACE = timedelta(seconds=5)
_HELD_FOR = (
    Code.PAUSED,
    Code.MARKET_CLOSED,
    Code.CLOCK_UNREADABLE,
    Code.PRICE_UNKNOWN,
    Code.ACCOUNT_UNWATCHED,
    Code.REJECTIONS_IN_A_ROW,
)


@dataclass(frozen=True, kw_only=True)
class _WorkingEntry:
    order_id: str
    symbol: str


@dataclass(frozen=True, kw_only=True)
class EntryCancellation:
    """Ends the entries of one executor's account. Running it twice changes nothing."""

    record: Record
    runtime: ExecutorRuntime

    def end_entries(self, since: datetime) -> int:
        """Cancel working entries, and make due what was held before *since*; return how many entries still work."""
        values = {
            "executor_id": self.runtime.executor.id,
            "since": since,
            "grace": _GRACE,
            "reason_codes": [code.value for code in _HELD_FOR],
        }
        self.record.do(sql("switches", "release_stopped"), values)
        return cancel_entries(self.record, self.runtime)


def cancel_entries(record: Record, runtime: ExecutorRuntime, *, only: AssetClass | None = None) -> int:
    """Ask for a cancel of every working entry of the asset class *only* (None: of all); return how many work."""
    working = record.all(_WorkingEntry, sql("switches", "working_entries"), {"executor_id": runtime.executor.id})
    entries = [entry for entry in working if only is None or asset_class(entry.symbol) is only]
    for entry in entries:
        ask_to_cancel(record, runtime.urgent, entry.order_id)
    return len(entries)
