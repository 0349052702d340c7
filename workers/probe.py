"""Send a test order through the whole pipeline, time each step, and sell what the order bought."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_DOWN, Decimal
from typing import Any
from uuid import UUID, uuid4

from pipeline.intake.intake import Intake, Recorded
from pipeline.model.errors import BrokerUnreadable, NotPossible
from pipeline.model.json_values import number_json, time_json
from pipeline.model.reasons import sentence
from pipeline.model.sources import PROBE
from pipeline.model.states import UNDECIDED, State
from pipeline.queues.dispatcher import Dispatcher
from pipeline.store.record import Record
from pipeline.store.statements import sql
from workers.account.runtime import ExecutorRuntime
from workers.execution.cancels import ask_to_cancel

#: The steps in their order, as `probe --json` names them.
STEPS = ("recorded", "taken", "intended", "sent", "answered", "ended")
_CAUSE = PROBE.partition(":")[2]
_SYMBOLS = ("AAPL", "MSFT", "IBM", "GOOG", "SPY")
_POLL_EVERY_S = 0.02
# An order that was sent just before the time limit is followed for this many more seconds.
_GRACE_S = 5.0
_FAR = Decimal("0.5")
_CENT = Decimal("0.01")
_WORKING = frozenset({State.ACCEPTED, State.PARTIALLY_FILLED})


@dataclass(frozen=True, kw_only=True)
class ProbeSteps:
    """The times of an execution's steps by the record's clock (None: not reached), and the state of its order."""

    recorded: datetime
    taken: datetime | None
    intended: datetime | None
    sent: datetime | None
    answered: datetime | None
    ended: datetime | None
    state: State
    reason_code: str | None
    reason_facts: dict[str, Any]
    order_id: str | None
    limit_price: Decimal | None
    #: 0 before the first fill.
    filled_quantity: Decimal

    def after_ms(self) -> dict[str, float | None]:
        """Return the milliseconds from the recording to each step; None for a step that was not reached."""
        times: dict[str, datetime | None] = {name: getattr(self, name) for name in STEPS}
        return {
            name: None if at is None else round((at - self.recorded).total_seconds() * 1000, 1)
            for name, at in times.items()
        }


@dataclass(frozen=True, kw_only=True)
class Probed:
    """The result of a probe."""

    executor_id: str
    mode: str
    symbol: str
    never_marketable: bool
    signal_id: UUID
    execution_id: UUID
    steps: ProbeSteps
    #: The execution that closed the position again, and its state; None when nothing was bought.
    closed_by: UUID | None
    closed: State | None

    @property
    def well(self) -> bool:
        """Return whether the probe reached its last step and left no position."""
        wanted = State.CANCELED if self.never_marketable else State.FILLED
        return self.steps.state is wanted and self.closed in (None, State.FILLED)

    @property
    def reason(self) -> str | None:
        """Return the reason's code and figures as one text; None without a reason."""
        code = self.steps.reason_code
        return sentence(code, self.steps.reason_facts) if code else None

    def to_json(self) -> dict[str, Any]:
        """Return the shape of `probe --json`."""
        return {
            "ok": self.well,
            "executor_id": self.executor_id,
            "mode": self.mode,
            "symbol": self.symbol,
            "never_marketable": self.never_marketable,
            "signal_id": str(self.signal_id),
            "execution_id": str(self.execution_id),
            "status": self.steps.state.value,
            "reason": self.reason,
            "order_id": self.steps.order_id,
            "limit_price": number_json(self.steps.limit_price),
            "filled_quantity": number_json(self.steps.filled_quantity),
            "recorded_at": time_json(self.steps.recorded),
            "after_ms": self.steps.after_ms(),
            "closed_by": None if self.closed_by is None else str(self.closed_by),
            "closed": None if self.closed is None else self.closed.value,
        }


