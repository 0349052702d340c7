"""Record the result of an execution: by compare-and-set on its fence, or from the broker's report of its order."""

import random
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Literal

import structlog
from psycopg import Connection
from psycopg.rows import DictRow
from psycopg.types.json import Json

from pipeline.model.reasons import Code, Reason, storable
from pipeline.model.states import State
from pipeline.store.query import execute
from pipeline.store.record import Record
from pipeline.store.rows import ClaimedExecution, Role
from pipeline.store.statements import sql
from workers.brokers.protocol import Outcome, Rejected
from workers.execution.broker_orders import follow, record_broker_order
from workers.execution.entries_refused import note_entry
from workers.execution.order_intents import Intended
from workers.rules.retry_policy import Transition

log = structlog.get_logger(__name__)

_AFTER_ACCEPTED = frozenset({State.PARTIALLY_FILLED, State.FILLED, State.CANCELED, State.EXPIRED})


@dataclass(frozen=True, kw_only=True)
class ResultRecorder:
    """Records the results of one executor's executions. Every method may be run again with the same values."""

    store: Record
    worker: str

    def settle(self, claimed: ClaimedExecution, transition: Transition, intended: Intended | None = None) -> None:
        """Change the state of an execution whose lease we hold, unless another process has changed it first."""

        def unit(connection: Connection[DictRow]) -> bool:
            moved = self._settle(connection, claimed, transition)
            # Only the holder of the fence knows that no other process is sending this intent.
            if moved and intended is not None and not transition.may_exist:
                _never(connection, intended, "never_sent")
            return moved

        self._log(claimed, transition, moved=self.store.run(unit, retry_for_s=None))

    def record(
        self, claimed: ClaimedExecution, intended: Intended, outcome: Outcome, transition: Transition, *, took_ms: float
    ) -> None:
        """Record the broker's answer to a send, and the attempt, in one transaction."""
        refused = isinstance(outcome, Rejected)
        transition = _with_dust(transition, intended)

        def unit(connection: Connection[DictRow]) -> bool:
            if intended.order.role is Role.ENTRY:
                note_entry(connection, claimed.executor_id, outcome)
            if transition.order is not None:
                record_broker_order(connection, transition.order)
            attempt = _attempt(claimed, outcome, transition, took_ms)
            execute(connection, sql("orders", "record_attempt"), attempt)
            if self._settle(connection, claimed, transition):
                _end_order(connection, intended, transition, refused=refused)
                return True
            # The lease is lost, but the broker's report of the order is valid all the same.
            order = transition.order
            return order is not None and follow(
                connection, claimed.execution_id, claimed.generation, order, by=self.worker
            )

        self._log(claimed, transition, moved=self.store.run(unit, retry_for_s=None))

    def _settle(self, connection: Connection[DictRow], claimed: ClaimedExecution, transition: Transition) -> bool:
        values = {
            "execution_id": claimed.execution_id,
            "fence": claimed.fence,
            "state": transition.state,
            "reason_code": transition.reason.code if transition.reason else None,
            "reason_facts": Json(transition.reason.to_json() if transition.reason else {}),
            "due_in": _spread(transition),
            "attempts": transition.attempts,
            "moved_by": self.worker,
        }
        return execute(connection, sql("executions", "settle"), values) > 0

    def _log(self, claimed: ClaimedExecution, transition: Transition, *, moved: bool) -> None:
        # The broker accepted an order that has gone further by now: these are two events.
        states = [State.ACCEPTED, transition.state] if transition.state in _AFTER_ACCEPTED else [transition.state]
        serious = not moved or transition.state in (State.DEAD, State.UNKNOWN, State.REJECTED)
        # While the broker is away an execution is held again and again. After the first hold, only debug logs show it.
        again = transition.state is State.HELD and claimed.from_state is State.HELD
        level = log.warning if serious else log.debug if again else log.info
        for state in states if moved else states[-1:]:
            level(
                f"execution.{state}" if moved else "execution.taken_over",
                execution_id=str(claimed.execution_id),
                executor_id=claimed.executor_id,
                symbol=claimed.symbol,
                reason=str(transition.reason) if transition.reason else None,
                order_id=transition.order.order_id if transition.order else None,
            )


def _with_dust(transition: Transition, intended: Intended) -> Transition:
    """Add to the reason the quantity that the order of an exit left out as too small for the broker."""
    if not intended.order.dust or transition.order is None:
        return transition
    code = Code.DUST if transition.reason is None else transition.reason.code
    facts = {} if transition.reason is None else dict(transition.reason.facts)
    return replace(transition, reason=Reason(code=code, facts=facts | {"dust": intended.order.dust}))


def _end_order(connection: Connection[DictRow], intended: Intended, transition: Transition, *, refused: bool) -> None:
    """Record that the broker does not hold the order, if its answer proves that."""
    # Only the holder of the fence knows that no other process is sending this intent.
    if refused:
        order = intended.order
        key = {"execution_id": order.execution_id, "generation": order.generation}
        execute(connection, sql("orders", "end"), key | {"order_status": None})
        _never(connection, intended, "never_taken")
    elif not transition.may_exist:
        _never(connection, intended, "never_sent")


def _never(connection: Connection[DictRow], intended: Intended, name: Literal["never_sent", "never_taken"]) -> None:
    order = intended.order
    values = {"execution_id": order.execution_id, "generation": order.generation, "sole": intended.sole}
    execute(connection, sql("orders", name), values)


def _spread(transition: Transition) -> timedelta | None:
    """Return the time until the execution is due. Waits for the broker are spread, so that not all return at once."""
    code = transition.reason.code if transition.reason else None
    if transition.due_in is None or code not in (Code.BROKER_AWAY, Code.RATE_LIMITED):
        return transition.due_in
    return transition.due_in * random.uniform(1.0, 1.25)  # noqa: S311 -- not a secret


def _attempt(claimed: ClaimedExecution, outcome: Outcome, transition: Transition, took_ms: float) -> dict[str, Any]:
    return {
        "execution_id": claimed.execution_id,
        "fence": claimed.fence,
        "generation": claimed.generation,
        "outcome": type(outcome).__name__.lower(),
        "message": storable(str(getattr(outcome, "message", "")))[:500] or None,
        "took_ms": round(took_ms, 3),
        "order_id": transition.order.order_id if transition.order else None,
        "request_id": outcome.request_id,
    }
