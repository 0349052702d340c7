"""The schedule of manual actions depends only on the seed. The actions come in storms and block exits."""

from __future__ import annotations

from itertools import pairwise

import pytest

from pipeline.entrypoints.drill.by_hand import client_order_id, order_of
from pipeline.entrypoints.drill.by_hand_schedule import HandAct, HandEvent, by_hand
from pipeline.entrypoints.drill.schedule import storms
from pipeline.entrypoints.drill.sending import make_pairs, real_exits, timed

ACCOUNTS = ("argo", "prop_firm")
SECONDS = 300.0
SEEDS = range(10)


def events_of(seed: int) -> list[HandEvent]:
    ledger = timed(make_pairs(seed, 600), begins=0.0, seconds=SECONDS)
    return by_hand(seed, seconds=SECONDS, accounts=ACCOUNTS, exits=real_exits(ledger))


def test_the_same_seed_does_the_same() -> None:
    assert events_of(7) == events_of(7)
    assert events_of(7) != events_of(8)


@pytest.mark.parametrize("seed", SEEDS)
def test_everything_is_done_in_each_storm_and_at_both_accounts(seed: int) -> None:
    events = events_of(seed)

    assert all(one.at_s <= two.at_s for one, two in pairwise(events))
    assert {event.account for event in events} == set(ACCOUNTS)
    for begins, ends in storms(SECONDS):
        assert {event.act for event in events if begins <= event.at_s < ends} == set(HandAct)


@pytest.mark.parametrize("seed", SEEDS)
def test_an_order_is_placed_before_the_exit_that_it_disturbs_and_stays_for_a_while(seed: int) -> None:
    due = {sent.due for sent in timed(make_pairs(seed, 600), begins=0.0, seconds=SECONDS) if sent.closes}

    for event in events_of(seed):
        assert 4 <= event.until_s - event.at_s <= 8
        assert event.act is HandAct.LIQUIDATION_ONLY or any(abs(event.at_s + 1 - each) < 0.001 for each in due)


def test_without_exits_in_a_storm_only_accounts_are_restricted() -> None:
    events = by_hand(1, seconds=SECONDS, accounts=ACCOUNTS, exits=[])

    assert {event.act for event in events} == {HandAct.LIQUIDATION_ONLY}


def test_every_order_by_hand_has_an_id_of_its_own_that_is_not_tradewires() -> None:
    orders = [event for event in events_of(1) if event.act is not HandAct.LIQUIDATION_ONLY]

    ids = {client_order_id(event) for event in orders}
    assert len(orders) == len(ids)
    assert not any(each.startswith("tw-") for each in ids)


@pytest.mark.parametrize(
    ("act", "side", "kind"),
    [(HandAct.SELL_ORDER, "sell", "limit"), (HandAct.BUY_ORDER, "buy", "limit"), (HandAct.FRACTION, "buy", "market")],
)
def test_only_a_fraction_is_bought_at_the_price_of_the_market(act: HandAct, side: str, kind: str) -> None:
    order = order_of(HandEvent(at_s=1.0, until_s=5.0, act=act, account="argo", symbol="QAAA"))

    assert (side, kind) == (order["side"], order["type"])
