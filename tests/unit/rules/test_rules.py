from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from pipeline.model.account import Account
from pipeline.model.orders import OrderSide
from pipeline.model.signals import Intent
from pipeline.store.rows import Role
from tests.rule_cases import NOW, SHORT, case, codes, earlier, executor, go, signal
from workers.rules.case import Go, Hold
from workers.rules.decide import decide, still_go
from workers.rules.freshness import fresh_for, freshness


def test_a_buy_without_a_position_is_an_entry_limited_by_the_collar() -> None:
    order = go(decide(case(signal("BUY"))))

    assert (order.role, order.side, order.quantity) == (Role.ENTRY, OrderSide.BUY, 10)
    assert (order.type, order.limit_price, order.time_in_force) == ("limit", Decimal("100.5"), "day")
    assert order.reference_price == Decimal("100.5")


def test_a_buy_adds_to_a_long_position() -> None:
    assert go(decide(case(signal("BUY"), held=3))).role is Role.ENTRY


def test_an_executor_of_market_orders_sends_no_limit() -> None:
    for verdict in (
        decide(case(signal("BUY"), order='type = "market"')),
        decide(case(signal("SELL"), held=2, order='type = "market"')),
    ):
        assert (go(verdict).type, go(verdict).limit_price) == ("market", None)


def test_crypto_is_good_till_canceled() -> None:
    sent = signal("BUY", symbol="BTC/USD", asset_class="crypto")

    assert go(decide(case(sent))).time_in_force == "gtc"


@pytest.mark.parametrize(
    ("sent", "order", "code"),
    [
        ({}, "", "no_position"),
        ({"intent": Intent.OPEN}, "", "no_shorting"),
        ({"intent": Intent.CLOSE}, SHORT, "no_position"),
        ({"symbol": "BTC/USD", "asset_class": "crypto"}, SHORT, "no_position"),
    ],
)
def test_a_sell_without_a_position_is_skipped(sent: dict[str, Any], order: str, code: str) -> None:
    assert codes(decide(case(signal("SELL", **sent), order=order)))[0] == code


def test_a_sell_without_a_position_is_a_short_where_that_is_allowed() -> None:
    order = go(decide(case(signal("SELL"), order=SHORT)))

    assert (order.role, order.side, order.limit_price) == (Role.ENTRY, OrderSide.SELL, Decimal("99.5"))
    # A short costs as much as the broker reserves for it: three percent above the market.
    assert order.reference_price == 103


def test_the_account_must_allow_a_short_too() -> None:
    whole = case(signal("SELL"), order=SHORT)
    account = Account(**vars(whole.account) | {"shorting_enabled": False})

    assert codes(decide(case(signal("SELL"), order=SHORT, account=account))) == ["no_position"]


def test_an_entry_is_refused_with_every_reason() -> None:
    sent = signal("BUY", confidence=Decimal(50), generated_at=NOW - timedelta(minutes=5))

    assert codes(decide(case(sent, asset=None))) == ["too_old", "confidence_below_minimum", "asset_not_tradable"]


@pytest.mark.parametrize(
    ("age_s", "changes", "code"),
    [
        (60, {}, None),
        (60.1, {}, "too_old"),
        (30, {"expires_at": NOW - timedelta(seconds=1)}, "expired_signal"),
        (30, {"expires_at": NOW + timedelta(hours=1)}, None),
        # An expiry can only shorten the life of an entry.
        (61, {"expires_at": NOW + timedelta(hours=1)}, "too_old"),
    ],
)
def test_an_entry_ages_and_an_expiry_only_shortens_that(
    age_s: float, changes: dict[str, Any], code: str | None
) -> None:
    reason = freshness(case(signal("BUY", generated_at=NOW - timedelta(seconds=age_s), **changes)))

    assert (reason.code if reason else None) == code


def test_an_entry_without_a_time_of_its_own_ages_from_its_recording() -> None:
    sent = signal("BUY", recorded_at=NOW - timedelta(seconds=61))

    assert fresh_for(sent, executor(), now=NOW, market=None, accept_age=False) == timedelta(seconds=-1)


def test_a_person_may_accept_the_age_but_not_the_signals_own_expiry() -> None:
    old = signal("BUY", generated_at=NOW - timedelta(days=1))
    expired = signal("BUY", expires_at=NOW - timedelta(days=1))

    assert freshness(case(old, accept_age=True)) is None
    assert freshness(case(expired, accept_age=True)) is not None


def test_an_age_that_is_off_never_makes_an_entry_old() -> None:
    ageless = executor(entry_age_s='"off"')

    assert fresh_for(signal("BUY"), ageless, now=NOW, market=None, accept_age=False) is None


def test_an_entry_waits_for_the_other_side_only() -> None:
    assert isinstance(decide(case(signal("BUY"), under_way=(earlier("sell", Role.EXIT),))), Hold)
    assert isinstance(decide(case(signal("BUY"), under_way=(earlier("buy"),))), Go)


def test_what_others_have_reserved_is_not_spent_twice() -> None:
    # Stocks may use the buying power of 200,000, and crypto only the cash of 100,000.
    stock, coin = signal("BUY"), signal("BUY", symbol="BTC/USD", asset_class="crypto")

    assert go(decide(case(stock, reserved=Decimal(200_000) - 1005))).quantity == 10
    assert go(decide(case(stock, reserved=Decimal(200_000) - 1004))).quantity == 9
    assert codes(decide(case(stock, reserved=Decimal(200_000)))) == ["buying_power_used_up"]
    assert codes(decide(case(coin, reserved=Decimal(100_000)))) == ["cash_used_up"]


def test_an_entry_is_sent_again_only_while_it_is_fresh() -> None:
    assert still_go(case(signal("BUY")), earlier()) is None
    verdict = still_go(case(signal("BUY", recorded_at=NOW - timedelta(minutes=2))), earlier())
    assert verdict is not None
    assert verdict.reasons[0].code == "too_old"
