"""The adapter reads the broker's answers, and reports when reading fails."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from pipeline.model.errors import BrokerRefusesAccount, BrokerUnavailable, BrokerUnreadable
from pipeline.model.orders import OrderStatus
from tests.unit.brokers import payloads
from tests.unit.brokers.conftest import Play, broker_at
from tests.unit.brokers.scripted import Act, close, free_port, raw, reply, silence
from workers.brokers.alpaca.adapter import AlpacaBroker
from workers.brokers.protocol import Absent, Found, NoAnswer, NotSentCause

HTML = "<html><title>404 Not Found</title></html>"
START = datetime(2026, 10, 8, 15, 0, tzinfo=UTC)

READS: list[Callable[[AlpacaBroker], Any]] = [
    lambda broker: broker.account(),
    lambda broker: broker.clock(),
    lambda broker: broker.positions(),
    lambda broker: broker.position("KO"),
    lambda broker: broker.asset("KO"),
    lambda broker: broker.order("61d1feca-aa11-4863-8b79-64c5e4731a98"),
    lambda broker: broker.orders(status="open"),
    lambda broker: broker.calendar(date(2026, 10, 8), date(2026, 10, 9)),
    lambda broker: broker.transfers(START),
    lambda broker: broker.cancel_all(),
    lambda broker: broker.cancel("61d1feca-aa11-4863-8b79-64c5e4731a98"),
]
LOOKUPS: list[Callable[[AlpacaBroker], Any]] = [
    lambda broker: broker.find("tw-1-1"),
    lambda broker: broker.find_in_list("tw-1-1", since=START),
]

AWAY: list[Act] = [
    reply(500, {"message": "internal server error"}),
    reply(502, HTML),
    reply(504),
    reply(408),
    close,
]
NONSENSE: list[Act] = [
    reply(200, "ok"),
    reply(200, "7"),
    reply(301, "", Location="/elsewhere"),
    reply(404, HTML),
    reply(404, {"code": 40410000, "message": "endpoint not found"}),
    reply(404, {"message": "Not Found"}),
    reply(404, {"message": "no Route matched with those values"}),
    reply(418, {"message": "teapot"}),
    raw(b"220 smtp.example.org ESMTP\r\n", close=True),
]

# The answer 422 to a cancel means that the order has ended. To a read it has no meaning.
NOT_VALID = reply(422, {"code": 42210000, "message": "order not found"})


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("act", AWAY)
def test_a_read_of_a_broker_that_is_away_raises_that(play: Play, read: Callable[[AlpacaBroker], Any], act: Act) -> None:
    broker, server = play(act)

    with pytest.raises(BrokerUnavailable):
        read(broker)

    assert len(server.seen) == 1


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("act", NONSENSE[2:])
def test_a_read_of_nonsense_raises_that(play: Play, read: Callable[[AlpacaBroker], Any], act: Act) -> None:
    broker, _ = play(act)

    with pytest.raises(BrokerUnreadable):
        read(broker)


@pytest.mark.parametrize("read", READS[:-1])
@pytest.mark.parametrize("act", [*NONSENSE[:2], NOT_VALID])
def test_a_good_status_without_sense_is_nonsense_too(play: Play, read: Callable[[AlpacaBroker], Any], act: Act) -> None:
    broker, _ = play(act)

    with pytest.raises(BrokerUnreadable):
        read(broker)


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("act", [reply(401, HTML), reply(401, {"message": "unauthorized."}), reply(403, HTML)])
def test_a_read_with_wrong_keys_raises_that(play: Play, read: Callable[[AlpacaBroker], Any], act: Act) -> None:
    broker, _ = play(act)

    with pytest.raises(BrokerRefusesAccount):
        read(broker)


@pytest.mark.parametrize("find", LOOKUPS)
@pytest.mark.parametrize(
    ("acts", "cause"),
    [
        (AWAY, NotSentCause.UNREACHABLE),
        ([*NONSENSE, NOT_VALID], None),
        ([reply(429, {"message": "too many requests."})], NotSentCause.RATE_LIMITED),
        ([reply(401), reply(403, {"message": "forbidden."})], NotSentCause.ACCOUNT_REFUSED),
    ],
)
def test_a_lookup_that_fails_is_no_answer_and_says_why(
    play: Play, find: Callable[[AlpacaBroker], Any], acts: list[Act], cause: NotSentCause | None
) -> None:
    broker, _ = play(*acts)

    found = [find(broker) for _ in acts]

    assert all(isinstance(each, NoAnswer) for each in found)
    assert [each.cause for each in found] == [cause] * len(acts)


@pytest.mark.parametrize("find", LOOKUPS)
def test_a_lookup_of_a_broker_that_is_not_there_is_no_answer(find: Callable[[AlpacaBroker], Any]) -> None:
    answer = find(broker_at(f"http://127.0.0.1:{free_port()}"))

    assert isinstance(answer, NoAnswer)
    assert answer.cause is NotSentCause.UNREACHABLE


def test_a_silent_read_is_left_early_once_and_the_next_gets_all_of_the_time(play: Play) -> None:
    broker, _ = play(silence, silence, reply(200, payloads.order()), silence, timeout_s=0.8)

    answers = [broker.find("tw-1-1") for _ in range(4)]

    assert answers[0] == NoAnswer(message="no complete answer within 0.2 s", cause=NotSentCause.UNREACHABLE)
    assert answers[1] == NoAnswer(message="no complete answer within 0.8 s", cause=NotSentCause.UNREACHABLE)
    assert isinstance(answers[2], Found)
    assert answers[3] == answers[0]


def test_a_list_of_orders_is_given_all_of_the_time(play: Play) -> None:
    broker, _ = play(silence, timeout_s=0.3)

    with pytest.raises(BrokerUnavailable, match=r"within 0\.3 s"):
        broker.orders(status="all")


def test_an_order_is_found_by_our_id(play: Play) -> None:
    broker, server = play(reply(200, payloads.order(client_order_id="tw-1 &/-1")))

    answer = broker.find("tw-1 &/-1")

    assert isinstance(answer, Found)
    target = urlsplit(server.seen[0].target)
    assert target.path == "/v2/orders:by_client_order_id"
    assert parse_qs(target.query) == {"client_order_id": ["tw-1 &/-1"]}


@pytest.mark.parametrize(
    "body",
    [
        {"code": 40410000, "message": "order not found for tw-1-1"},
        {"message": "order not found"},
        {"code": 40410000, "message": "no such thing"},
        {"code": 40410000, "message": "symbol not found: BURL"},
        {"code": 40410000, "message": "asset not found for PAGE"},
    ],
)
def test_a_clean_404_says_that_there_is_no_such_order(play: Play, body: Any) -> None:
    broker, _ = play(reply(404, body))

    assert broker.find("tw-1-1") == Absent()
    assert broker.order("61d1feca-aa11-4863-8b79-64c5e4731a98") is None
    assert not broker.cancel("61d1feca-aa11-4863-8b79-64c5e4731a98")


def test_another_order_than_the_one_looked_up_is_no_answer(play: Play) -> None:
    broker, _ = play(reply(200, payloads.order(client_order_id="tw-9-1")))

    answer = broker.find("tw-1-1")

    assert isinstance(answer, NoAnswer)
    assert answer.cause is None


def test_an_order_that_is_over_cannot_be_canceled(play: Play) -> None:
    broker, _ = play(reply(422, {"code": 42210000, "message": 'order is already in "filled" state'}), reply(204))

    assert not broker.cancel("61d1feca-aa11-4863-8b79-64c5e4731a98")
    assert broker.cancel("61d1feca-aa11-4863-8b79-64c5e4731a98")


def test_what_is_no_order_id_stays_within_the_path_of_orders(play: Play) -> None:
    broker, server = play(reply(422, {"code": 40010001, "message": "order_id is missing"}))

    with pytest.raises(BrokerUnreadable):
        broker.order("../account")
    assert server.seen[0].target == "/v2/orders/..%2Faccount"


def test_pairs_are_asked_for_in_the_form_of_each_path(play: Play) -> None:
    crypto = {"asset_class": "crypto", "symbol": "BTCUSD"}
    broker, server = play(
        reply(200, payloads.asset(**{"class": "crypto", "symbol": "BTC/USD", "min_order_size": "0.000012"})),
        reply(200, payloads.position(**crypto)),
        reply(200, [payloads.position(**crypto)]),
    )

    asset = broker.asset("BTC/USD")
    position = broker.position("BTC/USD")
    (listed,) = broker.positions()

    assert [seen.target for seen in server.seen] == [
        "/v2/assets/BTC%2FUSD",
        "/v2/positions/BTCUSD",
        "/v2/positions",
    ]
    assert asset is not None
    assert asset.min_order_size == Decimal("0.000012")
    assert position == listed
    assert listed.symbol == "BTC/USD"


@pytest.mark.parametrize(
    ("read", "message"),
    [
        (lambda broker: broker.position("KO"), "position does not exist"),
        (lambda broker: broker.asset("KO"), "asset not found for KO"),
    ],
)
def test_what_the_broker_does_not_have_is_none(play: Play, read: Callable[[AlpacaBroker], Any], message: str) -> None:
    broker, _ = play(reply(404, {"code": 40410000, "message": message}))

    assert read(broker) is None


def test_an_order_shows_its_fills(play: Play) -> None:
    broker, _ = play(reply(200, payloads.order(status="pending_cancel", filled_qty="4", filled_avg_price="190.12345")))

    order = broker.order("61d1feca-aa11-4863-8b79-64c5e4731a98")

    assert order is not None
    assert order.status is OrderStatus.PARTIALLY_FILLED
    assert (order.filled_quantity, order.filled_average_price) == (Decimal(4), Decimal("190.12345"))


def test_an_answer_that_is_far_too_long_is_nonsense(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.brokers.alpaca.session.MAXIMUM_ANSWER_BYTES", 100_000)
    broker, _ = play(reply(200, [payloads.order()] * 1000))

    with pytest.raises(BrokerUnreadable):
        broker.orders(status="open")
