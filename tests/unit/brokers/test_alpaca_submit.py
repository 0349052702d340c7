"""The adapter returns an outcome of an order for every answer that Alpaca can give."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.model.orders import OrderStatus
from tests.unit.brokers import payloads
from tests.unit.brokers.conftest import Play
from tests.unit.brokers.scripted import (
    reply,
)
from workers.brokers.alpaca.outcomes import outcome_of
from workers.brokers.alpaca.session import HttpAnswer
from workers.brokers.protocol import Accepted, Duplicate, NotSent, NotSentCause, Rejected, Unknown

HTML = "<html><head><title>502 Bad Gateway</title></head></html>"


def test_an_accepted_order_is_told_with_its_id(play: Play) -> None:
    broker, _ = play(reply(200, payloads.order(status="pending_new")))

    outcome = broker.submit(payloads.request())

    assert isinstance(outcome, Accepted)
    assert outcome.order.order_id == "61d1feca-aa11-4863-8b79-64c5e4731a98"
    assert outcome.order.status is OrderStatus.WORKING
    assert outcome.order.raw_status == "pending_new"


def test_an_order_goes_out_as_strings_and_the_same_bytes_every_time(play: Play) -> None:
    broker, server = play(reply(200, payloads.order()))
    tiny = payloads.request(quantity=Decimal("0.000000001"), limit_price=Decimal("1E+3"))

    broker.submit(tiny)
    broker.submit(tiny)

    first, second = server.seen
    assert first.body == second.body
    assert (first.method, first.target) == ("POST", "/v2/orders")
    assert first.headers["apca-api-key-id"] == payloads.API_KEY
    assert first.headers["apca-api-secret-key"] == payloads.API_SECRET
    assert first.json() == {
        "client_order_id": "tw-1-1",
        "symbol": "AAPL",
        "side": "buy",
        "qty": "0.000000001",
        "type": "limit",
        "time_in_force": "day",
        "limit_price": "1000",
    }


@pytest.mark.parametrize(
    "changes",
    [
        {"client_order_id": "tw-2-1"},
        {"symbol": "MSFT"},
        {"side": "sell"},
        {"side": "buy_or_so"},
        {"id": None},
        {"id": "has\u0000nul"},
        {"status": None},
        {"qty": "NaN"},
        {"filled_qty": True},
        {"filled_avg_price": "1e999999999"},
        {"created_at": "yesterday"},
    ],
)
def test_an_acceptance_that_is_not_of_our_order_is_unknown(changes: dict[str, Any]) -> None:
    assert isinstance(_submitted(200, payloads.order(**changes)), Unknown)


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "brand_new_word"},
        {"type": "brand_new_word", "order_class": "odd", "time_in_force": "odd", "asset_class": "odd"},
        {"created_at": None, "submitted_at": None, "updated_at": None, "extended_hours": None},
        {"brand_new_field": {"deep": [1.5]}},
        {"qty": 10, "filled_qty": None},
        {"qty": 10.0},
    ],
)
def test_an_acceptance_with_words_we_do_not_know_is_still_one(changes: dict[str, Any]) -> None:
    assert isinstance(_submitted(200, payloads.order(**changes)), Accepted)


def test_an_unknown_status_word_is_kept() -> None:
    outcome = _submitted(200, payloads.order(status="brand_new_word"))

    assert isinstance(outcome, Accepted)
    assert outcome.order.status is OrderStatus.UNRECOGNISED
    assert outcome.order.raw_status == "brand_new_word"


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        (403, 40310000, "insufficient buying power"),
        (403, 40310000, "insufficient qty available for order (requested: 1.05, available: 0.55)"),
        (403, 40310000, "potential wash trade detected. use complex orders"),
        (403, 40310000, "account is not allowed to short"),
        (403, 40310000, "fractional trading is disabled for this account"),
        (403, 40310000, "account is not authorized to trade options"),
        (403, 40310100, "trade denied due to pattern day trading protection"),
        (422, 40010001, "client_order_id must be no more than 128 characters"),
        (422, 40010001, "qty must be > 0"),
        (422, 42210000, 'asset "X" not found'),
        (400, 40010000, "request body format is invalid"),
        (404, 40410000, "symbol not found: X"),
        (404, 40410000, "symbol not found: BURL"),
        (404, None, "asset not found for ROUTE"),
        (403, 40310000, "account is not allowed to open short positions"),
    ],
)
def test_a_no_to_this_order_is_rejected_with_the_brokers_words(status: int, code: int, message: str) -> None:
    outcome = _submitted(status, {"code": code, "message": message})

    assert isinstance(outcome, Rejected)
    assert (outcome.status, outcome.message, outcome.code) == (status, message, code)


@pytest.mark.parametrize("status", [422, 409])
@pytest.mark.parametrize("code", [40010001, 42210000, None])
@pytest.mark.parametrize(
    "message",
    [
        "client_order_id must be unique",
        "Client order ID already exists",
        "duplicate client_order_id: already used",
    ],
)
def test_a_taken_id_is_known_by_status_and_message(status: int, code: int | None, message: str) -> None:
    assert _submitted(status, {"code": code, "message": message}) == Duplicate(message=message)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (401, {"message": "unauthorized."}),
        (401, "<html><title>401 Authorization Required</title></html>"),
        (401, ""),
        (403, {"message": "forbidden."}),
        (403, {"code": 40310000, "message": "account is not authorized to trade"}),
        (403, {"code": 40310000, "message": "Account is restricted to liquidation only"}),
        (403, {"code": 40310000, "message": "account is restricted to closing transactions"}),
        (403, {"code": 40310000, "message": "account is in close-only mode"}),
        (403, {"code": 40310000, "message": "account is not permitted to open new positions"}),
        (403, {"code": 40310000, "message": "new orders are rejected by user request"}),
        (403, {"code": 40110000, "message": "request is not authorized"}),
    ],
)
def test_a_no_to_the_account_was_not_sent(status: int, body: Any) -> None:
    outcome = _submitted(status, body)

    assert isinstance(outcome, NotSent)
    assert outcome.cause is NotSentCause.ACCOUNT_REFUSED
    assert f"HTTP {status}" in outcome.message


def test_an_order_whose_position_has_changed_was_not_sent() -> None:
    message = "position intent mismatch, inferred: sell_to_open, specified: sell_to_close"

    assert _submitted(422, {"code": 42210000, "message": message}) == NotSent(
        cause=NotSentCause.POSITION_CHANGED, message=f"HTTP 422: {message}"
    )


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, ""),
        (200, "ok"),
        (200, "null"),
        (200, "[]"),
        (200, "{}"),
        (200, '{"id": '),
        (200, "[" * 100_000),
        (200, HTML),
        (204, ""),
        (301, HTML),
        (307, payloads.order()),
        (400, HTML),
        (403, HTML),
        (403, '{"message": 5}'),
        (404, HTML),
        (404, {"message": "no"}),
        (404, {"message": "Not Found"}),
        (408, {"message": "request timeout"}),
        (409, {"message": "conflict"}),
        (422, ""),
        (500, {"message": "internal server error"}),
        (500, {"code": 42210000, "message": "client_order_id must be unique"}),
        (502, HTML),
        (503, ""),
        (504, {"message": "gateway timeout"}),
    ],
)
def test_whatever_else_is_answered_leaves_it_unknown(status: int, body: Any) -> None:
    assert isinstance(_submitted(status, body), Unknown)


def test_an_address_that_takes_no_orders_has_not_taken_this_one() -> None:
    outcome = _submitted(404, {"code": 40410000, "message": "endpoint not found"})

    assert isinstance(outcome, NotSent)
    assert outcome.cause is NotSentCause.UNREACHABLE


@given(status=st.integers(200, 599), text=st.text() | st.just('{"message": "x"}'))
def test_no_answer_whatsoever_makes_it_raise(status: int, text: str) -> None:
    outcome = outcome_of(HttpAnswer(status=status, text=text), payloads.request())

    assert not isinstance(outcome, Accepted)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"Retry_After": "2.5"}, 2.5),
        ({"Retry_After": "-1"}, 0.0),
        ({"Retry_After": "nan"}, None),
        ({"Retry_After": "Thu, 08 Oct 2026 15:10:25 GMT", "Date": "Thu, 08 Oct 2026 15:10:18 GMT"}, 7.0),
        ({"X_RateLimit_Reset": "1791472225", "Date": "Thu, 08 Oct 2026 15:10:18 GMT"}, 7.0),
        ({"X_RateLimit_Reset": "soon"}, None),
    ],
)
def test_over_the_rate_was_not_sent_and_says_how_long_to_wait(
    play: Play, headers: dict[str, str], expected: float | None
) -> None:
    broker, _ = play(reply(429, {"message": "too many requests."}, **headers))

    outcome = broker.submit(payloads.request())

    assert outcome == NotSent(
        cause=NotSentCause.RATE_LIMITED,
        message="HTTP 429: too many requests.",
        retry_after_s=None if expected is None else pytest.approx(expected),
    )


def _submitted(status: int, body: Any) -> Any:
    return outcome_of(_answer(status, body), payloads.request())


def _answer(status: int, body: Any) -> HttpAnswer:
    return HttpAnswer(status=status, text=body if isinstance(body, str) else json.dumps(body))
