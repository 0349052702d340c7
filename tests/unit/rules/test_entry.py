from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from pipeline.accounts.exposure import Book
from pipeline.model.orders import OrderSide
from pipeline.model.signals import Intent
from tests.rule_cases import NOW, OPEN, case, codes, go, held_for, position, signal, tuned
from workers.rules.case import Recent, Skip
from workers.rules.entry import decide_entry

ARGO = {"method": "equity_percent", "value": 10, "scale_at_100": Decimal("1.5"), "maximum_percent": 15}
COIN = {"symbol": "BTC/USD", "asset_class": "crypto"}


def buy(side: OrderSide = OrderSide.BUY, **changes: Any) -> Any:
    sent = changes.pop("sent", {})
    market = changes.pop("market", OPEN)
    return decide_entry(
        case(signal("BUY" if side is OrderSide.BUY else "SELL", **sent), market=market, **changes), side
    )


@pytest.mark.parametrize(
    ("size", "sent", "quantity", "risk"),
    [
        # The limit is 100.5; the size is 10 percent at the minimum confidence of 75, and 15 percent at 100.
        (ARGO, {"confidence": Decimal(75)}, 99, "298.485"),
        (ARGO, {"confidence": Decimal(100)}, 149, "449.235"),
        ({"method": "notional", "value": 1000}, {}, 9, "27.135"),
        ({"method": "quantity", "value": 7}, {}, 7, "21.105"),
        # One percent of 100,000 may be lost, and each share loses 4.5 between the limit and the stop.
        ({"method": "risk_percent", "value": 1}, {"stop_price": Decimal(96)}, 222, 999),
        ({"method": "risk_percent", "value": 1}, {}, 331, "997.965"),
        # The size is smaller for symbols with a high volatility.
        (
            {"method": "quantity", "value": 10, "volatility_target_percent": 2},
            {"volatility_percent": Decimal(4)},
            5,
            "15.075",
        ),
        # The caps also reduce a size that the signal sets.
        (ARGO, {"quantity": Decimal(5)}, 5, "15.075"),
        (ARGO, {"quantity": Decimal(5000)}, 149, "449.235"),
        (
            {"method": "notional", "value": 1000, "fractional": True},
            {},
            "9.950248756",
            "29.99999999934",
        ),
        ({"method": "notional", "value": 1000}, COIN, "9.950248", "29.99999772"),
    ],
)
def test_an_entry_is_sized(size: dict[str, Any], sent: dict[str, Any], quantity: Any, risk: Any) -> None:
    order = go(buy(sent=sent, settings=tuned(size=size)))

    assert (order.quantity, order.risk) == (Decimal(quantity), Decimal(risk))
    assert order.reference_price == Decimal("100.5")


def test_fractions_are_bought_for_the_day_and_never_shorted() -> None:
    settings = tuned(size={"method": "notional", "value": 1000, "fractional": True}, order={"allow_short": True})

    bought, shorted = go(buy(settings=settings)), go(buy(OrderSide.SELL, settings=settings))

    assert (bought.type, bought.time_in_force, bought.quantity % 1 > 0) == ("limit", "day", True)
    assert (shorted.side, shorted.quantity) == (OrderSide.SELL, Decimal(9))


def test_a_cap_that_leaves_too_little_is_the_reason_with_its_figures() -> None:
    settings = tuned(limits={"gross_exposure_percent": 10})
    crowded = Book(positions=(replace(position(99, "MSFT"), current_price=Decimal(101)),))

    verdict = buy(settings=settings, book=crowded)

    assert isinstance(verdict, Skip)
    assert [str(reason) for reason in verdict.reasons] == [
        "gross_exposure_limit limit=10000.00 used=9999.00 room=1.00 price=100.50 least=1"
    ]


def test_all_caps_that_leave_too_little_are_reasons() -> None:
    settings = tuned(limits={"gross_exposure_percent": 10, "symbol_exposure_percent": 1, "daily_loss_percent": 1})
    crowded = Book(positions=(position(1000, "AAPL"),))

    assert codes(buy(settings=settings, held=1000, book=crowded)) == [
        "gross_exposure_limit",
        "symbol_exposure_limit",
        "daily_loss_limit",
    ]


