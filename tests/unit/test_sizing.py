from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.sections import Size
from workers.brokers.holdings import Asset
from workers.brokers.orders import Side
from workers.sizing import (
    Funds,
    Sized,
    TooSmall,
    entry_quantity,
    exit_quantity,
    increment,
    limit_price,
    scale,
    tick,
)

STOCK = Asset(symbol="AAPL", asset_class="us_equity", tradable=True, fractionable=True, shortable=True)
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
ARGO = {"method": "equity_percent", "value": 10, "scale_at_100": Decimal("1.5"), "maximum_percent": 15}


def sized(
    *,
    price: Any = 100,
    equity: Any = 100_000,
    spendable: Any = None,
    factor: Any = 1,
    asset: Asset = STOCK,
    requested: Any = None,
    **size: Any,
) -> Sized | TooSmall:
    return entry_quantity(
        Size(**(size or ARGO)),
        factor=Decimal(factor),
        price=Decimal(price),
        funds=Funds(equity=Decimal(equity), spendable=Decimal(equity if spendable is None else spendable)),
        asset=asset,
        requested=None if requested is None else Decimal(requested),
    )


def quantity(**case: Any) -> Decimal:
    answer = sized(**case)
    assert isinstance(answer, Sized), answer
    return answer.quantity


def refusal(**case: Any) -> tuple[str, dict[str, Any]]:
    answer = sized(**case)
    assert isinstance(answer, TooSmall), answer
    return answer.reason.code.value, answer.reason.to_json()


@pytest.mark.parametrize(("confidence", "factor"), [(50, "1"), (75, "1"), (80, "1.1"), ("87.5", "1.25"), (100, "1.5")])
def test_the_size_grows_in_a_straight_line_with_confidence(confidence: Any, factor: str) -> None:
    assert scale(Size(**ARGO), confidence=Decimal(confidence), minimum_confidence=Decimal(75)) == Decimal(factor)


def test_a_minimum_of_a_hundred_scales_nothing() -> None:
    assert scale(Size(**ARGO), confidence=Decimal(100), minimum_confidence=Decimal(100)) == 1


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        ({}, 100),
        ({"factor": "1.5"}, 150),
        # The most that one entry may cost.
        ({"factor": "1.6"}, 150),
        ({"price": "190.01"}, 52),
        # Whole shares, rounded down; exactly one is enough.
        ({"price": 10_000}, 1),
        ({"price": "9999.99"}, 1),
        ({"method": "notional", "value": 1000}, 10),
        ({"method": "notional", "value": 1000, "factor": "1.29"}, 12),
        ({"method": "quantity", "value": 7}, 7),
        ({"method": "quantity", "value": Decimal("7.9")}, 7),
        # What a sender asks for replaces the size and is cut by the same caps.
        ({"requested": 3}, 3),
        ({"requested": "3.7"}, 3),
        ({"requested": 1_000_000}, 150),
        ({"spendable": 450}, 4),
        ({"asset": BITCOIN, "price": 60_000}, "0.166666666"),
        ({"asset": COIN, "price": 3}, "3333.333333"),
    ],
)
def test_an_entry_is_sized(case: dict[str, Any], expected: Any) -> None:
    assert quantity(**case) == Decimal(expected)


def test_below_one_share_is_said_and_not_rounded_up() -> None:
    assert refusal(price="10000.01") == (
        "below_one_share",
        {"size": "0.999999", "price": "10000.01", "equity": "100000.00", "least": "1"},
    )


def test_less_than_the_brokers_minimum_is_said() -> None:
    code, facts = refusal(asset=BITCOIN, price=60_000, method="notional", value=5)

    assert (code, facts["least"]) == ("below_minimum_quantity", "0.0001")


@pytest.mark.parametrize("spendable", [99, 0, -5])
def test_buying_power_that_does_not_cover_the_least_is_what_stops_it(spendable: int) -> None:
    code, facts = refusal(spendable=spendable)

    assert (code, facts["spendable"]) == ("buying_power_used_up", f"{spendable}.00")


def test_a_method_of_a_later_part_is_refused_and_named() -> None:
    assert refusal(method="risk_percent", value=1) == ("size_method_not_enforced", {"method": "risk_percent"})


def test_no_equity_buys_nothing() -> None:
    assert refusal(equity=0)[0] == "below_one_share"
    assert refusal(equity=-10)[0] == "below_one_share"


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
    found = limit_price(Decimal(price), side=Side(side), collar_percent=Decimal("0.5"), asset=asset)

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


AMOUNTS = st.decimals(min_value="0.01", max_value="10000000", places=2)
PRICES = st.decimals(min_value="0.0001", max_value="100000", places=4)
SIZES = st.one_of(
    st.builds(
        Size,
        method=st.just("equity_percent"),
        value=st.decimals(min_value="0.1", max_value=100, places=1),
        maximum_percent=st.none() | st.decimals(min_value="0.1", max_value=100, places=1),
    ),
    st.builds(
        Size, method=st.sampled_from(["notional", "quantity"]), value=AMOUNTS, maximum_percent=st.just(Decimal(15))
    ),
)


@given(
    size=SIZES,
    factor=st.decimals(min_value=1, max_value=10, places=3),
    price=PRICES,
    equity=AMOUNTS,
    spendable=st.decimals(min_value=-1000, max_value=10_000_000, places=2),
    asset=st.sampled_from([STOCK, BITCOIN, COIN]),
    requested=st.none() | st.decimals(min_value="0.000001", max_value=100_000, places=6),
)
def test_an_entry_respects_every_cap_and_increment_or_names_what_stopped_it(
    size: Size,
    factor: Decimal,
    price: Decimal,
    equity: Decimal,
    spendable: Decimal,
    asset: Asset,
    requested: Decimal | None,
) -> None:
    funds = Funds(equity=equity, spendable=spendable)
    answer = entry_quantity(size, factor=factor, price=price, funds=funds, asset=asset, requested=requested)

    if isinstance(answer, TooSmall):
        assert answer.reason.code in {"below_one_share", "below_minimum_quantity", "buying_power_used_up"}
        assert answer.reason.facts["least"] > 0
        return
    cost = answer.quantity * price
    assert answer.quantity > 0
    assert answer.quantity % increment(asset) == 0
    assert answer.quantity >= (asset.min_order_size or 0)
    assert cost <= spendable
    if size.maximum_percent is not None:
        assert cost <= equity * size.maximum_percent / 100
    if requested is not None:
        assert answer.quantity <= requested
    elif size.method == "equity_percent":
        assert cost <= equity * size.value * factor / 100


@given(price=PRICES, side=st.sampled_from(Side), collar=st.decimals(min_value=0, max_value=50, places=2))
def test_a_limit_is_never_outside_the_collar(price: Decimal, side: Side, collar: Decimal) -> None:
    limit = limit_price(price, side=side, collar_percent=collar, asset=STOCK)

    worst = price * (1 + collar / 100) if side is Side.BUY else price * (1 - collar / 100)
    assert limit <= worst if side is Side.BUY else limit >= worst
