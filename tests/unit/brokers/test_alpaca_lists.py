"""The adapter reads lists of orders page by page."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from structlog.testing import capture_logs

from pipeline.model.errors import BrokerUnreadable
from tests.unit.brokers import payloads
from tests.unit.brokers.conftest import Play
from tests.unit.brokers.scripted import Act, Seen, reply
from workers.brokers.alpaca import lists
from workers.brokers.protocol import Found, NoAnswer, NotSentCause, UnreadableRow

START = datetime(2026, 10, 8, 15, 0, tzinfo=UTC)


def test_the_list_is_asked_for_every_status_from_a_second_before(play: Play) -> None:
    broker, server = play(reply(200, [payloads.order(client_order_id="tw-0-1"), payloads.order(id="2")]))

    answer = broker.find_in_list("tw-1-1", since=START)

    assert isinstance(answer, Found)
    assert parse_qs(urlsplit(server.seen[0].target).query) == {
        "status": ["all"],
        "limit": ["500"],
        "direction": ["asc"],
        "nested": ["false"],
        "after": ["2026-10-08T14:59:59Z"],
    }


def test_all_pages_are_read_and_no_order_twice_or_never(play: Play) -> None:
    # 1203 orders. Around the end of the first page, 40 have the same time to the microsecond.
    moments = [START + timedelta(milliseconds=n if not 480 <= n < 520 else 480) for n in range(1203)]
    stored = [payloads.order(id=str(n), submitted_at=_nanoseconds(when)) for n, when in enumerate(moments)]
    broker, server = play(_order_list(stored))

    listed = broker.orders(status="all", since=START - timedelta(hours=1))

    assert [order.order_id for order in listed] == [order["id"] for order in stored]
    assert len(server.seen) == 3


def test_a_list_that_does_not_move_on_is_given_up(play: Play) -> None:
    same = [payloads.order(id=str(number)) for number in range(500)]
    broker, server = play(reply(200, same))

    with pytest.raises(BrokerUnreadable, match="does not move on"):
        broker.orders(status="all")

    assert len(server.seen) == 2


def test_a_list_without_end_is_given_up(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "MOST_PAGES", 3)
    monkeypatch.setattr(lists, "PAGE_SIZE", 1)
    broker, server = play(*(reply(200, [payloads.order(id=str(n), client_order_id="x")]) for n in range(5)))

    answer = broker.find_in_list("tw-1-1", since=START)

    assert isinstance(answer, NoAnswer)
    assert len(server.seen) == 3


def test_each_page_after_the_first_is_asked_for_before_it_is_read(play: Play) -> None:
    moments = [START + timedelta(milliseconds=n) for n in range(1203)]
    stored = [payloads.order(id=str(n), submitted_at=_nanoseconds(when)) for n, when in enumerate(moments)]
    broker, server = play(_order_list(stored))
    read_before: list[int] = []

    def more() -> bool:
        read_before.append(len(server.seen))
        return len(read_before) < 2

    listed = broker.orders(status="all", since=START - timedelta(hours=1), more=more)

    assert (read_before, len(server.seen)) == ([1, 2], 2)
    assert [order.order_id for order in listed] == [str(n) for n in range(len(listed))]
    assert 900 < len(listed) < 1203


def test_an_order_that_a_list_cut_short_did_not_show_is_not_absent(play: Play) -> None:
    broker, _ = play(reply(200, [payloads.order(id=str(number)) for number in range(500)]))

    answer = broker.find_in_list("tw-2-1", since=START, more=lambda: False)

    assert answer == NoAnswer(message="The list was not read to its end.", cause=NotSentCause.RATE_LIMITED)


def test_orders_of_several_legs_are_left_out_of_lists(play: Play) -> None:
    legs = payloads.order(id="legs", order_class="mleg", symbol="", side="")
    broker, _ = play(reply(200, [legs, payloads.order()]))

    assert [order.order_id for order in broker.orders(status="open")] == [payloads.order()["id"]]


UNREADABLE_ORDERS: dict[str, dict[str, Any]] = {
    "non-ascii id": {"client_order_id": "Kauf für Ann"},
    "empty id": {"client_order_id": ""},
    "no side": {"side": None},
    "empty side": {"side": ""},
    "option side": {"side": "sell_short"},
    "no symbol": {"symbol": None},
    "odd quantity": {"qty": "many"},
}


@pytest.mark.parametrize("changes", UNREADABLE_ORDERS.values(), ids=UNREADABLE_ORDERS.keys())
def test_an_order_that_cannot_be_read_hides_no_other_one_and_is_named(play: Play, changes: dict[str, Any]) -> None:
    broker, _ = play(reply(200, [payloads.order(id="odd", **changes), payloads.order(id="good")]))
    rows: list[UnreadableRow] = []

    with capture_logs() as logs:
        listed = [broker.orders(status="open", on_unreadable=rows.append) for _ in range(2)]

    assert [[order.order_id for order in each] for each in listed] == [["good"], ["good"]]
    assert [(row.row_id, row.expected) for row in rows] == [("odd", False)] * 2
    assert [(line["event"], line["row"]) for line in logs] == [("broker_row.unreadable", "odd")]


def test_an_order_of_several_legs_is_reported_and_not_logged(play: Play) -> None:
    broker, _ = play(reply(200, [payloads.order(id="legs", order_class="mleg", symbol="", side="")]))
    rows: list[UnreadableRow] = []

    with capture_logs() as logs:
        assert broker.orders(status="open", on_unreadable=rows.append) == []

    assert ([(row.row_id, row.expected) for row in rows], logs) == ([("legs", True)], [])


NAMELESS_ORDERS: dict[str, tuple[Any, str]] = {
    "no id": (payloads.order(id=None, client_order_id="by-hand-1"), "by-hand-1"),
    "a number as id": (payloads.order(id=7, client_order_id=None), "AAPL"),
    "nothing": ({}, "unnamed"),
    "no object": ("KO", "unnamed"),
}


@pytest.mark.parametrize(("odd", "name"), NAMELESS_ORDERS.values(), ids=NAMELESS_ORDERS.keys())
def test_an_order_without_an_id_hides_no_other_one_and_is_named(play: Play, odd: Any, name: str) -> None:
    broker, _ = play(reply(200, [odd, payloads.order(id="good")]))
    rows: list[UnreadableRow] = []

    listed = broker.orders(status="open", on_unreadable=rows.append)

    assert [order.order_id for order in listed] == ["good"]
    assert [(row.row_id, row.order_id) for row in rows] == [(name, None)]


def test_an_order_is_not_absent_where_a_row_of_the_list_has_no_id(play: Play) -> None:
    broker, _ = play(reply(200, [{}, payloads.order(client_order_id="another")]))

    answer = broker.find_in_list("tw-2-1", since=START)

    assert answer == NoAnswer(message="The broker's order list holds something that is not an order.")


UNREADABLE_POSITIONS: dict[str, tuple[Any, str]] = {
    "no symbol": (payloads.position(symbol=None, asset_id="b0b6"), "b0b6"),
    "non-ascii symbol": (payloads.position(symbol="KÖ"), "K\\xd6"),
    "no quantity": (payloads.position(qty=None), "KO"),
    "no object": ("KO", "unnamed"),
}


@pytest.mark.parametrize(("row", "name"), UNREADABLE_POSITIONS.values(), ids=UNREADABLE_POSITIONS.keys())
def test_a_position_that_cannot_be_read_hides_no_other_one_and_is_named(play: Play, row: Any, name: str) -> None:
    broker, _ = play(reply(200, [row, payloads.position(symbol="F")]))
    rows: list[UnreadableRow] = []

    with capture_logs() as logs:
        listed = broker.positions(on_unreadable=rows.append)

    assert [position.symbol for position in listed] == ["F"]
    assert ([row.row_id for row in rows], [line["row"] for line in logs]) == ([name], [name])


READABLE_POSITIONS: dict[str, dict[str, Any]] = {
    "no entry price": {"avg_entry_price": None},
    "an option": {"symbol": "KO261218C00070000", "asset_class": "us_option"},
    "unknown symbol": {"symbol": "KO.WS.A"},
}


@pytest.mark.parametrize("changes", READABLE_POSITIONS.values(), ids=READABLE_POSITIONS.keys())
def test_a_position_that_can_be_closed_is_read(play: Play, changes: dict[str, Any]) -> None:
    broker, _ = play(reply(200, [payloads.position(**changes)]))

    [position] = broker.positions()

    assert (position.quantity, position.symbol) == (5, changes.get("symbol", "KO"))


def _nanoseconds(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f") + "000Z"


def _order_list(stored: list[dict[str, Any]]) -> Act:
    """Answer as Alpaca does: submitted strictly after `after`, ascending, at most `limit`."""

    def act(request: Seen, sock: Any, over: Any) -> bool:
        query = parse_qs(urlsplit(request.target).query)
        after = datetime.fromisoformat(query["after"][0]).strftime("%Y-%m-%dT%H:%M:%S.%f") + "000Z"
        page = [order for order in stored if order["submitted_at"] > after][: int(query["limit"][0])]
        return reply(200, page)(request, sock, over)

    return act
