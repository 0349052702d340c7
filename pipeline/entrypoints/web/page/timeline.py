"""Tell one signal's life as a timeline: moves, sends and orders of an execution in one order. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Moment:
    """One thing that happened."""

    at: datetime
    #: Milliseconds since the execution was recorded.
    after_ms: float
    says: str
    #: The state it moved to; None: it moved nowhere.
    state: str | None = None
    detail: str | None = None
    by: str | None = None
    why: str | None = None


def timeline(execution: Mapping[str, Any]) -> list[Moment]:
    """Return everything that happened to *execution*, one of those that `pipeline.views.history.life` returns."""
    born = datetime.fromisoformat(execution["created_at"])
    moments = [*_moves(execution, born), *_sends(execution, born), *_orders(execution, born)]
    return sorted(moments, key=lambda moment: moment.at)


def _moves(execution: Mapping[str, Any], born: datetime) -> Iterator[Moment]:
    for move in execution["moves"]:
        says = "recorded" if move["from"] is None else f"from {move['from']}"
        yield _moment(born, move["at"], says, state=move["to"], detail=move["reason"], by=move["by"], why=move["why"])


def _sends(execution: Mapping[str, Any], born: datetime) -> Iterator[Moment]:
    for number, attempt in enumerate(execution["attempts_made"], 1):
        if attempt["sent_at"] is None:
            continue
        took = "" if attempt["took_ms"] is None else f" after {float(attempt['took_ms']):.1f} ms"
        says = f"send {number}: {attempt['outcome']}{took}"
        yield _moment(born, attempt["sent_at"], says, detail=attempt["message"])


def _orders(execution: Mapping[str, Any], born: datetime) -> Iterator[Moment]:
    for order in execution["orders"]:
        request = order["request"]
        asked = ", ".join(f"{name} {value}" for name, value in sorted(request.items()) if name != "client_order_id")
        yield _moment(born, order["intended_at"], f"intent written: {order['client_order_id']}", detail=asked)
        if order["ended_at"] is not None:
            filled = f"{order['filled_quantity']} filled"
            price = "" if order["filled_average_price"] is None else f" at {order['filled_average_price']}"
            yield _moment(born, order["ended_at"], f"order over: {order['order_status']}", detail=filled + price)


def _moment(born: datetime, at: str, says: str, **more: Any) -> Moment:
    moment = datetime.fromisoformat(at)
    return Moment(at=moment, after_ms=round((moment - born).total_seconds() * 1000, 1), says=says, **more)
