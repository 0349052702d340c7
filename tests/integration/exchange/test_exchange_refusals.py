"""alpaca-py at the paper exchange, over HTTP: refusals with the broker's status, code and message."""

from __future__ import annotations

import httpx
import pytest
from alpaca.trading.client import TradingClient

from tests.exchange_client import build_client, ended, limit, market, refused, refused_order
from tests.exchange_fixtures import ExchangeProcess


@pytest.fixture
def broker(exchange_process: ExchangeProcess) -> TradingClient:
    return build_client(exchange_process)


def test_a_market_order_without_any_price_is_refused_and_says_what_to_do(broker: TradingClient) -> None:
    status, body = refused_order(broker, symbol="ZZZ", type="market", limit_price=None)

    assert status == 422
    assert body["message"].startswith('no price is known for "ZZZ"')


def test_a_client_order_id_can_be_used_once(broker: TradingClient) -> None:
    ended(broker, broker.submit_order(limit("AAPL", 1, "buy", 100, client_order_id="once")))

    assert refused_order(broker, client_order_id="once") == (
        422,
        {"code": 40010001, "message": "client_order_id must be unique"},
    )


def test_a_refused_request_does_not_use_up_its_client_order_id(broker: TradingClient) -> None:
    refused_order(broker, client_order_id="again", qty="0")
    refused_order(broker, client_order_id="again", qty="1000000")

    assert broker.submit_order(limit("AAPL", 1, "buy", 100, client_order_id="again")).client_order_id == "again"


def test_more_than_the_buying_power_is_a_403_with_both_figures(broker: TradingClient) -> None:
    assert refused_order(broker, qty="5000") == (
        403,
        {
            "code": 40310000,
            "message": "insufficient buying power",
            "buying_power": "400000",
            "cost_basis": "500000",
        },
    )


def test_selling_more_than_is_held_is_a_403_with_the_available_quantity(
    broker: TradingClient, exchange_process: ExchangeProcess
) -> None:
    ended(broker, broker.submit_order(limit("AAPL", 10, "buy", 100)))
    holder = broker.submit_order(limit("AAPL", 4, "sell", 200))

    assert refused_order(broker, side="sell", qty="7", limit_price="201") == (
        403,
        {
            "code": 40310000,
            "message": "insufficient qty available for order (requested: 7, available: 6)",
            "available": "6",
            "existing_qty": "10",
            "held_for_orders": "4",
            "related_orders": [str(holder.id)],
            "symbol": "AAPL",
        },
    )


def test_a_coin_cannot_be_sold_beyond_the_quantity_that_the_fee_left(broker: TradingClient) -> None:
    ended(broker, broker.submit_order(limit("BTC/USD", 1, "buy", 20_000, time_in_force="gtc")))
    status, body = refused_order(broker, symbol="BTC/USD", side="sell", limit_price="20000", time_in_force="gtc")

    assert status == 403
    assert body["message"] == "insufficient balance for BTC (requested: 1, available: 0.9975)"


def test_a_coin_order_below_ten_dollars_is_refused(broker: TradingClient) -> None:
    status, body = refused_order(broker, symbol="BTC/USD", limit_price="9", time_in_force="gtc")

    assert (status, body["message"]) == (403, "cost basis must be >= minimal amount of order 10")


def test_an_order_that_could_trade_with_another_of_the_account_is_a_wash_trade(
    broker: TradingClient, exchange_process: ExchangeProcess
) -> None:
    exchange_process.admin("prices", {"AAPL": "150"})
    resting = ended(broker, broker.submit_order(limit("AAPL", 1, "buy", 100)), "new")
    status, body = refused_order(broker, side="sell", limit_price="100")

    assert (status, body["message"]) == (403, "potential wash trade detected. use complex orders")
    assert body["existing_order_id"] == str(resting.id)
    assert body["reject_reason"] == "opposite side limit order exists"
    assert refused_order(broker, side="sell", limit_price="101")[1]["message"] == (
        "cannot open a short sell while a long buy order is open"
    )


def test_an_account_that_may_not_short_or_trade_says_so(
    broker: TradingClient, exchange_process: ExchangeProcess
) -> None:
    exchange_process.admin("accounts", {"key": "key", "shorting_enabled": False})
    short = refused_order(broker, side="sell")
    exchange_process.admin("accounts", {"key": "key", "trading_blocked": True})
    blocked = refused_order(broker)
    exchange_process.admin("accounts", {"key": "key", "trading_blocked": False})
    broker.patch("/account/configurations", {"suspend_trade": True})
    suspended = refused_order(broker)

    assert [status for status, _ in (short, blocked, suspended)] == [403] * 3
    assert [body["message"] for _, body in (short, blocked, suspended)] == [
        "account is not allowed to short",
        "account is not authorized to trade",
        "new orders are rejected by user request",
    ]


