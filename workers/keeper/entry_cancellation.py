"""End entries while an account is reducing or halted: what works is canceled, what waits is judged anew."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from psycopg.rows import DictRow

from pipeline.model.reasons import Code
from pipeline.model.symbols import AssetClass, asset_class
from pipeline.store.record import Record
from pipeline.store.statements import sql
from workers.account.runtime import ExecutorRuntime
from workers.execution.cancels import ask_to_cancel

# A worker that judged while the switch was turned may hold its entry a little later than that.
_GRACE = timedelta(seconds=5)
_WAITS = (
    Code.PAUSED,
    Code.MARKET_CLOSED,
    Code.CLOCK_UNREADABLE,
    Code.PRICE_UNKNOWN,
    Code.ACCOUNT_UNWATCHED,
    Code.REJECTIONS_IN_A_ROW,
)


@dataclass(frozen=True, kw_only=True)
class EntryCancellation:
    """Looks after the entries of one executor's account. Running it twice changes nothing."""

    record: Record
    runtime: ExecutorRuntime

    def end_entries(self, since: datetime) -> int:
        """Cancel what works and release what waits at an account stopped *since*; return how many entries work still.

        Raises:
            RecordUnavailable: PostgreSQL is away.
        """
        values = {
            "executor_id": self.runtime.executor.id,
            "since": since,
            "grace": _GRACE,
            "reason_codes": [code.value for code in _WAITS],
        }
        self.record.run(lambda connection: connection.execute(sql("switches", "release_stopped"), values).fetchall())
        return cancel_entries(self.record, self.runtime)

    def stopped(self) -> DictRow:
        """Return since when entries end (None: they do not), and whether everything is to be closed.

        Raises:
            RecordUnavailable: PostgreSQL is away.
        """
        key = {"executor_id": self.runtime.executor.id}
        row = self.record.run(lambda connection: connection.execute(sql("switches", "stopped_since"), key).fetchone())
        assert row is not None
        return row


def cancel_entries(record: Record, runtime: ExecutorRuntime, *, only: AssetClass | None = None) -> int:
    """Ask for a cancel of every entry that works, of one asset class or of all; return how many work.

    Raises:
        RecordUnavailable: PostgreSQL is away.
    """
    key = {"executor_id": runtime.executor.id}
    rows = record.run(lambda connection: connection.execute(sql("switches", "working_entries"), key).fetchall())
    meant = [row["order_id"] for row in rows if only is None or asset_class(row["symbol"]) is only]
    for order_id in meant:
        ask_to_cancel(record, runtime.urgent, order_id)
    return len(meant)
