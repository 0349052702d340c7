"""The adapter reads recorded lists, errors and stream orders of Alpaca."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from pipeline.model.errors import BrokerFault, BrokerRefusesAccount, BrokerUnreadable
from pipeline.model.orders import OrderSide, OrderStatus
from tests.unit.brokers import payloads
from workers.brokers.alpaca import mapping, outcomes
from workers.brokers.alpaca.lists import RowReader
from workers.brokers.alpaca.session import HttpAnswer
from workers.brokers.protocol import NotSent, NotSentCause, Outcome, RefusalKind, Rejected, UnreadableRow


def refused(status: int, body: object) -> Outcome:
    """Return the outcome of an order that gets this answer."""
    return outcomes.outcome_of(HttpAnswer(status=status, text=json.dumps(body)), payloads.request())


def failed(status: int, name: str) -> BrokerFault:
    """Return the error of a read that gets this answer."""
    return outcomes.fault_of(HttpAnswer(status=status, text=json.dumps(payloads.recorded(name))))


@pytest.mark.parametrize(
    ("name", "symbol", "side", "quantity", "filled", "price", "status"),
    [
        ("derived-stream-partial-fill", "F", "buy", "250", "93", "11.8842473118", OrderStatus.PARTIALLY_FILLED),
        ("event-new-broker-sse", "AAPL", "buy", None, "0", None, OrderStatus.WORKING),
        ("event-pending-new-through-csharp-sdk", "TQQQ", "sell", "271", "0", None, OrderStatus.WORKING),
        ("masked-paper-trade-update-fill", "AAPL", "buy", "1", "1", "305.59", OrderStatus.FILLED),
        ("stream-fill-2026", "DOGE/USD", "sell", "129.7", "129.7", "0.0851119", OrderStatus.FILLED),
        ("stream-fill-crypto-2022", "SOL/USD", "sell", "1790.86", "1790.86", "105.8988475", OrderStatus.FILLED),
        ("stream-new-2026", "DOGE/USD", "sell", "129.7", "0", None, OrderStatus.WORKING),
        ("stream-new-no-price-qty", "AAPL", "buy", "1", "0", None, OrderStatus.WORKING),
    ],
)
def test_the_order_inside_an_event_has_all_of_its_fills(
    name: str, symbol: str, side: str, quantity: str | None, filled: str, price: str | None, status: OrderStatus
) -> None:
    frame = payloads.recorded(name)

    order = mapping.order_from_broker(frame.get("data", frame)["order"])

    assert (order.symbol, order.side.value, order.status) == (symbol, side, status)
    assert order.quantity == (None if quantity is None else Decimal(quantity))
    assert order.filled_quantity == Decimal(filled)
    assert order.filled_average_price == (None if price is None else Decimal(price))


def test_times_of_an_event_are_in_utc_whatever_their_zone() -> None:
    order = mapping.order_from_broker(payloads.recorded("stream-fill-crypto-2022")["data"]["order"])

    assert order.created_at == datetime(2022, 4, 19, 17, 45, 4, 981350, tzinfo=UTC)


@pytest.mark.parametrize("name", ["stream-authorization-0", "stream-authorization-1"])
def test_an_answer_to_the_login_at_the_stream_is_no_order(name: str) -> None:
    with pytest.raises(BrokerUnreadable):
        mapping.order_from_broker(payloads.recorded(name)["data"])


def test_a_list_with_an_order_that_has_every_time_set_goes_by_its_status() -> None:
    [order] = RowReader().orders(mapping.order_page(payloads.recorded("orders-list-stop-new")), None)

    assert (order.symbol, order.side, order.status) == ("SPY", OrderSide.BUY, OrderStatus.WORKING)
    assert (order.quantity, order.filled_quantity, order.filled_average_price) == (Decimal(1), Decimal(0), None)
    assert order.stop is not None


def test_in_a_list_an_order_of_several_legs_hides_no_other() -> None:
    odd: list[UnreadableRow] = []
    page = mapping.order_page(payloads.recorded("orders-nested-with-mleg-2026"))

    [option] = RowReader().orders(page, odd.append)

    assert (option.symbol, option.filled_average_price) == ("AAPL261218C00340000", Decimal("12.55"))
    assert [(row.row_id, row.expected) for row in odd] == [("e2dd77b3-3309-4935-a678-9912a82cbcc2", True)]


def test_each_row_of_a_multi_status_has_its_own_result() -> None:
    [row] = payloads.recorded("multi-207-close-positions")

    assert mapping.cancel_was_taken(row)
    order = mapping.order_from_broker(row["body"])
    assert (order.symbol, order.side, order.quantity) == ("AIV", OrderSide.SELL, Decimal(70))


def test_of_three_closes_two_are_refused_each_for_its_own_reason() -> None:
    coins, held, short = payloads.recorded("multi-207-close-with-403-shapes")

    assert [mapping.cancel_was_taken(row) for row in (coins, held, short)] == [True, False, False]
    assert mapping.order_from_broker(coins["body"]).symbol == "BTC/USD"
    outcome = refused(403, held["body"])
    assert isinstance(outcome, Rejected)
    assert (outcome.refusal, outcome.orders) == (RefusalKind.HELD, ())
    outcome = refused(403, short["body"])
    assert isinstance(outcome, Rejected)
    assert outcome.refusal is None


@pytest.mark.parametrize("status", [401, 403])
def test_keys_that_are_refused_refuse_the_account_and_not_the_order(status: int) -> None:
    name = "error-401-access-key-verification-failed"
    outcome = refused(status, payloads.recorded(name))

    assert isinstance(outcome, NotSent)
    assert outcome.cause is NotSentCause.ACCOUNT_REFUSED
    assert isinstance(failed(status, name), BrokerRefusesAccount)


@pytest.mark.parametrize(
    ("status", "name", "code"),
    [
        (403, "error-403-insufficient-buying-power", 40310000),
        (422, "error-422-limit-orders-require-only-limit-price", 40010001),
        (422, "error-422-sub-penny-limit", 42210000),
        (422, "error-422-sub-penny-stop", 42210000),
    ],
)
def test_an_error_about_the_order_rejects_this_order_in_the_brokers_words(status: int, name: str, code: int) -> None:
    body = payloads.recorded(name)

    outcome = refused(status, body)

    assert isinstance(outcome, Rejected)
    assert (outcome.status, outcome.code, outcome.message) == (status, code, body["message"])
    assert outcome.refusal is None


def test_an_order_that_is_not_there_cannot_be_canceled() -> None:
    body = payloads.recorded("error-404-order-not-found-on-cancel")

    assert outcomes.reports_absent(HttpAnswer(status=404, text=json.dumps(body)))


def test_a_query_that_the_broker_does_not_accept_is_no_outage_and_no_empty_list() -> None:
    fault = failed(422, "error-422-invalid-activity-type")

    assert type(fault) is BrokerUnreadable
    assert "invalid activity type: INVALID" in str(fault)
