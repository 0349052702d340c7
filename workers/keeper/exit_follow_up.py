"""Follow exits to their end: close the rest of a position, and open the other side if the signal asks for it."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import structlog

from pipeline.intake.intake import Intake, Wait
from pipeline.model.backoff import Backoff
from pipeline.model.errors import SourceIdConflict
from pipeline.model.orders import OrderSide
from pipeline.model.reasons import Code, Reason
from pipeline.model.signals import Action, Intent
from pipeline.model.sources import RETRY, is_own
from pipeline.model.states import State
from pipeline.store.record import Record
from pipeline.store.statements import sql
from workers.account.runtime import ExecutorRuntime
from workers.execution.cancels import ask_to_cancel
from workers.rules.exits import CLOSES_THE_ACCOUNT, RESTS_AT_MOST

log = structlog.get_logger(__name__)

_BATCH = 100
#: The longest pause between two tries of an exit.
LONGEST_GAP = timedelta(seconds=60)
EXIT_BACKOFF = Backoff(first_s=0.5, longest_s=LONGEST_GAP.total_seconds())


@dataclass(frozen=True, kw_only=True)
class _Exit:
    """An exit and its signal."""

    execution_id: UUID
    symbol: str
    #: The side of its order.
    side: str
    source: str
    source_id: str | None
    strategy: str | None

    @property
    def chain(self) -> tuple[str, int]:
        """The first execution of the series of tries, and the number of this try."""
        if self.source != RETRY:
            return str(self.execution_id), 1
        first, _, number = str(self.source_id).rpartition(":")
        return first, int(number)


@dataclass(frozen=True, kw_only=True)
class _EndedExit(_Exit):
    """An exit whose order has ended."""

    generation: int
    quantity: Decimal
    filled_quantity: Decimal
    #: The quantity that was left to a further exit.
    rest: Decimal
    order_status: str | None
    state: State
    reason_code: str | None

    @property
    def is_flat(self) -> bool:
        """Return whether nothing is left to close, because its own order or other orders have closed everything."""
        return self.left <= 0 or (self.state is State.SKIPPED and self.reason_code == Code.NO_POSITION)

    @property
    def left(self) -> Decimal:
        """The quantity that this exit did not close."""
        unfilled = Decimal(0) if self.state is State.FILLED else self.quantity - self.filled_quantity
        return unfilled + self.rest

    @property
    def needs_retry(self) -> bool:
        """Return whether to try the rest again. If we skipped the exit, only with the reason EXIT_NOT_DONE."""
        # Flatten and flat-by-time retry their exits themselves.
        if self.source in CLOSES_THE_ACCOUNT:
            return False
        return self.state is not State.SKIPPED or self.reason_code == Code.EXIT_NOT_DONE


@dataclass(frozen=True, kw_only=True)
class _NextTry:
    found_nothing: bool
    ended: bool


@dataclass(frozen=True, kw_only=True)
class _FirstSignal:
    """The signal of the first exit in a series of tries."""

    action: Action
    source: str
    intent: Intent
    confidence: Decimal | None
    entry_price: Decimal | None
    target_price: Decimal | None
    stop_price: Decimal | None
    generated_at: datetime | None
    expires_at: datetime | None
    price: str | None
    quantity: Decimal | None
    notional: Decimal | None
    equity_percent: Decimal | None

    @property
    def flips(self) -> bool:
        """Whether the signal may also ask for a position on the other side."""
        return self.intent is Intent.AUTO and not is_own(self.source)


@dataclass(frozen=True, kw_only=True)
class _LateExit:
    execution_id: UUID
    symbol: str
    reason_code: str | None


@dataclass(frozen=True, kw_only=True)
class ExitFollowUp:
    """Follows one executor's exits. A repetition has the same source_id, so running twice records nothing twice."""

    record: Record
    intake: Intake
    runtime: ExecutorRuntime
    #: Returns whether the market seems open, so that a market order for shares could trade now.
    market_is_open: Callable[[], bool]
    #: Late exits that were logged already.
    _reported: set[UUID] = field(default_factory=set)

    def run_once(self) -> int:
        """Follow up exits that have ended, and return how many.

        Also open the other side of each REVERSE whose position others closed, cancel limit orders that do not fill, and
        report late exits.
        """
        key = {"executor_id": self.runtime.executor.id, "limit": _BATCH}
        followed = sum(
            self._follow_up(each) for each in self.record.all(_EndedExit, sql("exit_follow_up", "ended"), key)
        )
        for reverse in self.record.all(_Exit, sql("exit_follow_up", "closed_by_others"), key):
            self._open_other_side(reverse, self._first_signal(reverse))
        self._cancel_resting()
        self._report_late(key)
        return followed

    def _follow_up(self, ended: _EndedExit) -> bool:
        """Record what an ended exit leads to; return False while that depends on its next try."""
        if not self._is_done(ended):
            return False
        values = {"execution_id": ended.execution_id, "generation": ended.generation}
        self.record.do(sql("exit_follow_up", "followed_up"), values)
        return True

    def _is_done(self, ended: _EndedExit) -> bool:
        if not ended.is_flat and not ended.needs_retry:
            return True
        first = self._first_signal(ended)
        if ended.is_flat:
            self._open_other_side(ended, first)
            return True
        following = self._next_try(ended)
        if following is None:
            self._retry(ended)
        if not self._flips(first):
            return True
        # If others close the rest, the next try has no order, and nothing else would open the other side.
        if following is not None and following.found_nothing:
            self._open_other_side(ended, first)
        return following is not None and following.ended

    def _next_try(self, ended: _EndedExit) -> _NextTry | None:
        first, tries = ended.chain
        values = {"executor_id": self.runtime.executor.id, "source_id": f"{first}:{tries + 1}"}
        return self.record.maybe(_NextTry, sql("exit_follow_up", "next_try"), values)

    def _first_signal(self, exit_: _Exit) -> _FirstSignal:
        return self.record.one(_FirstSignal, sql("exit_follow_up", "first_signal"), {"execution_id": exit_.chain[0]})

    def _flips(self, first: _FirstSignal) -> bool:
        """Return whether to record the entry on the other side. For a REVERSE, a worker decides whether to send it."""
        return first.flips and (first.action is Action.REVERSE or self.runtime.executor.order.flip == "reverse")

    def _retry(self, ended: _EndedExit) -> None:
        """Record an exit of the rest; the worker skips it with `no_position` if no position is left."""
        left = ended.left
        first, tries = ended.chain
        ended_as = ended.order_status or ended.state.value
        facts = {"left": left, "tries": tries, "ended_as": ended_as, "execution_id": str(ended.execution_id)}
        if tries > 1:
            log.error("exit.not_done", executor_id=self.runtime.executor.id, symbol=ended.symbol, **facts)
        raw = self._signal(ended) | {"source_id": f"{first}:{tries + 1}", "intent": Intent.CLOSE, "quantity": left}
        pause = timedelta(seconds=EXIT_BACKOFF.after(tries))
        wait = Wait(reason=Reason(code=Code.EXIT_NOT_DONE, facts=facts), due_in=pause)
        # Another keeper may have recorded this try when less of the order was known to be filled. Its larger quantity
        # does no harm: no exit sells more than is held.
        with suppress(SourceIdConflict):
            self.intake.record_own(raw, cause="exit", wait=wait)

    def _open_other_side(self, exit_: _Exit, signal: _FirstSignal) -> None:
        """Record the entry on the other side, if the first signal asks for it. It is recorded once."""
        if not self._flips(signal):
            return
        raw = self._signal(exit_) | {
            "source_id": exit_.chain[0],
            "intent": Intent.OPEN,
            "confidence": signal.confidence,
            "entry_price": signal.entry_price,
            "price": signal.price,
            "target_price": signal.target_price,
            "stop_price": signal.stop_price,
            "generated_at": signal.generated_at,
            "expires_at": signal.expires_at,
        }
        if signal.action is Action.REVERSE:
            # The size in a REVERSE is that of the new position; the size in any other signal was that of the close.
            sizes = (signal.quantity, signal.notional, signal.equity_percent)
            raw |= dict(zip(("quantity", "notional", "equity_percent"), sizes, strict=True))
        self.intake.record_own(raw, cause="flip")

    def _cancel_resting(self) -> None:
        """Cancel limit orders of exits that do not fill, if a market order could trade in their place now."""
        values = {"executor_id": self.runtime.executor.id, "at_most": RESTS_AT_MOST, "open": self.market_is_open()}
        for order_id in self.record.all(str, sql("exit_follow_up", "resting"), values):
            log.warning("exit.rests", executor_id=self.runtime.executor.id, order_id=order_id)
            ask_to_cancel(self.record, self.runtime.urgent, order_id)

    def _report_late(self, key: dict[str, Any]) -> None:
        late = self.record.all(_LateExit, sql("exit_follow_up", "late"), key)
        self._reported.intersection_update(each.execution_id for each in late)
        for each in late:
            if each.execution_id not in self._reported:
                self._reported.add(each.execution_id)
                facts = {"execution_id": str(each.execution_id), "symbol": each.symbol, "reason": each.reason_code}
                log.error("exit.late", executor_id=self.runtime.executor.id, **facts)

    def _signal(self, exit_: _Exit) -> dict[str, Any]:
        action = Action.BUY if exit_.side == OrderSide.BUY else Action.SELL
        body = {"symbol": exit_.symbol, "action": action, "executors": [self.runtime.executor.id]}
        return body if exit_.strategy is None else body | {"strategy": exit_.strategy}
