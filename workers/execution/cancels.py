"""Ask the broker, again and again, to cancel an order of ours or an order that is in the way of an exit."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import structlog
from psycopg.types.json import Jsonb

from pipeline.model.backoff import Backoff
from pipeline.model.crash_points import reached
from pipeline.model.errors import BrokerFault
from pipeline.model.orders import BrokerOrder
from pipeline.model.reasons import Code
from pipeline.store.record import Record
from pipeline.store.statements import sql
from workers.brokers.guarded import GuardedBroker
from workers.execution.replaced_orders import cancel_newest

log = structlog.get_logger(__name__)

# The pauses before an exit checks whether a foreign order is canceled. Each check costs requests, and most cancels are
# done before the first one.
_PAUSES = Backoff(first_s=0.5, longest_s=16.0)


@dataclass(frozen=True, kw_only=True)
class _FoundOpen:
    """An order that an exit has found open."""

    #: How many times in a row.
    seen_open: int
    #: Whether to ask for its cancel now.
    asks: bool


@dataclass(frozen=True, kw_only=True)
class ForeignCancel:
    """The cancel of an order that tradewire did not place and that is in the way of an exit."""

    #: How long the exit waits before it checks again. The pauses grow while the order stays open.
    wait: timedelta
    #: The broker's own id of the request; None when no request was sent, or it was not answered.
    request_id: str | None


def ask_to_cancel(record: Record, broker: GuardedBroker, order_id: str, *, reason: Code | None = None) -> str | None:
    """Ask the broker to cancel an order of ours, and return the broker's own id of the request, if one was sent.

    *reason* becomes the reason of the execution when its order is canceled; None: `canceled_at_broker`.

    A call within 2 s of the last request does nothing, and a later call repeats it: the process that marked the order
    may have died before it asked. The pause grows to 16 s while the broker accepts the requests and the order stays
    open. Only the first request is paid for like any request of *broker*; the later ones are paid from the share for
    cancels, so that they do not use up the requests that exits need.

    Raises:
        RecordUnavailable: PostgreSQL is away.
    """
    values = {"order_id": order_id, "reason_code": reason}
    is_first = record.maybe(bool, sql("orders", "ask_cancel"), values)
    if is_first is None:
        return None
    reached("worker.after_cancel_mark")
    done, request_id = _cancel(broker if is_first else broker.canceling(), order_id)
    if done:
        record.do(sql("orders", "cancel_accepted"), {"order_id": order_id})
    return request_id


def cancel_foreign(
    record: Record, broker: GuardedBroker, order: BrokerOrder, *, executor_id: str, execution_id: UUID
) -> ForeignCancel:
    """Record an order that is in the way of an exit, and ask for its cancel, at most once in two seconds.

    The order is recorded first: if it is a stop and this process dies, another process can place it again.

    Raises:
        RecordUnavailable: PostgreSQL is away.
    """
    values = {
        "order_id": order.order_id,
        "client_order_id": order.client_order_id,
        "executor_id": executor_id,
        "symbol": order.symbol,
        "side": order.side.value,
        "quantity": order.quantity,
        "terms": Jsonb(dict(order.terms)),
        "execution_id": execution_id,
    }
    found = record.one(_FoundOpen, sql("canceled_orders", "ask"), values)
    wait = timedelta(seconds=_PAUSES.after(found.seen_open))
    if not found.asks:
        return ForeignCancel(wait=wait, request_id=None)
    facts = {"executor_id": executor_id, "execution_id": str(execution_id), "order": str(order)}
    log.warning("order.foreign_canceled", **facts)
    # A repetition must not use up the requests that exits need.
    asked = broker if found.seen_open == 1 else broker.canceling()
    return ForeignCancel(wait=wait, request_id=_cancel(asked, order.order_id)[1])


def _cancel(broker: GuardedBroker, order_id: str) -> tuple[bool, str | None]:
    """Ask for the cancel; return whether the broker answered without an error, and its id of the request."""
    try:
        answer = cancel_newest(broker, order_id)
    except BrokerFault as error:
        log.warning("cancel.failed", order_id=order_id, error=str(error), request_id=error.request_id)
        return False, error.request_id
    return True, answer.request_id
