from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.schema.sections import SizeSettings
from pipeline.model.account import Asset
from pipeline.model.orders import OrderSide
from pipeline.model.reasons import Code
from workers.rules.sizing import (
    Cap,
    Sized,
    TooSmall,
    affordable,
    calm,
    configured,
    entry_quantity,
    exit_quantity,
    increment,
    limit_price,
    lot,
    scale,
    tick,
)

STOCK = Asset(symbol="AAPL", asset_class="us_equity", tradable=True, fractionable=True, shortable=True)
WHOLE = Asset(symbol="BRK.A", asset_class="us_equity", tradable=True, fractionable=False, shortable=True)
BITCOIN = Asset(
    symbol="BTC/USD",
    asset_class="crypto",
    tradable=True,
    fractionable=True,
    shortable=False,
    min_order_size=Decimal("0.0001"),
    min_trade_increment=Decimal("0.000000001"),
)
COIN = Asset(symbol="XYZ/USD", asset_class="crypto", tradable=True, fractionable=True, shortable=False)
ARGO: dict[str, Any] = {"method": "equity_percent", "value": 10, "scale_at_100": Decimal("1.5"), "maximum_percent": 15}


def asked(*, factor: Any = 1, equity: Any = 100_000, price: Any = 100, risk: Any = 3, **size: Any) -> Decimal:
    return configured(
        SizeSettings(**(size or ARGO)),
        factor=Decimal(factor),
        equity=Decimal(equity),
        price=Decimal(price),
        risk=Decimal(risk),
    )


def cap(quantity: Any, code: Code = Code.GROSS_EXPOSURE_LIMIT) -> Cap:
    return Cap(code=code, quantity=Decimal(quantity), facts={"limit": Decimal(quantity)})


def cut(
    wanted: Any,
    *caps: Cap,
    asset: Asset = STOCK,
    fractional: bool = False,
    side: OrderSide = OrderSide.BUY,
    price: Any = 100,
) -> Sized | TooSmall:
    size = SizeSettings(method="quantity", value=Decimal(1), fractional=fractional)
    lots = lot(size, asset, side=side, price=Decimal(price))
    return entry_quantity(Decimal(wanted), caps=caps, lot=lots, asset=asset)


def quantity(answer: Sized | TooSmall) -> Decimal:
    assert isinstance(answer, Sized), answer
    return answer.quantity


def refusals(answer: Sized | TooSmall) -> list[tuple[str, dict[str, Any]]]:
    assert isinstance(answer, TooSmall), answer
    return [(reason.code.value, reason.to_json()) for reason in answer.reasons]


@pytest.mark.parametrize(("confidence", "factor"), [(50, "1"), (75, "1"), (80, "1.1"), ("87.5", "1.25"), (100, "1.5")])
def test_the_size_grows_in_a_straight_line_with_confidence(confidence: Any, factor: str) -> None:
    assert scale(SizeSettings(**ARGO), confidence=Decimal(confidence), minimum_confidence=Decimal(75)) == Decimal(
        factor
    )


def test_a_minimum_of_a_hundred_scales_nothing() -> None:
    assert scale(SizeSettings(**ARGO), confidence=Decimal(100), minimum_confidence=Decimal(100)) == 1