def test_an_admin_can_change_the_flags_of_an_asset(broker: TradingClient, exchange_process: ExchangeProcess) -> None:
    exchange_process.admin("assets", {"AAPL": {"fractionable": False, "shortable": False}})
    fractional, short = refused_order(broker, qty="0.5"), refused_order(broker, side="sell")
    lasting = refused_order(broker, time_in_force="gtc")
    exchange_process.admin("assets", {"AAPL": {"tradable": False}})
    untradable = refused_order(broker)
    exchange_process.admin("assets", {"AAPL": {"exists": False}})
    missing = refused_order(broker)
    exchange_process.admin("assets", {"AAPL": None})

    assert [(status, body["message"]) for status, body in (fractional, short, lasting, untradable, missing)] == [
        (403, 'asset "AAPL" is not fractionable'),
        (422, "asset AAPL cannot be sold short"),
        (422, "only day orders are allowed for hard-to-borrow asset AAPL"),
        (422, 'asset "AAPL" is not tradable'),
        (422, 'asset "AAPL" not found'),
    ]


def test_an_auction_order_is_refused_where_there_is_no_auction(broker: TradingClient) -> None:
    status, body = refused_order(broker, time_in_force="opg")

    assert (status, body["message"]) == (403, "opg orders must be submitted after 7:00pm and before 9:28am")


def test_an_immediate_order_that_cannot_fill_is_canceled(
    broker: TradingClient, exchange_process: ExchangeProcess
) -> None:
    exchange_process.admin("prices", {"AAPL": "150"})

    ended(broker, broker.submit_order(limit("AAPL", 1, "buy", 100, time_in_force="ioc")), "canceled")


def test_only_an_open_order_can_be_canceled_or_replaced(broker: TradingClient) -> None:
    order = ended(broker, broker.submit_order(limit("AAPL", 1, "buy", 100)))

    assert refused(lambda: broker.cancel_order_by_id(order.id)) == (
        422,
        {"code": 42210000, "message": 'order is already in "filled" state'},
    )
    assert refused(lambda: broker.replace_order_by_id(order.id))[1]["message"] == (
        "unable to replace order, order is not open"
    )


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        ("/orders/nonsense", 422, "order_id is missing"),
        (
            "/orders/00000000-0000-0000-0000-000000000000",
            404,
            "order not found for 00000000-0000-0000-0000-000000000000",
        ),
        ("/orders:by_client_order_id?client_order_id=none", 404, "order not found for none"),
        ("/positions/AAPL", 404, "position does not exist"),
        ("/assets/no-such", 404, "asset not found for no-such"),
        ("/nowhere", 404, "endpoint not found"),
        ("/orders?limit=501", 422, "limit must be between 1 and 500"),
        ("/orders?status=some", 422, "invalid status"),
        ("/orders?after=yesterday", 422, "invalid after"),
    ],
)
def test_a_missing_resource_or_invalid_parameter_has_its_status_and_code(
    broker: TradingClient, path: str, status: int, message: str
) -> None:
    code = 40410000 if status == 404 else 40010001

    assert refused(lambda: broker.get(path)) == (status, {"code": code, "message": message})


def test_a_caller_without_the_right_keys_is_unauthorized(exchange_process: ExchangeProcess) -> None:
    url, right = f"{exchange_process.url}/v2/account", {"APCA-API-KEY-ID": "k", "APCA-API-SECRET-KEY": "s"}
    with httpx.Client(trust_env=False) as client:
        known = client.get(url, headers=right)
        without = client.get(url)
        wrong = client.get(url, headers=right | {"APCA-API-SECRET-KEY": "other"})
        exchange_process.admin("accounts", {"key": "k", "refused": True})
        refused_account = client.get(url, headers=right)

    assert known.status_code == 200
    assert {answer.status_code for answer in (without, wrong, refused_account)} == {401}
    assert {answer.text for answer in (without, wrong, refused_account)} == {'{"message":"unauthorized."}'}


def test_a_body_that_is_no_json_object_is_a_400(exchange_process: ExchangeProcess) -> None:
    keys = {"APCA-API-KEY-ID": "k", "APCA-API-SECRET-KEY": "s", "Content-Type": "application/json"}
    with httpx.Client(trust_env=False, headers=keys) as client:
        answers = [
            client.post(f"{exchange_process.url}/v2/orders", content=body) for body in ("{", "[]", '{"qty": NaN}')
        ]

    assert [answer.status_code for answer in answers] == [400] * 3


def test_a_sale_that_increases_a_short_position_does_not_need_a_held_quantity(broker: TradingClient) -> None:
    ended(broker, broker.submit_order(limit("TSLA", 5, "sell", 100)))
    ended(broker, broker.submit_order(market("TSLA", 5, "sell")))

    assert broker.get_open_position("TSLA").qty == "-10"
    assert refused_order(broker, symbol="TSLA", qty="11")[1]["available"] == "10"
