"""Reconciles for tests, and what another person does at the account by hand."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

from pipeline.model.orders import OrderRequest, OrderSide
from tests.factories import Core, until
from workers.brokers.protocol import Accepted
from workers.keeper.finding_store import NotSaved, Saved
from workers.keeper.reconciliation import Reconciliation

AT_ONCE = timedelta(0)


def reconcile(core: Core, *, times: int = 1, executor: str = "argo") -> Saved:
    """Reconcile the account *times* times. The paper exchange's reads do not lag, so nothing has to settle."""
    saved: Saved | NotSaved | None = None
    for _ in range(times):
        saved = Reconciliation(
            record=core.record,
            runtime=core.runtimes[executor],
            who="test keeper",
            settles=AT_ONCE,
            confirms=AT_ONCE,
        ).run_once()
    assert isinstance(saved, Saved), saved
    return saved


def found(core: Core, *states: str) -> list[tuple[str, str, str]]:
    """Return kind, symbol and state of the findings in *states*; without any, of those that are not over."""
    rows = core.rows(
        "SELECT kind, symbol, state FROM finding WHERE state = ANY(%s) ORDER BY kind, symbol",
        [list(states or ("suspected", "open"))],
    )
    return [(row["kind"], row["symbol"], row["state"]) for row in rows]


def rest_by_hand(core: Core, *, executor: str = "argo", client_order_id: str | None = None, **changes: Any) -> str:
    """Place an order that does not fill, as another person would, and return the broker's id of it."""
    core.faults({"on": "submit", "kind": "no_fill", "seconds": 600, "count": 1})
    terms = {"type": "limit", "limit_price": Decimal(90), "quantity": Decimal(5)} | changes
    return _placed(core, executor, client_order_id or f"hand-{uuid4()}", terms)


def trade_by_hand(core: Core, quantity: Any, symbol: str = "AAPL", *, executor: str = "argo") -> None:
    """Buy *quantity*, or sell it if it is below zero, and wait until the position has changed."""
    broker = core.runtimes[executor].broker
    before = broker.position(symbol)
    wanted = (before.quantity if before else Decimal(0)) + Decimal(quantity)
    side = OrderSide.BUY if Decimal(quantity) > 0 else OrderSide.SELL
    terms = {"type": "market", "quantity": abs(Decimal(quantity)), "side": side, "symbol": symbol}
    _placed(core, executor, f"hand-{uuid4()}", terms)

    def is_there() -> bool:
        held = broker.position(symbol)
        return (held.quantity if held else Decimal(0)) == wanted

    until(is_there)


def _placed(core: Core, executor: str, client_order_id: str, terms: dict[str, Any]) -> str:
    usual: dict[str, Any] = {"symbol": "AAPL", "side": OrderSide.BUY, "time_in_force": "day"}
    request = OrderRequest(client_order_id=client_order_id, **usual | terms)
    outcome = core.runtimes[executor].broker.submit(request)
    assert isinstance(outcome, Accepted), outcome
    return outcome.order.order_id