@dataclass(frozen=True, kw_only=True)
class Prober:
    """Sends the probes of one executor."""

    record: Record
    intake: Intake
    dispatcher: Dispatcher
    runtime: ExecutorRuntime

    def run(self, *, symbol: str | None, never_marketable: bool, wait_s: float) -> Probed:
        """Buy one unit and sell it again. With *never_marketable*, order at half the price and cancel at once.

        The signal expires if its order has not been sent within *wait_s* seconds. An order that still works after that
        time is canceled.

        Raises:
            NotPossible: each symbol that was tried has no price, is held, or has an open order or execution.
            RecordUnavailable, BrokerUnavailable, BrokerRefusesAccount, BrokerUnreadable: the probe could not begin.
        """
        chosen, price = self._chosen(symbol)
        recorded = self._buy(chosen, price, never_marketable=never_marketable, wait_s=wait_s)
        (execution,) = recorded.executions
        steps = self._follow(execution.execution_id, wait_s, cancel=never_marketable)
        if steps.state in _WORKING:
            steps = self._follow(execution.execution_id, _GRACE_S, cancel=True)
        filled = steps.filled_quantity
        closing = self._close(execution.execution_id, chosen, filled) if filled else None
        closed = None if closing is None else self._follow(closing, wait_s, cancel=False).state
        return Probed(
            executor_id=self.runtime.executor.id,
            mode=self.runtime.executor.mode,
            symbol=chosen,
            never_marketable=never_marketable,
            signal_id=recorded.signal_id,
            execution_id=execution.execution_id,
            steps=steps,
            closed_by=closing,
            closed=closed,
        )

    def _chosen(self, symbol: str | None) -> tuple[str, Decimal]:
        """Return a symbol that has a price, no position and no open order or execution; and the price."""
        key = {"executor_id": self.runtime.executor.id}
        held = set(self.record.all(str, sql("probe", "held"), key))
        for each in (symbol,) if symbol else (*(self.runtime.executor.route.symbols or ()), *_SYMBOLS):
            price = None if each in held else self._price(each)
            if price is not None:
                return each, price
        tried = symbol or "every symbol that was tried"
        raise NotPossible(
            f"{tried} is held, ordered or without a price at {self.runtime.executor.id}: name one with --symbol"
        )

    def _price(self, symbol: str) -> Decimal | None:
        try:
            return self.runtime.broker.price(symbol)
        except BrokerUnreadable:
            return None

    def _buy(self, symbol: str, price: Decimal, *, never_marketable: bool, wait_s: float) -> Recorded:
        far = (price * _FAR).quantize(_CENT, rounding=ROUND_DOWN) or _CENT
        raw = {
            "source_id": str(uuid4()),
            "symbol": symbol,
            "action": "BUY",
            "intent": "open",
            "confidence": 100,
            "entry_price": far if never_marketable else price,
            "quantity": 1,
            "strategy": PROBE,
            "executors": [self.runtime.executor.id],
            "expires_at": datetime.now(UTC) + timedelta(seconds=wait_s),
        }
        return self._sent(raw)

    def _close(self, execution_id: UUID, symbol: str, quantity: Decimal) -> UUID:
        raw = {
            "source_id": f"{execution_id}-close",
            "symbol": symbol,
            "action": "SELL",
            "intent": "close",
            "quantity": quantity,
            "strategy": PROBE,
            "executors": [self.runtime.executor.id],
        }
        return self._sent(raw).executions[0].execution_id

    def _sent(self, raw: Mapping[str, Any]) -> Recorded:
        recorded = self.intake.record_own(raw, cause=_CAUSE)
        self.dispatcher.enqueue(recorded.executions)
        return recorded

    def _follow(self, execution_id: UUID, wait_s: float, *, cancel: bool) -> ProbeSteps:
        """Wait for the end of the execution, and return its steps. With *cancel*, cancel its order once it works.

        The wait is *wait_s* seconds at most, or 5 s longer while the order may be on its way to the broker.
        """
        soft = time.monotonic() + wait_s
        hard = soft + _GRACE_S
        while True:
            steps = self._steps(execution_id)
            over = steps.state not in UNDECIDED | _WORKING
            late = time.monotonic() >= (hard if steps.state in (State.SUBMITTING, State.UNKNOWN) else soft)
            if over or late:
                return steps
            if cancel and steps.state in _WORKING and steps.order_id is not None:
                ask_to_cancel(self.record, self.runtime.urgent, steps.order_id)
            time.sleep(_POLL_EVERY_S)

    def _steps(self, execution_id: UUID) -> ProbeSteps:
        return self.record.one(ProbeSteps, sql("probe", "steps"), {"execution_id": execution_id})
