"""The adapter reads Alpaca's lists of fills."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from structlog.testing import capture_logs

from pipeline.model.errors import BrokerUnreadable
from pipeline.model.fills import FillReport
from pipeline.model.orders import OrderSide
from tests.unit.brokers import payloads
from tests.unit.brokers.conftest import Play
from tests.unit.brokers.scripted import Act, Seen, reply
from workers.brokers.alpaca.activities import fill_from_broker
from workers.brokers.alpaca.lists import RowReader

START = datetime(2026, 10, 8, 15, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "fill_id", "order_id", "symbol", "side", "quantity", "price", "at"),
    [
        (
            "activity-fill-crypto-2022",
            "bc514ee5-8f6c-41e7-a76f-55086fd9a1d7",
            "353a887d-375e-4996-a882-9862df1e878b",
            "LTC/USD",
            "sell",
            "0.07",
            "67.31",
            # The id begins with 07:19:29, the time in New York.
            "2022-12-28T12:19:29.579352",
        ),
        (
            "activity-fill-fractional",
            "3604a0c3-c9ad-4238-af64-ad67e4170fef",
            "5fa0e77e-aceb-4344-a8ee-824c1f8d1a63",
            "AAPL",
            "buy",
            "0.38962051",
            "128.33",
            "2021-05-10T14:01:04.650275",
        ),
        (
            "masked-paper-activities",
            "act_001",
            "bbc4a631-689a-49c9-a062-d08f0d6a64d0",
            "AAPL",
            "buy",
            "10",
            "187.25",
            "2026-05-20T14:30:05",
        ),
    ],
)
def test_a_fill(
    name: str, fill_id: str, order_id: str, symbol: str, side: str, quantity: str, price: str, at: str
) -> None:
    raw: Any = payloads.recorded(name)
    [fill] = [fill_from_broker(each) for each in (raw if isinstance(raw, list) else [raw])]

    assert fill == FillReport(
        fill_id=fill_id,
        order_id=order_id,
        symbol=symbol,
        side=OrderSide(side),
        quantity=Decimal(quantity),
        price=Decimal(price),
        filled_at=datetime.fromisoformat(at).replace(tzinfo=UTC),
        cumulative_quantity=Decimal(quantity),
    )


@pytest.mark.parametrize(
    "name",
    [
        "activities-cash-mix-2026",
        "activities-div-2019",
        "activities-non-trade-2026",
        "activities-option-assignment",
        "activity-cfee-coin-fee",
        "activity-csd",
        "activity-opasn-2026",
        "activity-opexp-2025",
    ],
)
def test_no_other_activity_is_a_fill(name: str) -> None:
    raw: Any = payloads.recorded(name)

    with capture_logs() as logs:
        assert RowReader().fills(raw if isinstance(raw, list) else [raw]) == []
    assert {each["event"] for each in logs} == {"broker_row.unreadable"}


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"qty": "0"}, "qty"),
        ({"price": "-1"}, "price"),
        ({"price": None}, "price"),
        ({"order_id": ""}, "order_id"),
        ({"transaction_time": "2026-10-08"}, "transaction_time"),
        ({"side": "hold"}, "side"),
        ({"activity_type": "OPTRD"}, "activity_type"),
    ],
)
def test_a_row_that_is_no_fill_names_the_field(changes: dict[str, Any], key: str) -> None:
    with pytest.raises(BrokerUnreadable, match=f"fill has no readable {key}"):
        fill_from_broker(row(1) | changes)


def test_a_sale_that_opens_a_short_position_in_an_option_is_a_sale() -> None:
    assert fill_from_broker(row(1) | {"side": "sell_short"}).side is OrderSide.SELL


def test_all_pages_of_fills_are_read_and_an_unreadable_row_hides_no_other(play: Play) -> None:
    stored = [row(number) for number in range(205)]
    stored[99]["price"] = "unknown"
    broker, server = play(_listed(stored))

    with capture_logs() as logs:
        found = broker.fills(START)

    assert [each.fill_id for each in found] == [f"f-{number}" for number in range(205) if number != 99]
    assert [each["row"] for each in logs if each["event"] == "broker_row.unreadable"] == ["20261008::f-99"]
    assert parse_qs(urlsplit(server.seen[2].target).query) == {
        "after": ["2026-10-08T14:59:59.999999Z"],
        "direction": ["asc"],
        "page_size": ["100"],
        "page_token": ["20261008::f-199"],
    }


def test_a_caller_can_end_the_list_of_fills(play: Play) -> None:
    broker, server = play(_listed([row(number) for number in range(205)]))

    assert len(broker.fills(START, more=lambda: False)) == 100
    assert len(server.seen) == 1


def test_a_list_of_fills_that_does_not_move_on_is_given_up(play: Play) -> None:
    broker, server = play(reply(200, [row(number) for number in range(100)]))

    with pytest.raises(BrokerUnreadable, match="does not move on"):
        broker.fills(START)
    assert len(server.seen) == 2


def row(number: int) -> dict[str, Any]:
    recorded: dict[str, Any] = payloads.recorded("activity-fill-fractional")
    at = (START + timedelta(seconds=number)).isoformat()
    return recorded | {"id": f"20261008::f-{number}", "transaction_time": at}


def _listed(stored: list[dict[str, Any]]) -> Act:
    """Answer as Alpaca does: the rows after `page_token`, at most `page_size`."""

    def act(request: Seen, sock: Any, over: Any) -> bool:
        query = parse_qs(urlsplit(request.target).query)
        ids = [each["id"] for each in stored]
        first = ids.index(query["page_token"][0]) + 1 if "page_token" in query else 0
        return reply(200, stored[first : first + int(query["page_size"][0])])(request, sock, over)

    return act
