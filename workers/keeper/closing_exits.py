"""Close positions by exits of our own, one at a time per symbol, and again until they are gone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import structlog
from psycopg.rows import DictRow

from pipeline.intake.intake import Intake
from pipeline.intake.routing import OWN
from pipeline.model.account import Position
from pipeline.model.errors import InvalidSignal, SourceIdConflict
from pipeline.model.signals import Action, Intent
from pipeline.store.record import Record
from pipeline.store.statements import sql
from workers.account.runtime import ExecutorRuntime
from workers.keeper.exit_follow_up import gap_after
from workers.rules.exits import CLOSES_THE_ACCOUNT

log = structlog.get_logger(__name__)

# So many exits of one symbol that did not close it are something to look at.
_SAY_AFTER = 2


@dataclass(frozen=True, kw_only=True)
class ClosingExits:
    """Records exits of the whole account, of source `tradewire:<cause>`. Every source_id is derived."""

    record: Record
    intake: Intake
    runtime: ExecutorRuntime
    cause: str
    who: str
    _refused: set[str] = field(default_factory=set)

    def close(self, positions: Iterable[Position], *, taken_at: datetime, root: str) -> int:
        """Record an exit for each position that none of ours is closing, and return how many were recorded.

        Args:
            positions: what the broker holds.
            taken_at: when that was read; a fill since then is waited out.
            root: begins the source_ids: the same root closes the same thing.

        Raises:
            RecordUnavailable: PostgreSQL is away.
        """
        return sum(self._close(position, taken_at, f"{root}-{position.symbol}-") for position in positions)

    def _close(self, position: Position, taken_at: datetime, root: str) -> bool:
        if not position.quantity or position.symbol in self._refused:
            return False
        row = self._next(position.symbol, taken_at, root)
        if row["under_way"] or (row["since_last"] or timedelta.max) < gap_after(row["n"] - 1):
            return False
        raw = {
            "source_id": f"{root}{row['n']}",
            "symbol": position.symbol,
            "action": Action.SELL if position.quantity > 0 else Action.BUY,
            "intent": Intent.CLOSE,
            "executors": [self.runtime.executor.id],
        }
        try:
            recorded = self.intake.record_own(raw, cause=self.cause)
        except SourceIdConflict:
            # The position changed between two keepers' looks: the next look takes the next number.
            return False
        except InvalidSignal as error:
            # Something that tradewire does not trade: a person has to close it.
            self._refused.add(position.symbol)
            log.error("position.not_closable", symbol=position.symbol, error=str(error))  # noqa: TRY400 -- it says all
            return False
        if row["n"] > _SAY_AFTER:
            log.error("exit.not_done", executor_id=self.runtime.executor.id, symbol=position.symbol, tries=row["n"] - 1)
        self._supersede(position.symbol, recorded.executions[0].execution_id)
        return not recorded.duplicate

    def _next(self, symbol: str, taken_at: datetime, root: str) -> DictRow:
        values = self._of(symbol) | {"source": f"{OWN}{self.cause}", "root": root, "taken_at": taken_at}
        row = self.record.run(lambda connection: connection.execute(sql("switches", "next_close"), values).fetchone())
        assert row is not None
        return row

    def _supersede(self, symbol: str, execution_id: Any) -> None:
        values = self._of(symbol) | {"execution_id": execution_id, "by": self.who}
        gone = self.record.run(
            lambda connection: connection.execute(sql("switches", "supersede_symbol"), values).fetchall()
        )
        for row in gone:
            log.info("execution.superseded", execution_id=str(row["execution_id"]), by=str(execution_id))

    def _of(self, symbol: str) -> dict[str, Any]:
        return {"executor_id": self.runtime.executor.id, "symbol": symbol, "sources": sorted(CLOSES_THE_ACCOUNT)}