@pytest.mark.parametrize(
    ("volatility", "factor"), [(None, 1), (2, 1), (4, "0.5"), (1, "1.5"), ("0.1", "1.5"), (0, 1), (-1, 1)]
)
def test_a_wild_symbol_is_bought_smaller_and_a_calm_one_larger(volatility: Any, factor: Any) -> None:
    percent = None if volatility is None else Decimal(volatility)
    size = SizeSettings(**ARGO, volatility_target_percent=Decimal(2), volatility_scale_maximum=Decimal("1.5"))

    assert calm(size, volatility_percent=percent) == Decimal(factor)
    assert calm(SizeSettings(**ARGO), volatility_percent=percent) == 1


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        ({}, 100),
        ({"factor": "1.5"}, 150),
        ({"price": 80}, 125),
        ({"method": "notional", "value": 1000}, 10),
        ({"method": "notional", "value": 1000, "factor": "1.29"}, "12.9"),
        ({"method": "quantity", "value": 7}, 7),
        ({"method": "quantity", "value": 7, "factor": "1.5"}, "10.5"),
        # One percent of 100,000 may be lost, and each unit loses 4 down to its stop.
        ({"method": "risk_percent", "value": 1, "risk": 4}, 250),
        ({"method": "risk_percent", "value": 1, "risk": 4, "price": 10, "factor": "0.5"}, 125),
        ({"equity": 0}, 0),
        ({"equity": -10}, 0),
        ({"method": "risk_percent", "value": 1, "equity": -10}, 0),
    ],
)
def test_each_method_asks_for_its_own_size(case: dict[str, Any], expected: Any) -> None:
    assert asked(**case) == Decimal(expected)


def test_what_is_affordable_is_never_rounded_up() -> None:
    thirds = affordable(Decimal(100), Decimal(3))

    assert thirds * 3 <= 100
    assert affordable(Decimal(-1), Decimal(3)) == 0


@pytest.mark.parametrize(
    ("wanted", "caps", "case", "expected"),
    [
        ("7.9", [], {}, 7),
        (1, [], {}, 1),
        (100, [40], {}, 40),
        (100, [40, "12.99"], {}, 12),
        ("0.16666666666", [], {"asset": BITCOIN, "price": 60_000}, "0.166666666"),
        ("3333.33333333", [], {"asset": COIN, "price": 3}, "3333.333333"),
        ("7.9876543219", [], {"fractional": True}, "7.987654321"),
        ("7.9", [], {"fractional": True, "asset": WHOLE}, 7),
        ("7.9", [], {"fractional": True, "side": OrderSide.SELL}, 7),
        ("0.25", [], {"fractional": True}, "0.25"),
        # The smallest orders of the broker: a dollar of a share, ten dollars of a coin.
        ("0.01", [], {"fractional": True}, "0.01"),
        ("0.001", [], {"asset": BITCOIN, "price": 10_000}, "0.001"),
    ],
)
def test_a_size_is_cut_by_every_cap_and_onto_the_assets_steps(
    wanted: Any, caps: list[Any], case: dict[str, Any], expected: Any
) -> None:
    assert quantity(cut(wanted, *(cap(each) for each in caps), **case)) == Decimal(expected)


def test_below_one_share_is_said_and_not_rounded_up() -> None:
    assert refusals(cut("0.99999999")) == [("below_one_share", {"size": "0.999999", "least": "1"})]


@pytest.mark.parametrize(
    ("wanted", "case", "least"),
    [
        ("0.0005", {"asset": BITCOIN, "price": 10_000}, "0.001"),
        ("0.00001", {"asset": BITCOIN, "price": 10_000_000}, "0.0001"),
        ("0.009999999", {"fractional": True}, "0.01"),
    ],
)
def test_less_than_the_brokers_minimum_is_said(wanted: Any, case: dict[str, Any], least: str) -> None:
    assert refusals(cut(wanted, **case))[0][0] == "below_minimum_quantity"
    assert refusals(cut(wanted, **case))[0][1]["least"] == least


def test_every_cap_that_alone_leaves_too_little_is_named() -> None:
    answer = cut(5, cap("0.5"), cap(3, Code.CASH_USED_UP), cap(0, Code.DAILY_LOSS_LIMIT))

    assert refusals(answer) == [
        ("gross_exposure_limit", {"limit": "0.5", "least": "1"}),
        ("daily_loss_limit", {"limit": "0", "least": "1"}),
    ]
    assert [code for code, _ in refusals(cut("0.5", cap(0)))] == ["below_one_share", "gross_exposure_limit"]


