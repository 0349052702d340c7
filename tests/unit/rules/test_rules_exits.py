from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.accounts.exposure import StrategyHolding
from pipeline.model.orders import OrderSide
from pipeline.model.signals import Action, Intent
from pipeline.store.rows import Role, SignalRow
from tests.rule_cases import NOW, SHORT, case, codes, earlier, go, signal
from workers.rules.case import Hold, Skip
from workers.rules.decide import decide, still_go


def test_a_sell_of_a_long_position_is_an_exit_of_all_that_is_held() -> None:
    order = go(decide(case(signal("SELL"), held=7)))

    assert (order.role, order.side, order.quantity, order.limit_price) == (
        Role.EXIT,
        OrderSide.SELL,
        7,
        Decimal("99.5"),
    )


def test_a_buy_against_a_short_position_is_an_exit_whatever_the_settings_say_of_shorting() -> None:
    order = go(decide(case(signal("BUY"), held=-7)))

    assert (order.role, order.side, order.quantity) == (Role.EXIT, OrderSide.BUY, 7)


def test_an_exit_without_a_price_is_a_market_order_at_the_positions_value() -> None:
    order = go(decide(case(signal("SELL", intent=Intent.CLOSE, entry_price=None, confidence=None), held=7)))

    assert (order.type, order.limit_price, order.reference_price) == ("market", None, 110)


def test_an_exit_asks_neither_for_confidence_nor_for_freshness() -> None:
    sent = signal(
        "SELL", confidence=Decimal(1), generated_at=NOW - timedelta(days=1), expires_at=NOW - timedelta(days=1)
    )

    assert go(decide(case(sent, held=1))).role is Role.EXIT


def test_an_exit_of_a_pair_in_another_coin_goes() -> None:
    sent = signal("SELL", symbol="ETH/BTC", asset_class="crypto", entry_price=Decimal("0.05"))

    assert go(decide(case(sent, held=3))).quantity == 3


def test_whom_a_signal_does_not_address_does_not_exit_either() -> None:
    assert codes(decide(case(signal("SELL", executors=["other"]), held=1))) == ["not_addressed"]


def test_an_exit_waits_for_what_is_under_way_and_cancels_only_the_entries() -> None:
    under_way = (earlier("buy", order_id="o-1"), earlier("sell", Role.EXIT, order_id="o-2"))

    verdict = decide(case(signal("SELL"), held=7, under_way=under_way))

    assert isinstance(verdict, Hold)
    assert (verdict.reason.code, verdict.cancel) == ("order_under_way", ("o-1",))
    assert verdict.reason.facts == {"order_id": "o-1", "order_status": "new"}


def test_an_exit_takes_the_place_of_a_limit_close_only_if_it_has_something_to_close() -> None:
    under_way = (earlier("sell", Role.EXIT, order_id="o-1", is_limit_close=True),)

    exits = decide(case(signal("SELL"), held=7, under_way=under_way))
    nothing = StrategyHolding(recorded=Decimal(7))
    others = decide(case(signal("SELL"), held=7, own=nothing, under_way=under_way, order=SHORT))

    assert isinstance(exits, Hold)
    assert isinstance(others, Hold)
    assert (exits.cancel, exits.replaces, others.replaces) == ((), ("o-1",), ())


@pytest.mark.parametrize(("held", "code"), [(0, "no_position"), (4, "exit_not_done"), (-7, "no_position")])
def test_an_exit_that_is_to_be_sent_again_must_still_fit_the_position(held: int, code: str) -> None:
    intent = earlier("sell", Role.EXIT)

    verdict = still_go(case(signal("SELL"), held=held), intent)

    assert verdict is not None
    assert verdict.reasons[0].code == code


def test_an_exit_that_still_fits_the_position_is_sent_again() -> None:
    assert still_go(case(signal("SELL"), held=5), earlier("sell", Role.EXIT)) is None
    assert still_go(case(signal("BUY"), held=-5), earlier("buy", Role.EXIT)) is None


AMOUNTS = st.decimals(min_value="0.000001", max_value="1000000", places=6)


