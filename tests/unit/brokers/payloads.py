"""Build answers of Alpaca with the fields of recorded ones."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

from pipeline.model.orders import OrderRequest, OrderSide
from workers.brokers.alpaca.fields import read_json

API_KEY = "PKTESTKEY0123456789A"
API_SECRET = "s3cr3t/of+the=account0123456789abcdefghi"


#: Answers that Alpaca gave.
RECORDED = Path(__file__).parents[2] / "payloads" / "alpaca"


def recorded(name: str) -> Any:
    """Return the recorded answer *name* as the adapter parses it."""
    return read_json((RECORDED / f"{name}.json").read_text())


def order(**changes: Any) -> dict[str, Any]:
    """An order as Alpaca reports it right after it was sent."""
    return {
        "id": "61d1feca-aa11-4863-8b79-64c5e4731a98",
        "client_order_id": "tw-1-1",
        "created_at": "2026-10-08T15:10:18.909428548Z",
        "updated_at": "2026-10-08T15:10:18.910283851Z",
        "submitted_at": "2026-10-08T15:10:18.909428548Z",
        "filled_at": None,
        "asset_class": "us_equity",
        "symbol": "AAPL",
        "qty": "10",
        "notional": None,
        "filled_qty": "0",
        "filled_avg_price": None,
        "order_class": "",
        "order_type": "limit",
        "type": "limit",
        "side": "buy",
        "time_in_force": "day",
        "limit_price": "190.5",
        "status": "pending_new",
        "legs": None,
    } | changes


def account(**changes: Any) -> dict[str, Any]:
    return {
        "account_number": "PA3XYZ",
        "status": "ACTIVE",
        "crypto_status": "ACTIVE",
        "currency": "USD",
        "equity": "100005.83",
        "last_equity": "100003.74258806517",
        "cash": "100005.83",
        "buying_power": "400023.32",
        "non_marginable_buying_power": "99788.52",
        "multiplier": "4",
        "trading_blocked": False,
        "account_blocked": False,
        "transfers_blocked": False,
        "trade_suspended_by_user": False,
        "shorting_enabled": True,
        "user_configurations": None,
    } | changes


def position(**changes: Any) -> dict[str, Any]:
    return {
        "symbol": "KO",
        "asset_class": "us_equity",
        "qty": "5",
        "qty_available": "3",
        "side": "long",
        "avg_entry_price": "86.879891",
        "current_price": "86.88",
    } | changes


def asset(**changes: Any) -> dict[str, Any]:
    return {
        "class": "us_equity",
        "symbol": "KO",
        "status": "active",
        "tradable": True,
        "fractionable": True,
        "shortable": True,
        "attributes": ["has_options"],
    } | changes


def request(**changes: Any) -> OrderRequest:
    """The request that leads to the answer `order()`."""
    values: dict[str, Any] = {
        "client_order_id": "tw-1-1",
        "symbol": "AAPL",
        "side": OrderSide.BUY,
        "quantity": Decimal(10),
        "type": "limit",
        "time_in_force": "day",
        "limit_price": Decimal("190.50"),
    }
    return OrderRequest(**values | changes)
