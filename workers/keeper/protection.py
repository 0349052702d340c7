"""Keep a stop order at the broker for each holding whose entry gave a stop."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

import structlog

from pipeline.intake.intake import Intake
from pipeline.model.backoff import Backoff
from pipeline.model.errors import InvalidSignal
from pipeline.model.reasons import Code
from pipeline.model.signals import Action, Intent
from pipeline.model.sources import OWN, PROTECT
from pipeline.store.record import Record
from pipeline.store.statements import sql
from workers.account.runtime import ExecutorRuntime
from workers.execution.cancels import ask_to_cancel
from workers.rules.orders import side_of

log = structlog.get_logger(__name__)

# Most entries are filled within this time. What is filled is to be protected within 5 s.
_PARTLY_FILLED_FOR = timedelta(seconds=2)
# The pauses between the stop orders of one holding, if one after another ends or is refused.
_PAUSES = Backoff(first_s=1.0, longest_s=300.0)


@dataclass(frozen=True, kw_only=True)
class _Unprotected:
    """A strategy's holding whose resting stop orders do not protect exactly its quantity."""

    account_number: str
    symbol: str
    strategy: str
    #: Signed: below zero is short.
    quantity: Decimal
    stop_price: Decimal
    opened_at: datetime
    #: The quantity of the resting stop orders, and their ids at the broker.
    protected: Decimal
    order_ids: list[str]

    @property
    def action(self) -> Action:
        return Action.SELL if self.quantity > 0 else Action.BUY


@dataclass(frozen=True, kw_only=True)
class _InTheWay:
    """A working entry that a stop order may not rest beside."""

    order_id: str
    #: Why it is canceled.
    reason: str


@dataclass(frozen=True, kw_only=True)
class _Tries:
    number: int
    failed: int
    since_last: timedelta | None

    @property
    def is_due(self) -> bool:
        if self.since_last is None or not self.failed:
            return True
        return self.since_last >= timedelta(seconds=_PAUSES.after(self.failed))


@dataclass(frozen=True, kw_only=True)
class Protection:
    """Protects the holdings of one executor. Each stop order is an execution of the source `tradewire:protect`."""

    record: Record
    intake: Intake
    runtime: ExecutorRuntime

    def run_once(self) -> int:
        """Take the next step for each holding that needs one; return how many stop orders were recorded."""
        executor_id = self.runtime.executor.id
        values = {"executor_id": executor_id, "after": _PARTLY_FILLED_FOR}
        self.record.do(sql("protection", "take_over"), values)
        for entry in self.record.all(_InTheWay, sql("protection", "in_the_way"), values):
            ask_to_cancel(self.record, self.runtime.urgent, entry.order_id, reason=Code(entry.reason))
        for order_id in self.record.all(str, sql("protection", "outlived"), values):
            ask_to_cancel(self.record, self.runtime.urgent, order_id, reason=Code.NO_POSITION)
        for order_id in self.record.all(str, sql("protection", "passed"), values):
            # The next execution closes the position at the market.
            ask_to_cancel(self.record, self.runtime.urgent, order_id, reason=Code.SUPERSEDED)
        found = self.record.all(_Unprotected, sql("protection", "unprotected"), {"executor_id": executor_id})
        return sum(self._protect(each) for each in found)

    def _protect(self, holding: _Unprotected) -> bool:
        if holding.protected > abs(holding.quantity):
            # The next run places an order for the quantity that is held.
            for order_id in holding.order_ids:
                ask_to_cancel(self.record, self.runtime.urgent, order_id, reason=Code.SUPERSEDED)
            return False
        key = {
            "executor_id": self.runtime.executor.id,
            "account_number": holding.account_number,
            "symbol": holding.symbol,
            "side": side_of(holding.action).value,
            "strategy": holding.strategy,
            "opened_at": holding.opened_at,
        }
        tries = self.record.one(_Tries, sql("protection", "tries"), key)
        return tries.is_due and self._record(holding, number=tries.number + 1)

    def _record(self, holding: _Unprotected, *, number: int) -> bool:
        opened_ms = int(holding.opened_at.timestamp() * 1000)
        raw = {
            # Of two keepers that record the same stop order, the second records nothing.
            "source_id": f"{holding.account_number}-{holding.symbol}-{holding.strategy}-{opened_ms}-{number}",
            "symbol": holding.symbol,
            "action": holding.action,
            "intent": Intent.CLOSE,
            "stop_price": holding.stop_price,
            "executors": [self.runtime.executor.id],
        }
        if holding.strategy:
            raw["strategy"] = holding.strategy
        try:
            return not self.intake.record_own(raw, cause=PROTECT.removeprefix(OWN)).duplicate
        except InvalidSignal as error:
            log.error("protection.not_recorded", symbol=holding.symbol, error=str(error))  # noqa: TRY400 -- no trace
            return False
