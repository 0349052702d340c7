"""Follow exits to their end: close the rest of a position, and open the other side if the signal asks for it."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

import structlog

from pipeline.intake.intake import Intake, Wait
from pipeline.model.backoff import Backoff
from pipeline.model.errors import SourceIdConflict
from pipeline.model.orders import OrderSide
from pipeline.model.reasons import Code, Reason
from pipeline.model.signals import Action, Intent
from pipeline.model.sources import OWN, has_final_limit
from pipeline.store.record import Record
from pipeline.store.statements import sql
from workers.account.runtime import ExecutorRuntime
from workers.execution.cancels import ask_to_cancel
from workers.keeper.exit_rows import EndedExit, ExitRow, FirstSignal, LateExit, NextTry, RestingExit
from workers.rules.exits import RESTS_AT_MOST

log = structlog.get_logger(__name__)

_BATCH = 100
#: The longest pause between two tries of an exit.
LONGEST_GAP = timedelta(seconds=60)
EXIT_BACKOFF = Backoff(first_s=0.5, longest_s=LONGEST_GAP.total_seconds())


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
            self._follow_up(each) for each in self.record.all(EndedExit, sql("exit_follow_up", "ended"), key)
        )
        for reverse in self.record.all(ExitRow, sql("exit_follow_up", "closed_by_others"), key):
            self._open_other_side(reverse, self._first_signal(reverse))
        self._cancel_resting()
        self._report_late(key)
        return followed

    def _follow_up(self, ended: EndedExit) -> bool:
        """Record what an ended exit leads to; return False while that depends on its next try."""
        if not self._is_done(ended):
            return False
        values = {"execution_id": ended.execution_id, "generation": ended.generation}
        self.record.do(sql("exit_follow_up", "followed_up"), values)
        return True

    def _is_done(self, ended: EndedExit) -> bool:
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

    def _next_try(self, ended: EndedExit) -> NextTry | None:
        first, tries = ended.chain
        key = {"source": f"{OWN}{ended.retry_cause}", "source_id": f"{first}:{tries + 1}"}
        values = key | {"executor_id": self.runtime.executor.id}
        return self.record.maybe(NextTry, sql("exit_follow_up", "next_try"), values)

    def _first_signal(self, exit_: ExitRow) -> FirstSignal:
        return self.record.one(FirstSignal, sql("exit_follow_up", "first_signal"), {"execution_id": exit_.chain[0]})

    def _flips(self, first: FirstSignal) -> bool:
        """Return whether to record the entry on the other side. For a REVERSE, a worker decides whether to send it."""
        return first.flips and (first.action is Action.REVERSE or self.runtime.executor.order.flip == "reverse")

    def _retry(self, ended: EndedExit) -> None:
        """Record an exit of the rest; the worker skips it with `no_position` if no position is left."""
        left = ended.left
        first, tries = ended.chain
        ended_as = ended.order_status or ended.state.value
        facts = {"left": left, "tries": tries, "ended_as": ended_as, "execution_id": str(ended.execution_id)}
        if tries > 1:
            log.error("exit.not_done", executor_id=self.runtime.executor.id, symbol=ended.symbol, **facts)
        raw = self._signal(ended) | {"source_id": f"{first}:{tries + 1}", "intent": Intent.CLOSE, "quantity": left}
        if has_final_limit(ended.source, ended.limit_price):
            raw["entry_price"] = ended.limit_price
        pause = timedelta(seconds=EXIT_BACKOFF.after(tries))
        wait = Wait(reason=Reason(code=Code.EXIT_NOT_DONE, facts=facts), due_in=pause)
        # Another keeper may have recorded this try when less of the order was known to be filled. Its larger quantity
        # does no harm: no exit sells more than is held.
        with suppress(SourceIdConflict):
            self.intake.record_own(raw, cause=ended.retry_cause, wait=wait)

    def _open_other_side(self, exit_: ExitRow, signal: FirstSignal) -> None:
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
        """Cancel limit orders of exits that do not fill, if a market order could trade in their place now.

        Those of a person's closes rest until a later exit of the symbol takes their place. A worker cancels them then,
        unless the exit waits behind another execution.
        """
        values = {"executor_id": self.runtime.executor.id, "at_most": RESTS_AT_MOST, "open": self.market_is_open()}
        for resting in self.record.all(RestingExit, sql("exit_follow_up", "resting"), values):
            log.warning("exit.rests", executor_id=self.runtime.executor.id, order_id=resting.order_id)
            reason = Code.SUPERSEDED if resting.by_hand else None
            ask_to_cancel(self.record, self.runtime.urgent, resting.order_id, reason=reason)

    def _report_late(self, key: dict[str, Any]) -> None:
        late = self.record.all(LateExit, sql("exit_follow_up", "late"), key)
        self._reported.intersection_update(each.execution_id for each in late)
        for each in late:
            if each.execution_id not in self._reported:
                self._reported.add(each.execution_id)
                facts = {"execution_id": str(each.execution_id), "symbol": each.symbol, "reason": each.reason_code}
                log.error("exit.late", executor_id=self.runtime.executor.id, **facts)

    def _signal(self, exit_: ExitRow) -> dict[str, Any]:
        action = Action.BUY if exit_.side == OrderSide.BUY else Action.SELL
        body = {"symbol": exit_.symbol, "action": action, "executors": [self.runtime.executor.id]}
        return body if exit_.strategy is None else body | {"strategy": exit_.strategy}
