"""Cash, positions, fees and held-back amounts add up after any trades."""

from __future__ import annotations

import contextlib
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.exchange.accounts import DEFAULT_CASH, ExchangeAccount
from workers.exchange.clock import ClockMode, SessionClock
from workers.exchange.journal import ExchangeJournal
from workers.exchange.orders import ExchangeOrder, ExchangeOrderStatus, ExchangeSide
from workers.exchange.refusals import RequestRefused
from workers.exchange.settlement import advance, reprice
from workers.exchange.trading import OrderFaults, cancel, replace_order, submit
from workers.exchange.venue import Changes, Venue

_SYMBOLS = ["AAPL", "TSLA", "BTC/USD"]
_START_NS = 1_800_000_000_000_000_000

_orders = st.fixed_dictionaries(
    {
        "do": st.just("order"),
        "symbol": st.sampled_from(_SYMBOLS),
        "side": st.sampled_from(["buy", "sell"]),
        "qty": st.integers(1, 400),
        "price": st.integers(80, 120),
        "type": st.sampled_from(["market", "limit", "stop"]),
        "part": st.booleans(),
        "bracket": st.booleans(),
    }
)
_moves = st.one_of(
    _orders,
    _orders,
    st.fixed_dictionaries({"do": st.just("price"), "symbol": st.sampled_from(_SYMBOLS), "price": st.integers(80, 120)}),
    st.fixed_dictionaries({"do": st.sampled_from(["cancel", "replace"]), "which": st.integers(0, 50)}),
)


class Game:
    """A state machine that trades one account at a venue."""

    def __init__(self) -> None:
        self.venue = Venue(SessionClock(ClockMode.ALWAYS_OPEN))
        self.account = self.venue.open_account("key", _START_NS)
        self.now_ns = _START_NS
        self.log = Changes()
        for symbol in _SYMBOLS:
            self.venue.last[symbol] = Decimal(100)

    def play(self, move: dict[str, Any]) -> None:
        self.now_ns += 10_000_000_000
        with contextlib.suppress(RequestRefused):
            getattr(self, f"_{move['do']}")(move)
        self._settle()

    def _order(self, move: dict[str, Any]) -> None:
        crypto = move["symbol"] == "BTC/USD"
        body = {"symbol": move["symbol"], "side": move["side"], "qty": str(move["qty"]), "type": move["type"]}
        body["time_in_force"] = "gtc"
        if move["type"] != "market":
            body[f"{move['type']}_price"] = str(move["price"])
        if move["bracket"] and not crypto:
            away = 10 if move["side"] == "buy" else -10
            exits = {"limit_price": str(100 + away)}, {"stop_price": str(100 - away)}
            body |= {"order_class": "bracket", "take_profit": exits[0], "stop_loss": exits[1]}
        submit(self.venue, self.account, body, self.now_ns, OrderFaults(part_then_s=1.0 if move["part"] else None))

    def _price(self, move: dict[str, Any]) -> None:
        self.venue.last[move["symbol"]] = Decimal(move["price"])
        reprice(self.venue, move["symbol"], self.now_ns)

    def _cancel(self, move: dict[str, Any]) -> None:
        if self.account.orders:
            cancel(self.venue, self._pick(move), self.now_ns)

    def _replace(self, move: dict[str, Any]) -> None:
        if self.account.orders:
            replace_order(self.venue, self.account, self._pick(move), {"qty": str(move["which"] + 1)}, self.now_ns)

    def _pick(self, move: dict[str, Any]) -> ExchangeOrder:
        return self.account.orders[move["which"] % len(self.account.orders)]

    def _settle(self) -> None:
        while self.venue.changes.advance_later:
            changes, self.venue.changes = self.venue.changes, Changes()
            self._keep(changes)
            for order_id, seconds in changes.advance_later:
                self.now_ns += int(seconds * 1e9)
                advance(self.venue, self.venue.orders[order_id], self.now_ns)
        changes, self.venue.changes = self.venue.changes, Changes()
        self._keep(changes)

    def _keep(self, changes: Changes) -> None:
        self.log.accounts |= changes.accounts
        self.log.orders |= changes.orders
        self.log.positions |= changes.positions
        self.log.fills += changes.fills
        self.log.prices |= set(self.venue.last)