@pytest.mark.parametrize(
    ("held", "requested", "closed"), [(10, None, 10), (10, 4, 4), (10, 10, 10), (10, 11, 10), ("0.5", 1, "0.5")]
)
def test_an_exit_closes_at_most_what_is_held(held: Any, requested: Any, closed: Any) -> None:
    asked = None if requested is None else Decimal(requested)

    assert exit_quantity(Decimal(held), requested=asked) == Decimal(closed)


@pytest.mark.parametrize(
    ("price", "side", "asset", "limit"),
    [
        (100, "buy", STOCK, "100.5"),
        (100, "sell", STOCK, "99.5"),
        ("190.03", "buy", STOCK, "190.98"),
        ("190.03", "sell", STOCK, "189.08"),
        ("0.5", "buy", STOCK, "0.5025"),
        ("0.50001", "buy", STOCK, "0.5025"),
        ("0.9999", "buy", STOCK, "1.00"),
        ("60000.123", "buy", BITCOIN, "60300.12"),
        ("0.00001234", "sell", BITCOIN, "0.000012279"),
    ],
)
def test_a_limit_stands_on_the_tick_inside_the_collar(price: Any, side: str, asset: Asset, limit: str) -> None:
    found = limit_price(Decimal(price), side=OrderSide(side), collar_percent=Decimal("0.5"), asset=asset)

    assert found == Decimal(limit)


def test_the_brokers_own_increments_come_first() -> None:
    asset = Asset(
        symbol="BTC/USD",
        asset_class="crypto",
        tradable=True,
        fractionable=True,
        shortable=False,
        min_trade_increment=Decimal("0.5"),
        price_increment=Decimal("0.25"),
    )

    assert (increment(asset), tick(Decimal(100), asset)) == (Decimal("0.5"), Decimal("0.25"))


PRICES = st.decimals(min_value="0.0001", max_value="100000", places=4)
UNITS = st.decimals(min_value=0, max_value=1_000_000, places=12)


@given(
    wanted=UNITS,
    caps=st.lists(UNITS, max_size=4),
    price=PRICES,
    side=st.sampled_from(OrderSide),
    asset=st.sampled_from([STOCK, WHOLE, BITCOIN, COIN]),
    fractional=st.booleans(),
)
def test_a_quantity_stands_on_a_step_within_every_cap_or_what_is_too_small_is_named(
    wanted: Decimal,
    caps: list[Decimal],
    price: Decimal,
    side: OrderSide,
    asset: Asset,
    fractional: bool,  # noqa: FBT001 -- named by hypothesis
) -> None:
    lots = lot(SizeSettings(method="quantity", value=Decimal(1), fractional=fractional), asset, side=side, price=price)
    answer = entry_quantity(wanted, caps=[cap(each) for each in caps], lot=lots, asset=asset)

    if isinstance(answer, TooSmall):
        named = {reason.code for reason in answer.reasons}
        assert (Code.GROSS_EXPOSURE_LIMIT in named) == any(each < lots.least for each in caps)
        assert bool(named & {"below_one_share", "below_minimum_quantity"}) == (wanted < lots.least)
        return
    assert answer.quantity % lots.step == 0
    assert answer.quantity <= min([wanted, *caps])
    assert answer.quantity > min([wanted, *caps]) - lots.step
    assert answer.quantity >= (asset.min_order_size or 0)
    assert asset.asset_class == "us_equity" or answer.quantity * price >= 10
    if answer.quantity % 1 and asset.asset_class == "us_equity":
        assert (fractional, asset.fractionable, side) == (True, True, OrderSide.BUY)
        assert answer.quantity * price >= 1


@given(price=PRICES, side=st.sampled_from(OrderSide), collar=st.decimals(min_value=0, max_value=50, places=2))
def test_a_limit_is_never_outside_the_collar(price: Decimal, side: OrderSide, collar: Decimal) -> None:
    limit = limit_price(price, side=side, collar_percent=collar, asset=STOCK)

    worst = price * (1 + collar / 100) if side is OrderSide.BUY else price * (1 - collar / 100)
    assert limit <= worst if side is OrderSide.BUY else limit >= worst
