"""The adapter reads the calendar and cash transfers."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from pipeline.model.errors import BrokerUnreadable
from tests.unit.brokers.conftest import Play
from tests.unit.brokers.scripted import Act, Seen, reply
from workers.brokers.alpaca import calendar

SINCE = datetime(2026, 10, 8, 15, 0, tzinfo=UTC)
FRIDAY, MONDAY = date(2026, 3, 6), date(2026, 3, 9)


def day(**changes: Any) -> dict[str, Any]:
    return {
        "date": "2026-03-09",
        "open": "09:30",
        "close": "16:00",
        "session_open": "0400",
        "session_close": "2000",
        "settlement_date": "2026-03-10",
    } | changes


def deposit(**changes: Any) -> dict[str, Any]:
    """A deposit with the fields of the published schema."""
    return {
        "id": "20261008000000000::1",
        "activity_type": "CSD",
        "date": "2026-10-08",
        "created_at": "2026-10-08T15:30:00.123456789Z",
        "net_amount": "1000",
        "currency": "USD",
        "status": "executed",
    } | changes


# --- the calendar ---


def test_sessions_are_asked_for_by_day_and_given_in_utc_in_their_order(play: Play) -> None:
    broker, server = play(reply(200, [day(), day(date="2026-03-06", close="13:00"), day(date="2026-03-10")]))

    sessions = broker.calendar(FRIDAY, MONDAY)

    assert [(each.date, each.opens, each.closes) for each in sessions] == [
        (FRIDAY, datetime(2026, 3, 6, 14, 30, tzinfo=UTC), datetime(2026, 3, 6, 18, 0, tzinfo=UTC)),
        (MONDAY, datetime(2026, 3, 9, 13, 30, tzinfo=UTC), datetime(2026, 3, 9, 20, 0, tzinfo=UTC)),
    ]
    target = urlsplit(server.seen[0].target)
    assert target.path == "/v2/calendar"
    assert parse_qs(target.query) == {"start": ["2026-03-06"], "end": ["2026-03-09"]}


@pytest.mark.parametrize(
    "changes",
    [
        {"date": "9 March"},
        {"date": None},
        {"open": "half past nine"},
        {"open": "09:30+00:00"},
        {"close": None},
        {"open": "16:00", "close": "09:30"},
        {"close": "09:30"},
    ],
)
def test_a_day_without_readable_hours_is_no_day_off(play: Play, changes: dict[str, Any]) -> None:
    broker, _ = play(reply(200, [day(**changes)]))

    with pytest.raises(BrokerUnreadable):
        broker.calendar(FRIDAY, MONDAY)


# --- transfers ---


def test_transfers_are_asked_for_by_their_kinds_from_a_day_before(play: Play) -> None:
    broker, server = play(reply(200, []))

    assert broker.transfers(SINCE) == []

    target = urlsplit(server.seen[0].target)
    assert target.path == "/v2/account/activities"
    assert parse_qs(target.query) == {
        "activity_types": ["CSD,CSW,JNLC,ACATC"],
        "after": ["2026-10-07T15:00:00Z"],
        "direction": ["asc"],
        "page_size": ["100"],
    }


def test_a_transfer_is_dated_by_the_moment_of_its_entry_or_by_its_day(play: Play) -> None:
    by_day = deposit(id="2", activity_type="CSW", net_amount="-12.34", created_at=None)
    broker, _ = play(reply(200, [deposit(), by_day]))

    listed = broker.transfers(SINCE)

    assert [(each.transfer_id, each.at, each.amount) for each in listed] == [
        ("2", datetime(2026, 10, 8, 4, 0, tzinfo=UTC), Decimal("-12.34")),
        ("20261008000000000::1", datetime(2026, 10, 8, 15, 30, 0, 123456, tzinfo=UTC), Decimal(1000)),
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"activity_type": "DIV"},
        {"status": "canceled"},
        {"net_amount": "0"},
        {"net_amount": None},
        {"created_at": "2026-10-08T14:59:59Z"},
        {"created_at": None, "date": "2026-10-07"},
    ],
    ids=["a dividend", "taken back", "of nothing", "of no amount", "before", "of the day before"],
)
def test_what_is_no_transfer_since_then_is_left_out(play: Play, changes: dict[str, Any]) -> None:
    broker, _ = play(reply(200, [deposit(**changes), deposit()]))

    assert [each.transfer_id for each in broker.transfers(SINCE)] == [deposit()["id"]]


@pytest.mark.parametrize(
    "changes",
    [
        {"net_amount": "a lot"},
        {"created_at": "yesterday"},
        {"created_at": None, "date": None},
        {"id": 7},
    ],
)
def test_a_transfer_that_cannot_be_read_is_not_passed_over(play: Play, changes: dict[str, Any]) -> None:
    broker, _ = play(reply(200, [deposit(), deposit(**changes)]))

    with pytest.raises(BrokerUnreadable):
        broker.transfers(SINCE)


def test_transfers_without_an_id_are_told_apart_and_are_the_same_in_each_list(play: Play) -> None:
    unnamed = {"activity_type": "CSD", "date": "2026-10-08", "net_amount": "5"}
    broker, _ = play(reply(200, [unnamed, unnamed, deposit()]), reply(200, [deposit(), unnamed, unnamed]))

    first, again = broker.transfers(SINCE), broker.transfers(SINCE)

    assert len({each.transfer_id for each in first}) == 3
    assert {each.transfer_id for each in first} == {each.transfer_id for each in again}


def test_all_pages_of_transfers_are_read_each_from_the_last_of_the_one_before(play: Play) -> None:
    booked = [datetime(2026, 10, 8, 16, 0, tzinfo=UTC) + timedelta(seconds=number) for number in range(250)]
    stored = [deposit(id=str(number), created_at=at.isoformat()) for number, at in enumerate(booked)]
    broker, server = play(_pages(stored))

    listed = broker.transfers(SINCE)

    assert [each.transfer_id for each in listed] == [str(number) for number in range(250)]
    assert len(server.seen) == 3


def test_transfers_that_do_not_move_on_are_given_up(play: Play) -> None:
    broker, server = play(reply(200, [deposit(id=str(number)) for number in range(100)]))

    with pytest.raises(BrokerUnreadable, match="does not move on"):
        broker.transfers(SINCE)

    assert len(server.seen) == 2


def test_transfers_without_end_are_given_up(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calendar, "MOST_PAGES", 3)
    monkeypatch.setattr(calendar, "PAGE_SIZE", 1)
    broker, server = play(*(reply(200, [deposit(id=str(number))]) for number in range(5)))

    with pytest.raises(BrokerUnreadable, match="more than 3"):
        broker.transfers(SINCE)

    assert len(server.seen) == 3


def _pages(stored: list[dict[str, Any]]) -> Act:
    """Answer as Alpaca does: in ascending order, beginning after the entry that `page_token` names."""

    def act(request: Seen, sock: Any, over: Any) -> bool:
        query = parse_qs(urlsplit(request.target).query)
        start = int(query["page_token"][0]) + 1 if "page_token" in query else 0
        return reply(200, stored[start : start + int(query["page_size"][0])])(request, sock, over)

    return act
