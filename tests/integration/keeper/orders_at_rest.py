"""Orders for tests of polls: they stay open at the exchange, are lost on the way, or arrive late."""

from __future__ import annotations

import json
from uuid import UUID

from alpaca.trading.client import TradingClient
from alpaca.trading.models import Order
from alpaca.trading.requests import ReplaceOrderRequest

from pipeline.model.orders import OrderRequest
from tests.factories import Core, until
from workers.brokers.protocol import Accepted


def working(core: Core, **changes: object) -> UUID:
    """Send an order that the exchange accepts and does not fill."""
    core.faults({"on": "submit", "kind": "no_fill", "seconds": 600, "count": 1})
    execution_id = core.send(**changes)  # type: ignore[arg-type]
    assert core.run(execution_id)["state"] == "accepted"
    return execution_id


def unsent(core: Core) -> UUID:
    """Send an order that gets no answer and does not reach the exchange."""
    core.faults({"on": "submit", "kind": "drop_before", "count": 1})
    execution_id = core.send()
    assert core.run(execution_id)["state"] == "unknown"
    return execution_id


def give_up(core: Core, execution_id: UUID, state: str) -> None:
    """End an unknown execution as the keeper would."""
    core.rows(
        "UPDATE execution SET state = %(state)s::execution_state, reason_code = 'too_old', due_at = NULL, "
        "moved_by = 'test', ended_at = CASE WHEN %(state)s <> 'dead' THEN now() END WHERE execution_id = %(id)s",
        {"state": state, "id": execution_id},
    )


def arrive(core: Core, execution_id: UUID, **changes: object) -> str:
    """Place the order at the exchange after all; it does not fill."""
    request = core.execution(execution_id)["request"] | changes
    core.faults({"on": "submit", "kind": "no_fill", "seconds": 600, "count": 1})
    outcome = core.runtimes["argo"].broker.submit(OrderRequest.from_json(json.loads(json.dumps(request))))
    assert isinstance(outcome, Accepted)
    return outcome.order.order_id


def status_at_exchange(core: Core) -> str:
    return str(core.orders()[-1]["status"])


def replace(core: Core, order_id: str, *, price: float, quantity: int, client_order_id: str | None = None) -> str:
    """Replace an order at the broker, as a person would, and return the id of the replacement."""
    client = TradingClient("argo", "paper-exchange", url_override=core.exchange.url)
    until(lambda: status_of(core, order_id) != "pending_new")  # Until then it cannot be replaced.
    terms = ReplaceOrderRequest(limit_price=price, qty=quantity, client_order_id=client_order_id)
    new = client.replace_order_by_id(order_id, terms)
    assert isinstance(new, Order)
    return str(new.id)


def status_of(core: Core, order_id: str) -> str:
    return next(order["status"] for order in core.orders() if order["id"] == order_id)
