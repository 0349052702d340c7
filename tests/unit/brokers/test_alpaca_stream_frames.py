"""Frames of the trade-update stream, as Alpaca sent them, and as it might send them one day."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from pipeline.model.errors import BrokerUnreadable
from pipeline.model.orders import OrderSide, OrderStatus
from tests.unit.brokers import payloads
from workers.brokers.alpaca.stream_frames import (
    FillRevision,
    ForeignUpdate,
    OrderUpdate,
    UnclearUpdate,
    message_of,
    update_of,
)

OURS = "tw-0d9f7e4c-5c1b-4a51-9d0e-1f6a3f4f3f10-1"
EVENTS = [
    "stream-fill-2026", "stream-fill-crypto-2022", "stream-new-2026", "stream-new-no-price-qty",
    "derived-stream-partial-fill", "masked-paper-trade-update-fill", "event-pending-new-through-csharp-sdk",
    "event-new-broker-sse",
]  # fmt: skip


def recorded(name: str, *, client_order_id: str = OURS, **changes: Any) -> dict[str, Any]:
    """Return the data of a recorded event, about an order of ours and with *changes*."""
    raw = payloads.recorded(name)
    data = raw.get("data", raw)
    return {**data, "order": data["order"] | {"client_order_id": client_order_id}} | changes


def update(name: str, **changes: Any) -> OrderUpdate:
    read = update_of(recorded(name, **changes))
    assert isinstance(read, OrderUpdate)
    return read


@pytest.mark.parametrize(
    ("name", "symbol", "quantity", "price", "cumulative", "status"),
    [
        ("stream-fill-2026", "DOGE/USD", "129.7", "0.0851119", "129.7", OrderStatus.FILLED),
        ("stream-fill-crypto-2022", "SOL/USD", "1790.86", "105.8988475", "1790.86", OrderStatus.FILLED),
        ("derived-stream-partial-fill", "F", "43", "11.88", "93", OrderStatus.PARTIALLY_FILLED),
        ("masked-paper-trade-update-fill", "AAPL", "1", "305.59", "1", OrderStatus.FILLED),
    ],
)
def test_a_fill_is_the_trade_and_not_the_order(
    name: str, symbol: str, quantity: str, price: str, cumulative: str, status: OrderStatus
) -> None:
    read = update(name)

    assert read.fill is not None
    assert (read.fill.symbol, read.fill.quantity, read.fill.price) == (symbol, Decimal(quantity), Decimal(price))
    assert (read.fill.cumulative_quantity, read.order.filled_quantity) == (Decimal(cumulative), Decimal(cumulative))
    assert read.order.status is status
    assert read.fill.fill_id == recorded(name)["execution_id"]


def test_a_fill_has_the_time_and_the_side_of_the_trade() -> None:
    fill = update("stream-fill-2026").fill

    assert fill is not None
    assert (fill.side, fill.order_id) == (OrderSide.SELL, "c800427d-3b35-45d7-ae20-5a45a1f60f7d")
    assert fill.filled_at == datetime(2026, 9, 18, 13, 24, 50, 19957, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "event"),
    [
        ("stream-new-2026", "new"),
        ("stream-new-no-price-qty", "new"),
        ("event-new-broker-sse", "new"),
        ("event-pending-new-through-csharp-sdk", "pending_new"),
    ],
)
def test_other_events_show_the_order_alone(name: str, event: str) -> None:
    read = update(name)

    assert (read.event, read.fill, read.order.status) == (event, None, OrderStatus.WORKING)


def test_an_event_that_is_new_since_july_is_read_without_an_event_id() -> None:
    assert update("stream-new-no-price-qty", event="accepted").event == "accepted"


@pytest.mark.parametrize("name", EVENTS)
def test_an_order_of_another_program_is_foreign_whatever_the_event(name: str) -> None:
    assert update_of(recorded(name, client_order_id="made-up", event="unheard")) == ForeignUpdate(replaces=None)


def test_a_foreign_order_names_the_order_that_it_replaces() -> None:
    data = recorded("stream-new-2026", client_order_id="made-up")
    data["order"]["replaces"] = "the-old-one"

    assert update_of(data) == ForeignUpdate(replaces="the-old-one")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"execution_id": None}, "execution_id"),
        ({"execution_id": ""}, "execution_id"),
        ({"price": None}, "price"),
        ({"price": "0"}, "price"),
        ({"qty": None}, "qty"),
        ({"qty": "-1"}, "qty"),
        ({"qty": "1e40"}, "qty"),
        ({"qty": "130"}, "filled quantity"),
        ({"timestamp": None}, "timestamp"),
        ({"event": "trade_moved"}, "event"),
        ({"event": "trade_correct"}, "previous_execution_id"),
        ({"event": "trade_correct", "execution_id": "one", "previous_execution_id": "one"}, "previous_execution_id"),
        ({"event": "trade_bust", "price": None}, "price"),
        ({"event": None}, "event"),
        ({"order": None}, "names no order"),
        ({"order": {"client_order_id": OURS}}, "status"),
    ],
)
def test_a_fill_that_lacks_something_is_odd(changes: dict[str, Any], why: str) -> None:
    read = update_of(recorded("stream-fill-2026", **changes))

    assert isinstance(read, UnclearUpdate)
    assert (read.odd, why in read.why) == (True, True), read


@pytest.mark.parametrize(
    ("event", "previous", "names"),
    [
        ("trade_bust", None, "f886d305-b010-459d-a855-97a294f66cc8"),
        ("trade_bust", "the-old", "the-old"),
        ("trade_correct", "the-old", "the-old"),
    ],
)
def test_a_revised_fill_names_the_one_before(event: str, previous: str | None, names: str) -> None:
    read = update_of(recorded("stream-fill-2026", event=event, previous_execution_id=previous))

    assert isinstance(read, FillRevision)
    assert (read.previous_fill_id, read.is_bust) == (names, event == "trade_bust")
    assert (read.client_order_id, read.fill.cumulative_quantity) == (OURS, None)


@pytest.mark.parametrize(
    ("event", "order", "odd"),
    [
        ("replaced", {"status": "replaced"}, False),
        ("canceled", {"status": "replaced"}, False),
        ("new", {"replaced_by": "another"}, False),
        ("new", {"status": "status_of_tomorrow"}, True),
    ],
)
def test_a_replaced_order_is_ordinary_and_an_unknown_status_is_odd(
    event: str, order: dict[str, Any], *, odd: bool
) -> None:
    data = recorded("stream-new-2026", event=event)
    data["order"] |= order

    read = update_of(data)

    assert isinstance(read, UnclearUpdate)
    assert read.odd is odd


@pytest.mark.parametrize(
    ("frame", "stream"),
    [
        (json.dumps(payloads.recorded("stream-authorization-0")), "authorization"),
        (json.dumps(payloads.recorded("stream-fill-2026")).encode(), "trade_updates"),
        ('{"action":"error","data":{"error_message":"no"}}', None),
    ],
)
def test_a_message_is_text_or_binary(frame: str | bytes, stream: str | None) -> None:
    assert message_of(frame).stream == stream


@pytest.mark.parametrize(
    "frame", [b"\xff\xfe", b"\x81\xa1a", "", "[]", "{}", '{"stream":"x"}', '{"data":{}}', "[" * 10000]
)
def test_a_frame_that_is_no_message_is_unreadable(frame: str | bytes) -> None:
    with pytest.raises(BrokerUnreadable):
        message_of(frame)
