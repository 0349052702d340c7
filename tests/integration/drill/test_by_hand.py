"""The drill's manual actions at the exchange block an exit, and are undone later."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal

import pytest

from pipeline.entrypoints.drill.by_hand import ByHand
from pipeline.entrypoints.drill.by_hand_schedule import HandAct, HandEvent
from pipeline.entrypoints.drill.exchange_admin import ExchangeAdmin
from tests.exchange_fixtures import TOKEN, ExchangeProcess
from tests.waiting import until

SYMBOL, ACCOUNT = "QAAA", "argo"


@pytest.fixture
def exchange(exchange_process: ExchangeProcess) -> Iterator[ExchangeAdmin]:
    """An exchange where the account holds three shares."""
    with closing(ExchangeAdmin(exchange_process.url, TOKEN)) as admin:
        admin.prepare([SYMBOL], [ACCOUNT])
        assert admin.place(ACCOUNT, order("buy", "3", "entry"))
        becomes(admin, "3")
        yield admin


def order(side: str, quantity: str, client_order_id: str) -> dict[str, str]:
    kind = {"type": "market", "time_in_force": "day", "client_order_id": client_order_id}
    return {"symbol": SYMBOL, "side": side, "qty": quantity, **kind}


def by_hand(exchange: ExchangeAdmin, act: HandAct) -> ByHand:
    event = HandEvent(at_s=1.0, until_s=5.0, act=act, account=ACCOUNT, symbol=SYMBOL)
    return ByHand(exchange=exchange, events=[event])


def position(exchange: ExchangeAdmin) -> Decimal:
    (account,) = [account for account in exchange.accounts() if account.key == ACCOUNT]
    return account.positions.get(SYMBOL, Decimal(0))


def becomes(exchange: ExchangeAdmin, quantity: str) -> None:
    until(lambda: position(exchange) == Decimal(quantity), 5)


@pytest.mark.parametrize("act", [HandAct.SELL_ORDER, HandAct.BUY_ORDER])
def test_an_order_by_hand_keeps_an_exit_from_going_until_it_is_undone(exchange: ExchangeAdmin, act: HandAct) -> None:
    hand = by_hand(exchange, act)

    hand.advance(1.0)
    refused = exchange.place(ACCOUNT, order("sell", "3", "first"))
    hand.end(lambda: None)
    taken = exchange.place(ACCOUNT, order("sell", "3", "second"))

    assert (refused, taken) == (False, True)
    becomes(exchange, "0")
    assert hand.tally == {act: 1}
    assert [held.status for held in exchange.orders(ACCOUNT) if held.is_by_hand] == ["canceled"]


def test_an_account_that_may_only_liquidate_closes_and_opens_again_later(exchange: ExchangeAdmin) -> None:
    hand = by_hand(exchange, HandAct.LIQUIDATION_ONLY)

    hand.advance(1.0)
    opened = exchange.place(ACCOUNT, order("buy", "1", "first"))
    closed = exchange.place(ACCOUNT, order("sell", "1", "second"))
    hand.end(lambda: None)
    opened_later = exchange.place(ACCOUNT, order("buy", "1", "third"))

    assert (opened, closed, opened_later) == (False, True, True)


def test_a_fraction_that_was_bought_by_hand_is_kept(exchange: ExchangeAdmin) -> None:
    hand = by_hand(exchange, HandAct.FRACTION)

    hand.advance(1.0)
    hand.end(lambda: None)

    becomes(exchange, "3.4")


def test_an_order_that_the_exchange_does_not_take_is_tried_until_its_time_is_over(
    exchange: ExchangeAdmin, exchange_process: ExchangeProcess
) -> None:
    exchange_process.admin("faults", {"faults": [{"on": "submit", "kind": "5xx_before"}]})
    hand = by_hand(exchange, HandAct.BUY_ORDER)

    hand.advance(1.0)
    hand.end(lambda: None)

    assert hand.tally == {}
    assert not any(held.is_by_hand for held in exchange.orders(ACCOUNT))


def test_an_order_whose_answer_was_lost_is_undone_too(
    exchange: ExchangeAdmin, exchange_process: ExchangeProcess
) -> None:
    exchange_process.admin("faults", {"faults": [{"on": "submit", "kind": "garbage", "count": 1}]})
    hand = by_hand(exchange, HandAct.BUY_ORDER)

    hand.advance(1.0)
    hand.end(lambda: None)

    assert [held.status for held in exchange.orders(ACCOUNT) if held.is_by_hand] == ["canceled"]
