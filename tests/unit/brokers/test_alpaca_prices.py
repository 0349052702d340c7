"""The adapter reads latest prices and the refusals of the market data API."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from structlog.testing import capture_logs

from pipeline.model.account import Quote
from pipeline.model.errors import BrokerRefusesAccount, BrokerUnavailable, BrokerUnreadable
from pipeline.model.outages import Need, Outage
from tests.unit.brokers import payloads
from tests.unit.brokers.conftest import Play, broker_at
from tests.unit.brokers.scripted import Act, close, free_port, reply, silence
from workers.brokers.alpaca.prices import data_address
from workers.brokers.guarded import GuardedBroker
from workers.brokers.protocol import Broker
from workers.brokers.request_guard import RequestGuard

SHARE = {"symbol": "AAPL", "trade": {"t": "2026-10-08T15:10:18Z", "x": "V", "p": 172.1, "s": 100, "c": ["@"], "i": 1}}
COIN = {"trades": {"BTC/USD": {"t": "2026-10-08T15:10:18Z", "p": 61234.5678, "s": 0.01, "tks": "B", "i": 1}}}


QUOTE: dict[str, Any] = {
    "symbol": "AAPL",
    "quote": {"t": "2026-10-08T15:10:18Z", "ap": 172.2, "as": 1, "bp": 172.1, "bs": 2},
}
COIN_QUOTE = {"quotes": {"BTC/USD": {"t": "2026-10-08T15:10:18Z", "ap": 61235.5, "as": 1, "bp": 61234.5, "bs": 1}}}


@pytest.mark.parametrize(
    ("base_url", "expected"),
    [
        ("https://paper-api.alpaca.markets", "https://data.alpaca.markets"),
        ("https://api.alpaca.markets", "https://data.alpaca.markets"),
        ("https://API.Alpaca.Markets", "https://data.alpaca.markets"),
        ("http://127.0.0.1:8100", "http://127.0.0.1:8100"),
        ("https://broker.example.org", "https://broker.example.org"),
        ("https://alpaca.markets.example.org", "https://alpaca.markets.example.org"),
        ("https://notalpaca.markets", "https://notalpaca.markets"),
    ],
)
def test_keys_go_to_alpacas_market_data_only_from_alpacas_own_hosts(base_url: str, expected: str) -> None:
    assert data_address(base_url) == expected


def test_shares_and_coins_are_asked_for_at_their_own_paths_exactly(play: Play) -> None:
    broker, server = play(reply(200, SHARE), reply(200, COIN))

    assert broker.price("AAPL") == Decimal("172.1")
    assert broker.price("BTC/USD") == Decimal("61234.5678")

    assert [seen.target for seen in server.seen] == [
        "/v2/stocks/AAPL/trades/latest",
        "/v1beta3/crypto/us/latest/trades?symbols=BTC%2FUSD",
    ]


@pytest.mark.parametrize(
    "act",
    [
        reply(404, {"message": "no trade found for AAPL"}),
        reply(404, {"code": 40410000, "message": "symbol not found: AAPL"}),
        reply(400, {"message": "invalid symbol: AAPL"}),
        reply(422, {"message": "invalid symbol: AAPL"}),
        reply(200, {"symbol": "AAPL", "trade": None}),
    ],
)
def test_a_share_without_trades_has_no_price(play: Play, act: Act) -> None:
    broker, _ = play(act)

    assert broker.price("AAPL") is None


def test_a_coin_without_trades_has_no_price(play: Play) -> None:
    broker, _ = play(reply(200, {"trades": {}}))

    assert broker.price("BTC/USD") is None


@pytest.mark.parametrize(
    "body",
    [
        "ok",
        [],
        SHARE | {"symbol": "MSFT"},
        SHARE | {"trade": 172.1},
        SHARE | {"trade": {}},
        SHARE | {"trade": {"p": 0}},
        SHARE | {"trade": {"p": -1}},
        SHARE | {"trade": {"p": "NaN"}},
    ],
)
def test_a_price_without_sense_is_not_taken(play: Play, body: Any) -> None:
    broker, _ = play(reply(200, body))

    with pytest.raises(BrokerUnreadable):
        broker.price("AAPL")


@pytest.mark.parametrize("body", ["ok", {}, {"trades": None}, {"trades": {"BTC/USD": []}}])
def test_a_price_of_a_coin_without_sense_is_not_taken(play: Play, body: Any) -> None:
    broker, _ = play(reply(200, body))

    with pytest.raises(BrokerUnreadable):
        broker.price("BTC/USD")


@pytest.mark.parametrize("act", [reply(500), reply(503, "<html>"), reply(504), close, silence])
def test_market_data_that_is_away_is_said_so(play: Play, act: Act) -> None:
    broker, server = play(act, timeout_s=0.3)

    with pytest.raises(BrokerUnavailable):
        broker.price("AAPL")

    assert len(server.seen) == 1


def test_market_data_that_is_asked_too_often_is_not_the_account_over_its_rate(play: Play) -> None:
    broker, _ = play(reply(429, {"message": "too many requests."}))

    with pytest.raises(BrokerUnavailable) as caught:
        broker.price("AAPL")

    assert type(caught.value) is BrokerUnavailable


def test_a_plan_without_this_data_does_not_stop_the_account(play: Play) -> None:
    broker, _ = play(reply(403, {"message": "subscription does not permit querying recent SIP data"}), reply(401))

    with pytest.raises(BrokerUnreadable, match="subscription"):
        broker.price("AAPL")
    with pytest.raises(BrokerRefusesAccount):
        broker.price("AAPL")


def test_what_is_no_market_data_is_not_an_unknown_price(play: Play) -> None:
    broker, _ = play(reply(404, "<html>"), reply(404, {"code": 40410000, "message": "endpoint not found"}))

    for _ in range(2):
        with pytest.raises(BrokerUnreadable):
            broker.price("AAPL")


def test_market_data_that_is_away_or_answers_says_nothing_of_the_broker(play: Play) -> None:
    there, _ = play(reply(200, payloads.account()))
    away = broker_at(f"http://127.0.0.1:{free_port()}")
    outage = Outage(Need.BROKER, executor="argo")
    guarded: Broker = GuardedBroker(away, RequestGuard(outage=outage))

    with capture_logs() as logs:
        for _ in range(20):
            with pytest.raises(BrokerUnavailable):
                guarded.price("AAPL")
        assert not outage.failing
        with pytest.raises(BrokerUnavailable):
            guarded.account()
        assert outage.failing
        GuardedBroker(there, RequestGuard(outage=outage)).account()
    assert not outage.failing
    assert logs == []


def test_quotes_are_read_at_their_own_paths_with_bid_ask_and_time(play: Play) -> None:
    broker, server = play(reply(200, QUOTE), reply(200, COIN_QUOTE))

    share, coin = broker.quote("AAPL"), broker.quote("BTC/USD")

    at = datetime(2026, 10, 8, 15, 10, 18, tzinfo=UTC)
    assert share == Quote(bid=Decimal("172.1"), ask=Decimal("172.2"), at=at)
    assert coin == Quote(bid=Decimal("61234.5"), ask=Decimal("61235.5"), at=at)
    assert [seen.target for seen in server.seen] == [
        "/v2/stocks/AAPL/quotes/latest",
        "/v1beta3/crypto/us/latest/quotes?symbols=BTC%2FUSD",
    ]


@pytest.mark.parametrize(
    "act",
    [
        reply(404, {"message": "no quote found for AAPL"}),
        reply(200, QUOTE | {"quote": None}),
        # One side of the quote has no orders.
        reply(200, QUOTE | {"quote": QUOTE["quote"] | {"bp": 0, "bs": 0}}),
        reply(200, QUOTE | {"quote": QUOTE["quote"] | {"ap": 0, "as": 0}}),
    ],
)
def test_a_quote_without_both_sides_is_none(play: Play, act: Act) -> None:
    broker, _ = play(act)

    assert broker.quote("AAPL") is None


@pytest.mark.parametrize("body", ["ok", QUOTE | {"symbol": "MSFT"}, QUOTE | {"quote": {"ap": 1, "bp": 1}}])
def test_a_quote_without_sense_is_not_taken(play: Play, body: Any) -> None:
    broker, _ = play(reply(200, body))

    with pytest.raises(BrokerUnreadable):
        broker.quote("AAPL")
