from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from pipeline.accounts.exposure import StrategyHolding
from pipeline.model.signals import Intent
from pipeline.model.sources import HAND, PROTECT
from pipeline.store.rows import OrderRow, Role, SignalRow
from tests.rule_cases import NOW, OPEN, SHORT, case, codes, earlier, go, held_for, position, signal
from workers.rules.case import Case, Hold
from workers.rules.decide import decide, still_go


def stop(side: str = "sell", quantity: int = 10, **changes: Any) -> OrderRow:
    return earlier(side, Role.PROTECTION, quantity=Decimal(quantity), **changes)


def protection(side: str = "SELL", **changes: Any) -> SignalRow:
    whole = {"source": PROTECT, "intent": Intent.CLOSE, "entry_price": None, "stop_price": Decimal(90)}
    return signal(side, **whole | changes)


def own(quantity: int, *, recorded: int | None = None, ago: float = 60.0) -> StrategyHolding:
    whole = Decimal(quantity if recorded is None else recorded)
    return StrategyHolding(quantity=Decimal(quantity), recorded=whole, changed_at=NOW - timedelta(seconds=ago))


def test_a_stop_protects_what_no_stop_of_its_strategy_protects_yet() -> None:
    resting = stop(quantity=8, filled_quantity=Decimal(2), replacement_quantity=Decimal(7))
    others = stop(quantity=4, strategy="other", client_order_id="tw-3-1")

    order = go(decide(case(protection(), held=20, own=own(10, recorded=20), under_way=(resting, others))))

    assert (order.role, order.side.value, order.quantity, order.stop_price) == (Role.PROTECTION, "sell", 5, 90)


def test_a_stop_of_the_whole_quantity_is_enough() -> None:
    assert codes(decide(case(protection(), held=10, own=own(10), under_way=(stop(),)))) == ["no_position"]


@pytest.mark.parametrize(("held", "recorded"), [(0, 10), (-10, 10), (10, -10), (10, 0)])
def test_no_stop_protects_what_is_not_held(held: int, recorded: int) -> None:
    assert codes(decide(case(protection(), held=held, own=own(recorded), order=SHORT))) == ["no_position"]


def test_a_stop_waits_for_a_position_that_lacks_the_last_fill() -> None:
    assert held_for(decide(case(protection(), held=4, own=own(10, ago=0.1)))) == "account_unreadable"


@pytest.mark.parametrize("role", [Role.ENTRY, Role.EXIT])
def test_no_stop_is_sent_beside_an_order_that_works(role: Role) -> None:
    working = earlier("buy" if role is Role.ENTRY else "sell", role)
    seen = case(protection(), held=10, own=own(10), under_way=(working,))

    assert codes(decide(seen)) == ["order_under_way"]
    again: Any = still_go(seen, stop())
    assert codes(again) == ["order_under_way"]


@pytest.mark.parametrize(("quantity", "code"), [(10, None), (11, "exit_not_done")])
def test_the_same_stop_is_sent_again_only_for_what_is_still_unprotected(quantity: int, code: str | None) -> None:
    again: Any = still_go(case(protection(), held=10, own=own(10)), stop(quantity=quantity))

    assert again is None if code is None else codes(again) == [code]


def test_the_same_stop_is_not_sent_again_for_a_position_that_is_gone() -> None:
    again: Any = still_go(case(protection(), held=0, own=own(0)), stop())

    assert codes(again) == ["no_position"]


def test_orders_of_others_leave_less_to_protect() -> None:
    held = replace(position(10), available=Decimal(4))

    assert go(decide(case(protection(), held=10, own=own(10), position=held))).quantity == 4
    none = replace(position(10), available=Decimal(0))
    assert codes(decide(case(protection(), held=10, own=own(10), position=none))) == ["quantity_held"]


@pytest.mark.parametrize(("side", "held", "stop_price"), [("SELL", 10, 111), ("SELL", 10, 110), ("BUY", -10, 109)])
def test_a_price_beyond_the_stop_closes_at_once_while_the_market_is_open(side: str, held: int, stop_price: int) -> None:
    sent = protection(side, stop_price=Decimal(stop_price))
    seen = case(sent, held=held, own=own(held), order=SHORT)

    order = go(decide(seen))
    assert (order.role, order.type, order.side.value) == (Role.EXIT, "market", side.lower())
    closed = replace(seen, market=replace(OPEN, is_open=False))
    assert go(decide(closed)).role is Role.PROTECTION


