"""Orders that the rules permit have these properties for any account, position, pending order, limit and signal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from functools import cache
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from pipeline.accounts.exposure import Book, Pending, StrategyHolding
from pipeline.accounts.losses import EquityBaseline
from pipeline.model.account import Position
from pipeline.model.orders import OrderSide
from pipeline.model.reasons import Code
from pipeline.model.signals import Intent
from pipeline.store.rows import Role, SignalRow
from tests.rule_cases import NOW, STANDING, case, signal, tuned
from workers.rules.case import Case, Go, Hold, Recent, Skip
from workers.rules.decide import decide

ANY = settings(derandomize=True, max_examples=200, deadline=None)

SHARES, COIN = ("AAPL", "MSFT", "XOM"), "BTC/USD"
GROUPS = {"tech": ["AAPL", "MSFT"], "large": ["AAPL", "XOM"], "all": [*SHARES, COIN]}
CAPS = {
    Code.BELOW_ONE_SHARE,
    Code.BELOW_MINIMUM_QUANTITY,
    Code.POSITION_SIZE_LIMIT,
    Code.GROSS_EXPOSURE_LIMIT,
    Code.SYMBOL_EXPOSURE_LIMIT,
    Code.GROUP_EXPOSURE_LIMIT,
    Code.DAILY_LOSS_LIMIT,
    Code.DRAWDOWN_LIMIT,
    Code.BUYING_POWER_USED_UP,
    Code.CASH_USED_UP,
}


@cache
def amounts(least: Any, most: Any, places: int = 2) -> st.SearchStrategy[Decimal]:
    return st.decimals(min_value=least, max_value=most, places=places)


def off_or(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(st.just("off"), st.just("off"), values)


def mostly(usual: Any, *others: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from([*[usual] * 5, *others])


METHODS = st.one_of(
    st.tuples(st.just("equity_percent"), amounts("0.1", 50)),
    st.tuples(st.just("risk_percent"), amounts("0.1", 5)),
    st.tuples(st.just("notional"), amounts(50, 100_000)),
    st.tuples(st.just("quantity"), amounts("0.5", 500)),
)
SIZES = st.fixed_dictionaries(
    {
        "scale_at_100": amounts(1, 3),
        "maximum_percent": off_or(amounts("0.1", 30)),
        "fractional": st.booleans(),
        "default_stop_percent": amounts("0.5", 20),
        "volatility_target_percent": off_or(amounts("0.5", 5)),
    }
)
LIMITS = st.fixed_dictionaries(
    {
        "open_positions": off_or(st.integers(3, 5)),
        "gross_exposure_percent": off_or(amounts(20, 400)),
        "symbol_exposure_percent": off_or(amounts(5, 200)),
        "group_positions": off_or(st.integers(2, 4)),
        "group_exposure_percent": off_or(amounts(5, 300)),
        "daily_loss_percent": off_or(amounts(1, 30)),
        "drawdown_percent": off_or(amounts(5, 40)),
        "stop_distance_percent": off_or(amounts(1, 40)),
        "buying_power_percent": off_or(amounts(1, 100)),
        "pyramiding": off_or(st.integers(2, 4)),
        "orders_per_day": off_or(st.integers(1, 5)),
        "consecutive_rejections": off_or(st.integers(2, 3)),
    }
)
MOSTLY_YES = st.sampled_from([True, True, True, True, False])
ORDERS = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["limit", "market"]),
        "allow_short": MOSTLY_YES,
        "close_scope": mostly("strategy", "account"),
    }
)
EXECUTORS = st.builds(
    lambda method, size, limits, order, most: tuned(
        size=size | dict(zip(("method", "value"), method, strict=True)),
        limits=limits,
        order=order,
        firm={"maximum_quantity": most},
        groups=GROUPS,
    ),
    METHODS,
    SIZES,
    LIMITS,
    ORDERS,
    off_or(amounts(1, 500, 3)),
)


@cache
def positions(symbol: str) -> st.SearchStrategy[Position | None]:
    units = amounts(-300, 300, 3) if symbol != COIN else amounts(0, 50, 6)
    return (
        st.none()
        | st.none()
        | st.builds(
            lambda held, price, paid: Position(
                symbol=symbol, quantity=held, available=held, average_entry_price=paid, current_price=price
            ),
            units.filter(bool),
            st.none() | amounts(1, 300),
            amounts(1, 300),
        )
    )


@cache
def on_their_way(symbol: str) -> st.SearchStrategy[Pending | None]:
    return (
        st.none()
        | st.none()
        | st.builds(
            lambda units, value, risk: Pending(symbol=symbol, quantity=units, value=value, risk=risk),
            amounts(-10 if symbol != COIN else 0, 100),
            amounts(0, 20_000),
            amounts(0, 1000),
        )
    )


@st.composite
def books(draw: st.DrawFn) -> Book:
    symbols = (*SHARES, COIN)
    return Book(
        positions=tuple(each for each in map(draw, map(positions, symbols)) if each is not None),
        pending=tuple(each for each in map(draw, map(on_their_way, symbols)) if each is not None),
        stops=draw(st.dictionaries(st.sampled_from(symbols), amounts(1, 300), max_size=2)),
    )


@st.composite
def signals(draw: st.DrawFn) -> SignalRow:
    symbol, price = draw(st.sampled_from(("AAPL", *SHARES, COIN))), draw(amounts("0.01", 500))
    return signal(
        draw(st.sampled_from(["BUY", "BUY", "SELL"])),
        symbol=symbol,
        asset_class="crypto" if symbol == COIN else "us_equity",
        intent=draw(mostly(Intent.AUTO, Intent.OPEN, Intent.OPEN, Intent.OPEN, Intent.CLOSE)),
        confidence=draw(amounts(75, 100)),
        entry_price=price,
        stop_price=draw(st.none() | amounts("0.75", "1.25").map(lambda part: price * part)),
        quantity=draw(st.none() | st.none() | amounts("0.001", 2000, 3)),
        volatility_percent=draw(st.none() | amounts("0.1", 20)),
    )


@st.composite
def cases(draw: st.DrawFn) -> Case:
    sent, book = draw(signals()), draw(books())
    read = next((each for each in book.positions if each.symbol == sent.symbol), None)
    equity = draw(amounts(5000, 1_000_000))
    position = draw(mostly(read, draw(positions(sent.symbol))))
    plain = case(sent, settings=draw(EXECUTORS))
    asset = plain.asset
    assert asset is not None
    return replace(
        plain,
        account=replace(
            plain.account,
            equity=equity,
            buying_power=equity * draw(amounts("0.1", 4)),
            non_marginable_buying_power=equity * draw(amounts("0.1", 1)),
            shorting_enabled=draw(MOSTLY_YES),
        ),
        # The position is mostly that of the account's reading, and sometimes another one.
        position=position,
        own=StrategyHolding(
            quantity=draw(mostly(position.quantity if position else Decimal(0), Decimal(0), Decimal(7)))
        ),
        asset=replace(
            asset,
            fractionable=draw(st.booleans()),
            shortable=draw(MOSTLY_YES),
            min_order_size=Decimal("0.0001") if sent.symbol == COIN else None,
            min_trade_increment=draw(st.sampled_from([None, Decimal("0.0001")])) if sent.symbol == COIN else None,
        ),
        reserved=equity * draw(amounts(0, "0.2")),
        book=book,
        baseline=replace(
            STANDING,
            equity=equity,
            day_start_equity=equity * draw(amounts("0.9", "1.1")),
            peak_equity=equity * draw(amounts(1, "1.1")),
        ),
        recent=draw(
            st.builds(
                Recent,
                orders_today=mostly(0, 1, 4),
                entries_in_symbol=mostly(1, 0, 3),
                rejections=mostly(0, 1, 3),
            )
        ),
        price=draw(st.none() | amounts("0.01", 500)),
    )


def entry_of(judged: Case) -> Go | None:
    verdict = decide(judged)
    return verdict if isinstance(verdict, Go) and verdict.role is Role.ENTRY else None


def worth_of(judged: Case, *, only: tuple[str, ...] = (*SHARES, COIN)) -> Decimal:
    held = {
        each.symbol: abs(each.quantity) * (each.current_price or each.average_entry_price)
        for each in judged.book.positions
    }
    for each in judged.book.pending:
        held[each.symbol] = held.get(each.symbol, Decimal(0)) + each.value
    fresh = judged.position
    if fresh is not None:
        anew = abs(fresh.quantity) * (fresh.current_price or fresh.average_entry_price)
        held[fresh.symbol] = max(held.get(fresh.symbol, Decimal(0)), anew)
    return sum((value for symbol, value in held.items() if symbol in only), Decimal(0))


def assert_on_the_brokers_steps(order: Go, judged: Case) -> None:
    asset, size = judged.asset, judged.executor.size
    assert asset is not None
    assert order.quantity > 0
    if judged.signal.asset_class == "crypto":
        assert order.side is OrderSide.BUY
        assert order.quantity % (asset.min_trade_increment or Decimal("0.000001")) == 0
        assert order.quantity >= Decimal("0.0001")
        assert order.quantity * order.reference_price >= 10
    elif order.quantity % 1:
        assert (size.fractional, asset.fractionable, order.side, order.time_in_force) == (
            True,
            True,
            OrderSide.BUY,
            "day",
        )
        assert order.quantity % Decimal("0.000000001") == 0
        assert order.quantity * order.reference_price >= 1
    if order.side is OrderSide.SELL:
        assert (judged.executor.order.allow_short, judged.account.shorting_enabled, asset.shortable) == (True,) * 3


def assert_within_every_cap(order: Go, judged: Case) -> None:
    executor, limits, account = judged.executor, judged.executor.limits, judged.account
    symbol, cost = judged.signal.symbol, order.quantity * order.reference_price

    def within(percent: Decimal | None, used: Decimal, whole: Decimal = account.equity) -> None:
        assert percent is None or used <= whole * percent / 100

    within(executor.size.maximum_percent, cost)
    within(limits.gross_exposure_percent, worth_of(judged) + cost)
    within(limits.symbol_exposure_percent, worth_of(judged, only=(symbol,)) + cost)
    for members in executor.groups.values():
        if symbol in members:
            within(limits.group_exposure_percent, worth_of(judged, only=members) + cost)
    power = account.non_marginable_buying_power if symbol == COIN else account.buying_power
    within(limits.buying_power_percent or Decimal(100), judged.reserved + cost, power)
    most = executor.firm.maximum_quantity
    held = abs(judged.position.quantity) if judged.position else Decimal(0)
    assert most is None or max(held, abs(judged.book.quantity(symbol))) + order.quantity <= most
    assert_within_the_losses(order, judged)


def assert_within_the_losses(order: Go, judged: Case) -> None:
    limits, baseline = judged.executor.limits, judged.baseline
    assert baseline is not None
    at_risk = judged.book.open_risk(judged.executor.size.default_stop_percent) + order.risk
    assert order.risk > 0
    if limits.daily_loss_percent is not None:
        allowed = baseline.day_start_equity * limits.daily_loss_percent / 100
        assert baseline.day_start_equity - judged.account.equity + at_risk <= allowed
    if limits.drawdown_percent is not None:
        allowed = baseline.peak_equity * limits.drawdown_percent / 100
        assert baseline.peak_equity - judged.account.equity + at_risk <= allowed


def assert_nothing_counted_is_exceeded(judged: Case) -> None:
    limits, recent, symbol = judged.executor.limits, judged.recent, judged.signal.symbol
    symbols = judged.book.symbols() | {symbol}
    assert limits.open_positions is None or len(symbols) <= limits.open_positions
    for members in judged.executor.groups.values():
        if symbol in members and limits.group_positions is not None:
            assert len(symbols.intersection(members)) <= limits.group_positions
    assert limits.orders_per_day is None or recent.orders_today < limits.orders_per_day
    assert limits.consecutive_rejections is None or recent.rejections < limits.consecutive_rejections
    held = symbol in judged.book.symbols() or judged.position is not None
    assert limits.pyramiding is None or not held or max(recent.entries_in_symbol, 1) < limits.pyramiding


@ANY
@given(cases())
def test_an_entry_respects_every_cap_and_increment_or_the_answer_names_what_stopped_it(judged: Case) -> None:
    verdict = decide(judged)

    if isinstance(verdict, Hold):
        assert verdict.wait > timedelta(0)
        return
    if isinstance(verdict, Skip):
        assert verdict.reasons
        for reason in verdict.reasons:
            assert (reason.code in CAPS) == ("least" in reason.facts)
        return
    if verdict.role is Role.EXIT:
        return
    assert_on_the_brokers_steps(verdict, judged)
    assert_within_every_cap(verdict, judged)
    assert_nothing_counted_is_exceeded(judged)
    assert judged.signal.quantity is None or verdict.quantity <= judged.signal.quantity
    assert judged.signal.intent is not Intent.CLOSE


@ANY
@given(cases())
def test_an_exit_never_increases_or_reverses_a_position_and_an_entry_never_reduces_one(judged: Case) -> None:
    verdict = decide(judged)

    if not isinstance(verdict, Go):
        return
    held = judged.position.quantity if judged.position else Decimal(0)
    after = held + (verdict.quantity if verdict.side is OrderSide.BUY else -verdict.quantity)
    if verdict.role is Role.EXIT:
        assert abs(after) < abs(held)
        assert after * held >= 0
    else:
        assert abs(after) > abs(held)
        assert after * held >= 0


def _account(**changes: Any) -> Callable[[Case], Case]:
    return lambda judged: replace(judged, account=replace(judged.account, **changes))


def _watched(baseline: EquityBaseline | None) -> Callable[[Case], Case]:
    def spoiled(judged: Case) -> Case:
        limits = judged.executor.limits.model_copy(update={"daily_loss_percent": Decimal(5)})
        executor = judged.executor.model_copy(update={"limits": limits})
        return replace(judged, executor=executor, baseline=baseline)

    return spoiled


def _on_the_other_side(judged: Case) -> Case:
    """Return the case with fills that reversed the position after the account was read."""
    symbol = judged.signal.symbol
    side = -1 if judged.signal.action == "BUY" else 1
    read = next((each for each in judged.book.positions if each.symbol == symbol), None)
    units = side * (abs(read.quantity if read else Decimal(0)) + 1)
    filled = Pending(symbol=symbol, quantity=units, value=Decimal(1), risk=Decimal(1))
    others = tuple(each for each in judged.book.pending if each.symbol != symbol)
    return replace(judged, position=read, book=replace(judged.book, pending=(*others, filled)))


def _without_a_clock(judged: Case) -> Case:
    """Return the case without a clock, and with settings that need one."""
    hours = judged.executor.hours.model_copy(update={"closed": "hold"})
    firm = judged.executor.firm.model_copy(update={"flat_before_close_s": 600.0})
    tables = {"firm": firm} if judged.signal.symbol == COIN else {"hours": hours}
    return replace(judged, market=None, executor=judged.executor.model_copy(update=tables))


SPOILED = {
    "without equity": _account(equity=Decimal(0)),
    "in debt": _account(equity=Decimal(-1)),
    "without money": _account(buying_power=Decimal(0), non_marginable_buying_power=Decimal(0)),
    "in debt for its buying power": _account(buying_power=Decimal(-5), non_marginable_buying_power=Decimal(-5)),
    "blocked": _account(blocked=True),
    "unwatched": _watched(None),
    "watched yesterday": _watched(replace(STANDING, day=NOW.date() - timedelta(days=1))),
    "not watched for long": _watched(replace(STANDING, read_at=NOW - timedelta(hours=1))),
    "of no known asset": lambda judged: replace(judged, asset=None),
    "of no price": lambda judged: replace(judged, signal=replace(judged.signal, entry_price=None)),
    "on the other side": _on_the_other_side,
    "without a clock": _without_a_clock,
}


@pytest.mark.parametrize("spoil", SPOILED.values(), ids=SPOILED)
@settings(ANY, max_examples=40)
@given(judged=cases())
def test_an_unknown_or_contradictory_account_never_lets_an_entry_go(
    spoil: Callable[[Case], Case], judged: Case
) -> None:
    assert entry_of(spoil(judged)) is None


def kinds(judged: Case) -> set[str]:
    """Return the kinds of a decision, by the names that the test below uses."""
    verdict = decide(judged)
    if isinstance(verdict, Hold):
        return {"a hold"}
    if isinstance(verdict, Skip):
        return {reason.code.value for reason in verdict.reasons}
    if verdict.role is Role.EXIT:
        return {"an exit"}
    asked = judged.signal.quantity
    happens = {
        "an entry": True,
        "a short": verdict.side is OrderSide.SELL,
        "a coin": judged.signal.symbol == COIN,
        "a fraction of a share": verdict.quantity % 1 > 0 and judged.signal.symbol != COIN,
        "a request that is cut": asked is not None and verdict.quantity < asked - 1,
        "an addition": judged.position is not None,
    }
    return {kind for kind, happened in happens.items() if happened}


def test_the_cases_tried_here_are_of_every_kind() -> None:
    """The random cases include each kind of order, and for most caps a case whose size that cap limits."""
    seen: Counter[str] = Counter()

    @settings(ANY, max_examples=600, phases=[Phase.generate])
    @given(cases())
    def look(judged: Case) -> None:
        seen.update(kinds(judged))

    orders = {
        "an entry",
        "a short",
        "a coin",
        "a fraction of a share",
        "a request that is cut",
        "an addition",
        "an exit",
    }

    def is_complete() -> bool:
        return {*orders, "a hold"} <= set(seen) and len(CAPS.intersection(seen)) >= len(CAPS) // 2

    # A rare kind may be missing in one round, because the cases are random.
    for _ in range(5):
        look()
        if is_complete():
            return
    raise AssertionError(f"after five rounds only {dict(seen)}")