@given(
    action=st.sampled_from(Action),
    intent=st.sampled_from([Intent.AUTO, Intent.CLOSE]),
    held=st.one_of(AMOUNTS, AMOUNTS.map(lambda amount: -amount), st.just(Decimal(0))),
    requested=st.none() | AMOUNTS,
    price=st.none() | st.decimals(min_value="0.01", max_value="100000", places=2),
    allow_short=st.booleans(),
    symbol=st.sampled_from([("AAPL", "us_equity"), ("BTC/USD", "crypto")]),
)
def test_an_exit_never_increases_or_reverses_a_position(
    action: Action,
    intent: Intent,
    held: Decimal,
    requested: Decimal | None,
    price: Decimal | None,
    allow_short: bool,  # noqa: FBT001 -- named by hypothesis
    symbol: tuple[str, str],
) -> None:
    sent = signal(action, intent=intent, quantity=requested, entry_price=price, symbol=symbol[0], asset_class=symbol[1])
    verdict = decide(case(sent, held=held, order=SHORT if allow_short else ""))

    if isinstance(verdict, Skip):
        return
    order = go(verdict)
    change = order.quantity if order.side is OrderSide.BUY else -order.quantity
    assert order.quantity > 0
    if order.role is Role.EXIT:
        assert abs(held + change) < abs(held)
        assert (held + change) * held >= 0
    else:
        assert intent is not Intent.CLOSE
        # An entry opens or adds to a position, so no position of the other side exists.
        assert held * change >= 0


def test_an_exit_that_asks_for_more_than_its_strategy_holds_does_not_sell_another_strategys_shares() -> None:
    own = StrategyHolding(quantity=Decimal(2), recorded=Decimal(5))

    assert go(decide(case(signal("SELL", quantity=Decimal(4)), held=5, own=own))).quantity == 2


def test_an_exit_without_a_holding_of_its_own_names_who_holds_the_position() -> None:
    own = StrategyHolding(recorded=Decimal(5), others={"momentum": Decimal(3), "": Decimal(2)})

    verdict = decide(case(signal("SELL", intent=Intent.CLOSE), held=7, own=own))

    assert codes(verdict) == ["no_position"]
    assert isinstance(verdict, Skip)
    assert verdict.reasons[0].facts["held_by"] == "momentum: 3, no strategy: 2, not by tradewire: 2"


def test_an_exit_that_is_to_be_sent_again_does_not_sell_another_strategys_shares() -> None:
    verdict = still_go(
        case(signal("SELL"), held=5, own=StrategyHolding(recorded=Decimal(5))), earlier("sell", Role.EXIT)
    )

    assert codes(verdict) == ["no_position"]


def test_an_entry_the_other_way_waits_for_an_entry_and_does_not_cancel_it() -> None:
    verdict = decide(case(signal("SELL", intent=Intent.OPEN), under_way=(earlier("buy"),), order=SHORT))

    assert isinstance(verdict, Hold)
    assert (verdict.reason.code, verdict.cancel) == ("order_under_way", ())


def by_hand(action: str = "FLAT", **changes: Any) -> SignalRow:
    terms = {"source": "tradewire:hand", "intent": Intent.CLOSE, "confidence": None, "entry_price": None}
    return signal(action, **terms | changes)


def test_a_persons_close_closes_what_all_strategies_and_others_hold() -> None:
    own = StrategyHolding(quantity=Decimal(0), recorded=Decimal(5), others={"one": Decimal(5)})

    order = go(decide(case(by_hand(), held=7, own=own)))

    assert (order.side, order.quantity, order.type) == (OrderSide.SELL, 7, "market")


@pytest.mark.parametrize(("held", "price", "limit"), [(7, "101.505", "101.51"), (-7, "101.505", "101.5")])
def test_a_persons_limit_is_rounded_to_the_better_side_and_not_moved_by_the_collar(
    held: int, price: str, limit: str
) -> None:
    order = go(decide(case(by_hand(entry_price=Decimal(price)), held=held)))

    assert (order.type, order.limit_price) == ("limit", Decimal(limit))


def test_a_persons_limit_stays_one_when_the_asset_cannot_be_read_and_exits_are_market_orders() -> None:
    given = case(by_hand(entry_price=Decimal("101.5")), order='type = "market"', held=7)

    assert go(decide(given)).limit_price == Decimal("101.5")
    assert go(decide(replace(given, asset=None))).limit_price == Decimal("101.5")


def test_an_exit_of_a_program_at_the_same_price_has_the_collar() -> None:
    assert go(decide(case(signal("SELL", entry_price=Decimal("101.5")), held=7))).limit_price == Decimal(101)