@pytest.mark.parametrize(
    ("symbol", "currency", "said"),
    [
        ("ETH/BTC", "USD", ["quoted_in_another_currency"]),
        ("ETH/USD", "EUR", ["quoted_in_another_currency"]),
        ("BTC/USDT", "EUR", ["quoted_in_another_currency"]),
        ("ETH/USD", "USD", []),
        ("BTC/USDT", "USD", []),
        ("ETH/USDC", "USD", []),
        ("ETH/BTC", "BTC", []),
    ],
)
@pytest.mark.parametrize("sent", [{}, {"quantity": Decimal(500)}], ids=["configured", "quantity"])
def test_a_pair_in_another_coin_than_the_accounts_money_is_refused(
    symbol: str, currency: str, said: list[str], sent: dict[str, Any]
) -> None:
    coin = signal(symbol=symbol, asset_class="crypto", entry_price=Decimal("0.05"), **sent)
    judged = case(coin, settings=tuned(size=ARGO))
    judged = replace(judged, account=replace(judged.account, currency=currency))

    verdict = decide_entry(judged, OrderSide.BUY)

    assert (codes(verdict) if isinstance(verdict, Skip) else []) == said


def test_everything_against_an_entry_is_said_at_once() -> None:
    settings = tuned(
        route={"minimum_confidence": 99, "deny": ["AAPL"]},
        limits={"open_positions": 1, "repeat_window_s": 60, "entry_age_s": 60, "price_drift_percent": 1},
    )
    judged = case(
        signal("SELL", recorded_at=NOW - timedelta(hours=1)),
        settings=settings,
        book=Book(positions=(position(5, "MSFT"),)),
        recent=Recent(repeat_of=signal().signal_id, repeat_age=timedelta(seconds=1)),
        price=Decimal(120),
        price_asked=True,
    )
    assert judged.asset is not None
    judged = replace(judged, asset=replace(judged.asset, tradable=False))

    assert codes(decide_entry(judged, OrderSide.SELL)) == [
        "no_position",
        "too_old",
        "confidence_below_minimum",
        "symbol_denied",
        "asset_not_tradable",
        "repeated_idea",
        "open_positions_limit",
        "price_drifted",
    ]


def test_a_reason_to_skip_comes_before_a_reason_to_hold() -> None:
    settings = tuned(limits={"daily_loss_percent": 5})

    assert held_for(buy(settings=settings, baseline=None)) == "account_unwatched"
    assert codes(buy(settings=settings, baseline=None, sent={"confidence": Decimal(1)})) == ["confidence_below_minimum"]
    # The size is not computed before all waits are over.
    assert held_for(buy(settings=settings, baseline=None, reserved=Decimal(10**9))) == "account_unwatched"


def test_an_asset_that_cannot_be_shorted_is_not() -> None:
    judged = case(signal("SELL"), settings=tuned(order={"allow_short": True}))
    assert judged.asset is not None
    judged = replace(judged, asset=replace(judged.asset, shortable=False))

    assert codes(decide_entry(judged, OrderSide.SELL)) == ["no_shorting"]
    assert go(decide_entry(replace(judged, signal=signal("BUY")), OrderSide.BUY)).side is OrderSide.BUY


def test_a_short_that_may_not_grow_is_said_as_such() -> None:
    assert codes(buy(OrderSide.SELL, held=-5)) == ["no_shorting"]


@pytest.mark.parametrize("price", [None, Decimal("0.00001")])
def test_an_entry_needs_a_price_that_an_order_can_name(price: Decimal | None) -> None:
    assert codes(buy(sent={"entry_price": price, "intent": Intent.OPEN})) == ["entry_without_price"]


def test_a_market_order_that_cost_more_by_now_is_sized_at_that() -> None:
    settings = tuned(order={"type": "market"}, size={"method": "notional", "value": 1000})

    order = go(buy(settings=settings, price=Decimal(125)))
    assert (order.type, order.limit_price, order.quantity) == ("market", None, Decimal(8))


@pytest.mark.parametrize(
    ("side", "stop", "price", "reasons"),
    [
        (OrderSide.BUY, 95, "95", ["level_reached"]),
        (OrderSide.BUY, 95, "90", ["level_reached"]),
        (OrderSide.BUY, 95, "95.01", []),
        (OrderSide.BUY, 95, None, []),
        (OrderSide.BUY, None, "90", []),
        (OrderSide.SELL, 105, "105", ["level_reached"]),
        (OrderSide.SELL, 105, "104.99", []),
    ],
)
def test_an_entry_whose_stop_the_price_has_passed_is_refused(
    side: OrderSide, stop: int | None, price: str | None, reasons: list[str]
) -> None:
    market = None if price is None else Decimal(price)
    sent = {"stop_price": None if stop is None else Decimal(stop)}

    verdict = buy(side, settings=tuned(order={"allow_short": True}), sent=sent, price=market)

    assert (codes(verdict) if isinstance(verdict, Skip) else []) == reasons
