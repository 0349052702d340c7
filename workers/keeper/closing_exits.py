"""Record exits that close positions, one per symbol at a time, until the positions are gone."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import structlog

from pipeline.intake.intake import Intake, Recorded
from pipeline.model.account import Position
from pipeline.model.errors import InvalidSignal, SourceIdConflict
from pipeline.model.signals import Action, Intent
from pipeline.model.sources import OWN
from pipeline.store.record import Record
from pipeline.store.statements import sql
from workers.account.runtime import ExecutorRuntime
from workers.keeper.exit_follow_up import EXIT_BACKOFF
from workers.rules.exits import CLOSES_THE_ACCOUNT

log = structlog.get_logger(__name__)

#: Called with a position and the execution that is to close it.
OnRecorded = Callable[[Position, UUID], None]

# After this many exits that did not close a position, a person should check it.
_REPORT_AFTER = 2


@dataclass(frozen=True, kw_only=True)
class _NextExit:
    """The next exit that closes the position in a symbol."""

    number: int
    #: How long ago the previous exit ended; None: it has not ended, or there was none.
    since_last: timedelta | None
    #: The quantity for which the previous exit was skipped as too small for the broker; None: it was not.
    dust: Decimal | None
    #: An exit of the whole position is undecided, an exit's order may be working, or an order in the symbol was filled
    #: after the positions were read.
    under_way: bool

    @property
    def is_due(self) -> bool:
        pause = timedelta(seconds=EXIT_BACKOFF.after(self.number - 1))
        return not self.under_way and (self.since_last is None or self.since_last >= pause)


@dataclass(frozen=True, kw_only=True)
class ClosingExits:
    """Records exits of the source `tradewire:<cause>`. A repetition has the same source_id, so it records nothing."""

    record: Record
    intake: Intake
    runtime: ExecutorRuntime
    cause: str
    who: str
    #: Symbols that tradewire does not trade.
    _refused: set[str] = field(default_factory=set)
    #: By symbol, the quantity that stays open because it is too small for the broker.
    dust: dict[str, Decimal] = field(default_factory=dict)

    def close(
        self,
        positions: Iterable[Position],
        *,
        taken_at: datetime,
        root: str,
        on_recorded: OnRecorded = lambda _position, _execution_id: None,
    ) -> int:
        """Record an exit for each position that needs one now; return how many were recorded.

        None is recorded while an exit of ours is closing the position, in the growing pause after an exit that did not
        close it, for a quantity that is too small for the broker, and for a symbol that tradewire does not trade.

        Args:
            positions: The positions at the broker.
            taken_at: When they were read. A symbol that had a fill since then waits for the next reading.
            root: The prefix of the source_ids. Calls with the same root continue the same series of exits.
            on_recorded: Called with the position and its exit, also if another keeper has recorded this exit already.
        """
        return sum(self._close(position, taken_at, f"{root}-{position.symbol}-", on_recorded) for position in positions)

    def _close(self, position: Position, taken_at: datetime, root: str, on_recorded: OnRecorded) -> bool:
        if not position.quantity or position.symbol in self._refused:
            return False
        following = self._next_exit(position.symbol, taken_at, root)
        if following.dust is not None and abs(position.quantity) <= following.dust:
            self.dust[position.symbol] = following.dust
            return False
        self.dust.pop(position.symbol, None)
        if not following.is_due:
            return False
        recorded = self._record(position, f"{root}{following.number}")
        if recorded is None:
            return False
        execution_id = recorded.executions[0].execution_id
        on_recorded(position, execution_id)
        if following.number > _REPORT_AFTER:
            facts = {"symbol": position.symbol, "tries": following.number - 1}
            log.error("exit.not_done", executor_id=self.runtime.executor.id, **facts)
        self._supersede(position.symbol, execution_id)
        return not recorded.duplicate

    def _record(self, position: Position, source_id: str) -> Recorded | None:
        raw = {
            "source_id": source_id,
            "symbol": position.symbol,
            "action": Action.SELL if position.quantity > 0 else Action.BUY,
            "intent": Intent.CLOSE,
            "executors": [self.runtime.executor.id],
        }
        try:
            return self.intake.record_own(raw, cause=self.cause)
        except SourceIdConflict:
            # Another keeper used this number for a position on the other side. The next run uses the next number.
            return None
        except InvalidSignal as error:
            # tradewire does not trade this symbol, so a person has to close the position.
            self._refused.add(position.symbol)
            log.error("position.not_closable", symbol=position.symbol, error=str(error))  # noqa: TRY400 -- no trace
            return None

    def _next_exit(self, symbol: str, taken_at: datetime, root: str) -> _NextExit:
        values = self._of(symbol) | {"source": f"{OWN}{self.cause}", "root": root, "taken_at": taken_at}
        return self.record.one(_NextExit, sql("switches", "next_close"), values)

    def _supersede(self, symbol: str, execution_id: UUID) -> None:
        values = self._of(symbol) | {"execution_id": execution_id, "by": self.who}
        for superseded in self.record.all(UUID, sql("switches", "supersede_symbol"), values):
            log.info("execution.superseded", execution_id=str(superseded), by=str(execution_id))

    def _of(self, symbol: str) -> dict[str, Any]:
        return {"executor_id": self.runtime.executor.id, "symbol": symbol, "sources": sorted(CLOSES_THE_ACCOUNT)}
