"""Put the state changes, attempts and orders of an execution into one timeline. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pipeline.entrypoints.web.page.rendering import status
from pipeline.model.json_values import number_json
from pipeline.views.history_schemas import ExecutionHistory

# This field is not listed again: the text of the intent already shows it.
_OWN_ID = "client_order_id"


@dataclass(frozen=True, kw_only=True)
class Moment:
    """One thing that happened."""

    at: datetime
    #: Milliseconds since the execution was recorded.
    after_ms: float
    text: str
    #: The new state; None when the state did not change.
    state: str | None = None
    detail: str | None = None
    by: str | None = None
    why: str | None = None


def timeline(execution: ExecutionHistory) -> list[Moment]:
    """Return everything that happened to *execution*, in the order of time."""
    moments = [*_moves(execution), *_sends(execution), *_orders(execution)]
    if execution.pruned_at is not None:
        text = "steps and attempts removed by `tradewire retention`"
        moments.append(_moment(execution, execution.pruned_at, text))
    return sorted(moments, key=lambda moment: moment.at)


def _moves(execution: ExecutionHistory) -> Iterator[Moment]:
    for move in execution.moves:
        text = "recorded" if move.from_state is None else f"from {status(move.from_state)}"
        # If there is a reason, its figures already contain the id of the request.
        detail = move.reason or _request(move.request_id)
        yield _moment(execution, move.at, text, state=move.to_state, detail=detail, by=move.by, why=move.why)


def _sends(execution: ExecutionHistory) -> Iterator[Moment]:
    for number, attempt in enumerate(execution.attempts_made, 1):
        if attempt.sent_at is None:
            continue
        took = "" if attempt.took_ms is None else f" after {float(attempt.took_ms):.1f} ms"
        text = f"send {number}: {attempt.outcome}{took}"
        detail = " ".join(filter(None, (_request(attempt.request_id), attempt.message)))
        yield _moment(execution, attempt.sent_at, text, detail=detail or None)


def _orders(execution: ExecutionHistory) -> Iterator[Moment]:
    for order in execution.orders:
        terms = [(name, value) for name, value in sorted(order.request.items()) if value is not None]
        request = ", ".join(f"{name} {value}" for name, value in terms if name != _OWN_ID)
        yield _moment(execution, order.intended_at, f"intent written: {order.client_order_id}", detail=request)
        for fill in order.fills:
            at = "" if fill.price is None else f" at {number_json(fill.price)}"
            yield _moment(execution, fill.filled_at, f"{number_json(fill.quantity)} filled{at}", detail=fill.note)
        if order.ended_at is not None:
            price = number_json(order.filled_average_price)
            filled = f"{number_json(order.filled_quantity)} filled" + ("" if price is None else f" at {price}")
            text = (
                "order over: not at the broker" if order.order_status is None else f"order over: {order.order_status}"
            )
            yield _moment(execution, order.ended_at, text, detail=filled)


def _request(request_id: str | None) -> str | None:
    return None if request_id is None else f"request_id={request_id}"


def _moment(execution: ExecutionHistory, at: datetime, text: str, **more: Any) -> Moment:
    after_ms = round((at - execution.created_at).total_seconds() * 1000, 1)
    return Moment(at=at, after_ms=after_ms, text=text, **more)
