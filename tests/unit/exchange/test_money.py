"""The equity and the buying power of an account."""

from __future__ import annotations

from decimal import Decimal

from workers.exchange.accounts import ExchangeAccount, ExchangePosition
from workers.exchange.money import totals


def account(cash: int, **held: tuple[int, int]) -> ExchangeAccount:
    """Return an account with *cash* and positions, given as (quantity, cost) by symbol."""
    found = ExchangeAccount(key="key", secret_hash="", created_ns=0, cash=Decimal(cash))
    for symbol, (qty, cost) in held.items():
        found.positions[symbol] = ExchangePosition(
            symbol=symbol, is_crypto=symbol == "BTC", qty=Decimal(qty), cost=Decimal(cost)
        )
    return found


def test_an_empty_account_buys_four_times_its_cash() -> None:
    sums = totals(account(100_000), {}.get)

    assert (sums.equity, sums.buying_power, sums.regt_buying_power, sums.non_marginable) == (
        100_000, 400_000, 200_000, 100_000,
    )  # fmt: skip


def test_shares_use_buying_power_by_their_value() -> None:
    sums = totals(account(90_000, AAPL=(100, 10_000)), {"AAPL": Decimal(120)}.get)

    assert (sums.equity, sums.long_value) == (102_000, 12_000)
    assert (sums.buying_power, sums.non_marginable) == (396_000, 96_000)
    assert (sums.initial_margin, sums.maintenance_margin) == (6_000, 3_600)


def test_a_short_position_reduces_equity_and_buying_power() -> None:
    sums = totals(account(110_000, TSLA=(-100, -10_000)), {"TSLA": Decimal(100)}.get)

    assert (sums.equity, sums.short_value, sums.buying_power) == (100_000, -10_000, 390_000)


def test_coins_cannot_be_borrowed_against() -> None:
    sums = totals(account(90_000, BTC=(1, 10_000)), {"BTC": Decimal(10_000)}.get)

    assert (sums.equity, sums.buying_power, sums.non_marginable) == (100_000, 360_000, 90_000)


def test_open_orders_hold_buying_power_back() -> None:
    held = account(100_000)
    held.reserved, held.reserved_crypto = Decimal(10_000), Decimal(5_000)
    sums = totals(held, {}.get)

    assert (sums.buying_power, sums.non_marginable) == (370_000, 90_000)


def test_a_cash_account_buys_what_it_has() -> None:
    held = account(100_000)
    held.configurations["max_margin_multiplier"] = "1"

    assert totals(held, {}.get).buying_power == 100_000


def test_buying_power_is_never_below_zero() -> None:
    held = account(1_000)
    held.reserved = Decimal(10_000)
    sums = totals(held, {}.get)

    assert (sums.buying_power, sums.regt_buying_power, sums.non_marginable) == (0, 0, 0)


def test_a_position_without_a_price_counts_at_its_cost() -> None:
    assert totals(account(0, AAPL=(10, 1_000)), {}.get).equity == 1_000
