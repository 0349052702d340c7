"""Every result of a request has its `X-Request-ID`, which Alpaca's support asks for."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from pipeline.model.errors import BrokerUnavailable
from tests.unit.brokers import payloads
from tests.unit.brokers.conftest import Play
from tests.unit.brokers.payloads import API_SECRET
from tests.unit.brokers.scripted import Act, raw, reply
from workers.brokers.alpaca.session import LONGEST_REQUEST_ID

ID = "5f0d3c1b2a4e48d79c6b8a7f6e5d4c3b"
ORDER_ID = "61d1feca-aa11-4863-8b79-64c5e4731a98"
SINCE = datetime(2026, 10, 8, tzinfo=UTC)


def answered(status: int, body: Any = None) -> Act:
    return reply(status, body, X_Request_ID=ID)


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (200, payloads.order(), "Accepted"),
        (403, {"code": 40310000, "message": "insufficient buying power"}, "Rejected"),
        (422, {"code": 40010001, "message": "client_order_id must be unique"}, "Duplicate"),
        (429, {"message": "too many requests."}, "NotSent"),
        (401, {"message": "unauthorized."}, "NotSent"),
        (500, {"code": 50010000, "message": "internal server error occurred"}, "Unknown"),
        (504, "<html>", "Unknown"),
        (200, "not JSON", "Unknown"),
    ],
)
def test_each_outcome_of_an_order_has_the_id_of_its_answer(play: Play, status: int, body: Any, outcome: str) -> None:
    broker, _ = play(answered(status, body))

    found = broker.submit(payloads.request())

    assert (type(found).__name__, found.request_id) == (outcome, ID)


@pytest.mark.parametrize(
    ("status", "body", "lookup"),
    [
        (200, payloads.order(), "Found"),
        (404, {"code": 40410000, "message": "order not found for tw-1-1"}, "Absent"),
        (200, {"id": ORDER_ID}, "NoAnswer"),
        (503, None, "NoAnswer"),
    ],
)
def test_each_look_up_has_the_id_of_its_answer(play: Play, status: int, body: Any, lookup: str) -> None:
    broker, _ = play(answered(status, body))

    found = broker.find("tw-1-1")

    assert (type(found).__name__, found.request_id) == (lookup, ID)


@pytest.mark.parametrize(
    ("status", "body", "lookup"),
    [(200, [payloads.order()], "Found"), (200, [], "Absent"), (500, None, "NoAnswer")],
)
def test_a_look_up_in_the_list_has_the_id_of_the_last_page(play: Play, status: int, body: Any, lookup: str) -> None:
    broker, _ = play(answered(status, body))

    found = broker.find_in_list("tw-1-1", since=SINCE)

    assert (type(found).__name__, found.request_id) == (lookup, ID)


def test_each_answer_to_a_cancel_has_its_id(play: Play) -> None:
    over = {"code": 42210000, "message": 'order is already in "filled" state'}
    broker, _ = play(answered(204), answered(422, over), answered(500))

    assert [broker.cancel(ORDER_ID).request_id for _ in range(2)] == [ID, ID]
    with pytest.raises(BrokerUnavailable) as raised:
        broker.cancel(ORDER_ID)
    assert raised.value.request_id == ID


def test_an_answer_without_an_id_and_no_answer_have_none(play: Play) -> None:
    broker, _ = play(reply(200, payloads.order()), raw(b"", close=True))

    assert [broker.submit(payloads.request()).request_id for _ in range(2)] == [None, None]


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("a" * LONGEST_REQUEST_ID, "a" * LONGEST_REQUEST_ID),
        ("a" * (LONGEST_REQUEST_ID + 1), None),
        ("with-\x1b[31m-control", None),
        ("caf\u00e9", None),
        ("", None),
        (f"echo-{API_SECRET}", "echo-***"),
    ],
)
def test_an_id_that_cannot_be_stored_and_shown_is_left_out(play: Play, sent: str, kept: str | None) -> None:
    broker, _ = play(reply(500, None, X_Request_ID=sent))

    assert broker.submit(payloads.request()).request_id == kept