def test_a_price_on_the_right_side_of_a_stop_closes_nothing() -> None:
    sent = protection("BUY", stop_price=Decimal(111))

    assert go(decide(case(sent, held=-10, own=own(-10), order=SHORT))).role is Role.PROTECTION


def canceled_by(seen: Case) -> list[str]:
    verdict = decide(seen)
    assert isinstance(verdict, Hold), verdict
    assert {order.order_id for order in verdict.waits_for} == set(verdict.cancel)
    return sorted(verdict.cancel)


def two_stops() -> tuple[OrderRow, ...]:
    return (
        stop(order_id="own", strategy="a"),
        stop(order_id="other", strategy="b", client_order_id="tw-3-1"),
    )


def test_an_exit_cancels_the_stops_of_what_it_closes() -> None:
    sale = signal("SELL", strategy="a")
    scope = 'close_scope = "account"'

    assert canceled_by(case(sale, held=20, own=own(10, recorded=20), under_way=two_stops())) == ["own"]
    assert canceled_by(case(sale, held=20, own=own(10, recorded=20), under_way=two_stops(), order=scope)) == [
        "other",
        "own",
    ]


def test_an_exit_leaves_a_stop_of_the_other_side_alone() -> None:
    buys = stop("buy", order_id="buys")

    assert go(decide(case(signal("SELL"), held=10, own=own(10), under_way=(buys,)))).quantity == 10


def test_an_exit_that_is_sent_again_cancels_the_stop_first() -> None:
    sale = case(signal("SELL", strategy="a"), held=20, own=own(10, recorded=20), under_way=two_stops())

    again: Any = still_go(sale, earlier("sell", Role.EXIT, strategy="a"))

    assert again.cancel == ("own",)


def test_a_persons_limit_close_cancels_no_stop() -> None:
    close = signal("SELL", source=HAND, intent=Intent.CLOSE)

    assert go(decide(case(close, held=10, own=own(10), under_way=(stop(),)))).type == "limit"


def test_an_entry_is_refused_beside_a_stop_of_the_other_side() -> None:
    assert codes(decide(case(signal("BUY"), held=10, own=own(10), under_way=(stop(),)))) == ["stop_rests"]


def test_an_entry_waits_while_a_stop_rests_whose_position_is_gone() -> None:
    assert held_for(decide(case(signal("BUY"), own=own(0), under_way=(stop(),)))) == "order_under_way"
    assert held_for(decide(case(signal("SELL"), own=own(0), under_way=(stop(),), order=SHORT))) == "order_under_way"


def test_a_resting_limit_close_leaves_the_rest_to_the_stop() -> None:
    close = earlier("sell", Role.EXIT, is_limit_close=True)
    held = replace(position(10), available=Decimal(6))

    assert go(decide(case(protection(), held=10, own=own(10), position=held, under_way=(close,)))).quantity == 6
    sending = replace(close, order_id=None)
    assert codes(decide(case(protection(), held=10, own=own(10), under_way=(sending,)))) == ["order_under_way"]


def test_a_stop_has_the_price_of_the_newest_entry() -> None:
    changed = replace(own(10), stop_price=Decimal(95))

    assert go(decide(case(protection(), held=10, own=changed))).stop_price == 95


def test_a_stop_for_a_long_position_is_not_placed_for_a_short_one() -> None:
    sent = protection(stop_price=Decimal(120))

    assert codes(decide(case(sent, held=-10, own=own(-10), order=SHORT))) == ["no_position"]


def test_an_exit_of_less_than_one_share_leaves_the_stop_alone() -> None:
    sale = signal("SELL", intent=Intent.CLOSE, close_percent=Decimal(5))

    assert codes(decide(case(sale, held=10, own=own(10), under_way=(stop(),)))) == ["below_one_share"]


def test_an_exit_that_is_sent_again_leaves_the_stop_alone_while_the_market_is_closed() -> None:
    closed = replace(OPEN, is_open=False)
    seen = case(signal("SELL"), held=10, own=own(10), under_way=(stop(),), market=closed)

    again: Any = still_go(seen, earlier("sell", Role.EXIT))

    assert (held_for(again), again.cancel) == ("market_closed", ())