def check(account: ExchangeAccount) -> None:
    """Compute the account from its fills and open orders, and compare the result with the venue's."""
    cash = DEFAULT_CASH
    quantities: dict[str, Decimal] = {}
    for fill in account.fills:
        signed = fill.qty if fill.side is ExchangeSide.BUY else -fill.qty
        cash -= signed * fill.price
        quantities[fill.symbol] = quantities.get(fill.symbol, Decimal(0)) + signed
    shares = {symbol: qty for symbol, qty in quantities.items() if qty and symbol != "BTC/USD"}
    coins = account.quantity("BTC/USD")
    orders = account.open_orders()

    assert {s: p.qty for s, p in account.positions.items() if s != "BTC/USD"} == shares
    assert 0 <= coins <= quantities.get("BTC/USD", Decimal(0)) or coins == quantities.get("BTC/USD", Decimal(0))
    # The fee of a sale is taken from cash, and that of a purchase from the coins.
    assert cash - account.fees <= account.cash <= cash
    assert account.reserved == sum((o.reserved for o in orders if not o.is_crypto), Decimal(0))
    assert account.reserved_crypto == sum((o.reserved for o in orders if o.is_crypto), Decimal(0))
    for symbol in _SYMBOLS:
        for side in ExchangeSide:
            held = sum((o.held for o in orders if (o.symbol, o.side) == (symbol, side)), Decimal(0))
            assert account.held[symbol, side] == held
        closing = ExchangeSide.SELL if account.quantity(symbol) > 0 else ExchangeSide.BUY
        assert account.held[symbol, closing] <= abs(account.quantity(symbol))
    for order in account.orders:
        filled = sum((fill.qty for fill in account.fills if fill.order_id == order.id), Decimal(0))
        assert order.filled_qty == filled <= (order.qty or 0)
        assert (order.status is ExchangeOrderStatus.FILLED) == (filled == order.qty)
        assert order.is_open or order.held == order.reserved == 0


@settings(max_examples=150, deadline=None)
@given(st.lists(_moves, max_size=30))
def test_the_figures_of_an_account_add_up_after_any_sequence_of_moves(moves: list[dict[str, Any]]) -> None:
    game = Game()
    for move in moves:
        game.play(move)

    check(game.account)


@settings(max_examples=20, deadline=None)
@given(moves=st.lists(_moves, min_size=5, max_size=20))
def test_a_loaded_journal_has_the_accounts_and_orders_that_were_written(
    tmp_path_factory: pytest.TempPathFactory, moves: list[dict[str, Any]]
) -> None:
    game, home = Game(), tmp_path_factory.mktemp("journal")
    for move in moves:
        game.play(move)
    again = written_and_read(home, game)
    account = again.accounts["key"]

    assert [asdict(order) for order in account.orders] == [asdict(order) for order in game.account.orders]
    assert account.positions == game.account.positions
    assert account.fills == game.account.fills
    assert (account.cash, account.fees) == (game.account.cash, game.account.fees)
    assert {key: held for key, held in account.held.items() if held} == {
        key: held for key, held in game.account.held.items() if held
    }
    assert again.last == game.venue.last
    assert again.totals(account) == game.venue.totals(game.account)


def written_and_read(home: Path, game: Game) -> Venue:
    journal = ExchangeJournal(home)
    journal.write(game.log, game.venue)
    journal.close()
    again, journal = Venue(SessionClock(ClockMode.ALWAYS_OPEN)), ExchangeJournal(home)
    journal.load(again)
    journal.close()
    return again
