"""The adapter reads recorded answers of Alpaca, with the values that a person who knows its API expects."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from pipeline.model.errors import BrokerUnreadable
from pipeline.model.orders import OrderStatus
from tests.unit.brokers import payloads
from workers.brokers.alpaca import mapping


@pytest.mark.parametrize(
    ("name", "symbol", "side", "quantity", "filled", "status", "kind"),
    [
        ("derived-order-canceled-after-partial-fill", "F", "buy", "250", "93", OrderStatus.CANCELED, "limit"),
        ("derived-order-expired-after-partial-fill", "PLTR", "buy", "40", "15", OrderStatus.EXPIRED, "limit"),
        ("derived-order-oco-nested", "AMD", "sell", "12", "0", OrderStatus.WORKING, "limit"),
        ("derived-order-partially-filled", "F", "buy", "250", "93", OrderStatus.PARTIALLY_FILLED, "limit"),
        ("derived-order-status-nobody-knows", "KO", "buy", "1", "0", OrderStatus.WORKING, "limit"),
        ("derived-order-trailing-stop", "MSFT", "sell", "1", "0", OrderStatus.WORKING, "trailing_stop"),
        ("order-canceled-unfilled-2026", "KO", "buy", "1", "0", OrderStatus.CANCELED, "limit"),
        ("order-close-position-new", "AIV", "sell", "71", "0", OrderStatus.WORKING, "market"),
        ("order-limit-accepted-oas", "AAPL", "buy", "2", "0", OrderStatus.WORKING, "limit"),
        ("order-limit-filled-2019", "GDX", "sell", "500", "500", OrderStatus.FILLED, "limit"),
        ("order-limit-new-2019", "AAPL", "buy", "5", "0", OrderStatus.WORKING, "limit"),
        ("order-market-filled-local-currency", "AAPL", "buy", None, "2.527276938", OrderStatus.FILLED, "market"),
        ("order-market-notional-accepted", "AAPL", "buy", None, "0", OrderStatus.WORKING, "market"),
        ("order-market-rejected", "TLSA", "buy", None, "0", OrderStatus.REJECTED, "market"),
        ("order-option-filled-2026", "AAPL261218C00340000", "buy", "1", "1", OrderStatus.FILLED, "market"),
        ("order-oto", "AAPL", "buy", "15", "0", OrderStatus.WORKING, "market"),
        ("order-replacement-new", "BRZU", "buy", "100", "0", OrderStatus.WORKING, "limit"),
    ],
)
def test_an_order(
    name: str, symbol: str, side: str, quantity: str | None, filled: str, status: OrderStatus, kind: str
) -> None:
    order = mapping.order_from_broker(payloads.recorded(name))

    assert (order.symbol, order.side.value, order.status, order.terms["type"]) == (symbol, side, status, kind)
    assert order.quantity == (None if quantity is None else Decimal(quantity))
    assert order.filled_quantity == Decimal(filled)


def test_a_trailing_stop_has_the_terms_to_place_it_again() -> None:
    order = mapping.order_from_broker(payloads.recorded("derived-order-trailing-stop"))

    assert order.stop is not None
    assert order.terms["stop_price"] == "485.1"
    assert {"trail_price", "trail_percent"} & set(order.terms)


def test_an_order_of_several_legs_has_no_symbol_of_its_own() -> None:
    raw = payloads.recorded("order-mleg-filled-four-legs")

    assert mapping.has_legs_only(raw)
    with pytest.raises(BrokerUnreadable, match="symbol"):
        mapping.order_from_broker(raw)


@pytest.mark.parametrize(
    ("name", "symbol", "quantity", "available", "price"),
    [
        ("masked-paper-positions", "AAPL", "1", "1", "305.22"),
        ("position-fractional", "AAPL", "0.5", "0.5", "120"),
        ("position-loss-spy-2022", "SPY", "2", "2", "361.55"),
        ("position-short", "FB", "-100", "-100", "199.22"),
        ("positions-local-currency", "AAPL", "2.5132", "2.5132", "156.76"),
    ],
)
def test_a_position(name: str, symbol: str, quantity: str, available: str, price: str) -> None:
    raw = payloads.recorded(name)
    [position] = [mapping.position_from_broker(each) for each in (raw if isinstance(raw, list) else [raw])]

    assert (position.symbol, position.current_price) == (symbol, Decimal(price))
    assert (position.quantity, position.available) == (Decimal(quantity), Decimal(available))


@pytest.mark.parametrize(
    ("name", "symbol", "least", "fractional_extended"),
    [
        ("asset-2019-no-fractionable", "CRM", None, False),
        ("asset-brk-b-2026", "BRK.B", None, True),
        ("asset-crypto-shib-usdc-2026", "SHIB/USDC", "200883.889112093", True),
        ("asset-crypto-usdc-usd-2026", "USDC/USD", "1.00050025", True),
    ],
)
def test_an_asset(name: str, symbol: str, least: str | None, fractional_extended: object) -> None:
    asset = mapping.asset_from_broker(payloads.recorded(name))

    assert (asset.symbol, asset.tradable, asset.fractional_extended) == (symbol, True, fractional_extended)
    # Alpaca's answers of 2019 did not contain `fractionable`.
    assert not asset.whole_only
    assert asset.min_order_size == (None if least is None else Decimal(least))
    assert asset.min_trade_increment == (None if least is None else Decimal("0.000000001"))


def test_every_recorded_answer_is_read_by_a_test() -> None:
    here = Path(__file__).parent
    tests = "".join(path.read_text() for path in here.glob("test_alpaca_recorded*.py"))

    assert [path.stem for path in payloads.RECORDED.glob("*.json") if f'"{path.stem}"' not in tests] == []
