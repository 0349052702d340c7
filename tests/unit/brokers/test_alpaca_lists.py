"""How the adapter reads lists of orders, page by page."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from pipeline.model.errors import BrokerUnreadable
from tests.unit.brokers import payloads
from tests.unit.brokers.conftest import Play
from tests.unit.brokers.scripted import Act, Seen, reply
from workers.brokers.alpaca import adapter
from workers.brokers.protocol import Found, NoAnswer, NotSentCause

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
    # 1203 orders, 40 of them of one microsecond, around the end of the first page.
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
    monkeypatch.setattr(adapter, "MOST_PAGES", 3)
    monkeypatch.setattr(adapter, "PAGE_SIZE", 1)
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


def test_an_order_in_a_list_that_cannot_be_read_is_not_passed_over(play: Play) -> None:
    broker, _ = play(reply(200, [payloads.order(), payloads.order(id="2", side=None)]))

    with pytest.raises(BrokerUnreadable, match="side"):
        broker.orders(status="open")


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
