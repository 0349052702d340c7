"""Keep one account's cash, positions and orders, and book fills onto them."""

from __future__ import annotations

import hashlib
import uuid
from collections import defaultdict
from dataclasses import dataclass, field
from decimal import ROUND_DOWN, Decimal
from typing import Any

from workers.exchange.orders import ExchangeOrder, ExchangeSide

DEFAULT_CASH = Decimal(100_000)
#: The broker's fee on coins: a quarter of a percent, taken from what is received.
CRYPTO_FEE = Decimal("0.0025")
#: Quantities have at most nine decimals.
QUANTUM = Decimal("0.000000001")
ZERO = Decimal(0)
_NAMESPACE = uuid.UUID("b4f1b0a6-7d0e-5b52-8a39-2f5f0f5c9d10")
_BASE_36 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"

CONFIGURATIONS: dict[str, Any] = {
    "disable_overnight_trading": False,
    "fractional_trading": True,
    "max_margin_multiplier": "4",
    "max_options_trading_level": 3,
    "no_shorting": False,
    "ptp_no_exception_entry": False,
    "suspend_trade": False,
    "trade_confirm_email": "all",
}


@dataclass(slots=True, kw_only=True)
class ExchangePosition:
    """What an account holds of one symbol. Below zero is short."""

    symbol: str
    is_crypto: bool
    qty: Decimal
    #: Signed: what the quantity held was bought (or sold) for.
    cost: Decimal

    @property
    def average(self) -> Decimal:
        """The average entry price."""
        return self.cost / self.qty


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """One execution, as the broker reports it."""

    id: str
    account: str
    order_id: str
    symbol: str
    side: ExchangeSide
    qty: Decimal
    price: Decimal
    cum_qty: Decimal
    leaves_qty: Decimal
    at_ns: int
    position_qty: Decimal

    @property
    def is_last(self) -> bool:
        """Whether the order is filled by it."""
        return self.leaves_qty == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeTransfer:
    """Cash that was paid in, or out (*amount* below zero)."""

    id: str
    account: str
    amount: Decimal
    at_ns: int
    #: Told by its day in New York alone, without the moment, as brokers do for some.
    day_only: bool = False

    @property
    def kind(self) -> str:
        """The broker's word: a cash deposit or a cash withdrawal."""
        return "CSD" if self.amount > 0 else "CSW"


@dataclass(slots=True, kw_only=True, eq=False)
class ExchangeAccount:
    """One account, named by its API key."""

    key: str
    secret_hash: str
    created_ns: int
    cash: Decimal = DEFAULT_CASH
    last_equity: Decimal = DEFAULT_CASH
    last_maintenance: Decimal = ZERO
    #: Fees paid so far, in dollars at the price of their fill.
    fees: Decimal = ZERO
    #: Every call answers 401.
    refused: bool = False
    trading_blocked: bool = False
    shorting_enabled: bool = True
    configurations: dict[str, Any] = field(default_factory=lambda: dict(CONFIGURATIONS))
    positions: dict[str, ExchangePosition] = field(default_factory=dict)
    #: Every order ever accepted, in order of submission.
    orders: list[ExchangeOrder] = field(default_factory=list)
    by_client_id: dict[str, ExchangeOrder] = field(default_factory=dict)
    #: Open orders by symbol and side, in order of submission.
    open: defaultdict[tuple[str, ExchangeSide], dict[str, ExchangeOrder]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    fills: list[Fill] = field(default_factory=list)
    transfers: list[ExchangeTransfer] = field(default_factory=list)
    #: Quantity held back by open orders, by symbol and side.
    held: defaultdict[tuple[str, ExchangeSide], Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    #: Buying power held back by open orders on shares, and on coins.
    reserved: Decimal = ZERO
    reserved_crypto: Decimal = ZERO

    @property
    def number(self) -> str:
        """The account number, for ever the same for a key: `PA` and ten letters or digits."""
        value = int.from_bytes(hashlib.sha256(b"account:" + self.key.encode()).digest()[:8])
        digits = []
        for _ in range(10):
            value, digit = divmod(value, 36)
            digits.append(_BASE_36[digit])
        return "PA" + "".join(digits)

    @property
    def id(self) -> str:
        """The account's UUID, for ever the same for a key."""
        return str(uuid.uuid5(_NAMESPACE, self.key))

    @property
    def multiplier(self) -> Decimal:
        """How many dollars of shares a dollar of equity may hold."""
        return Decimal(self.configurations["max_margin_multiplier"])

    @property
    def may_short(self) -> bool:
        """Whether it may sell shares that it does not have."""
        return self.shorting_enabled and not self.configurations["no_shorting"] and self.multiplier > 1

    def open_orders(self) -> list[ExchangeOrder]:
        """Return all open orders, in order of submission."""
        return sorted((o for orders in self.open.values() for o in orders.values()), key=lambda o: o.seq)

    def quantity(self, symbol: str) -> Decimal:
        """Return the signed quantity held of *symbol*."""
        position = self.positions.get(symbol)
        return position.qty if position else ZERO

    def available(self, symbol: str) -> Decimal:
        """Return how much of the position no open order has laid hands on, unsigned."""
        qty = self.quantity(symbol)
        side = ExchangeSide.SELL if qty > 0 else ExchangeSide.BUY
        return max(abs(qty) - self.held[symbol, side], ZERO)

    def enter(self, order: ExchangeOrder) -> None:
        """Put an order that may fill into the books; it holds back what it needs."""
        self.open[order.symbol, order.side][order.id] = order
        self.held[order.symbol, order.side] += order.held
        self._reserve(order, order.reserved)

    def leave(self, order: ExchangeOrder) -> None:
        """Take an order out of the books and give back what it held."""
        if self.open[order.symbol, order.side].pop(order.id, None) is None:
            return
        self.release(order, held=order.held, reserved=order.reserved)

    def hold(self, order: ExchangeOrder, qty: Decimal) -> None:
        """Let an open order hold back *qty* of the position."""
        order.held += qty
        self.held[order.symbol, order.side] += qty

    def release(self, order: ExchangeOrder, *, held: Decimal, reserved: Decimal) -> None:
        """Give back part of what *order* holds."""
        order.held -= held
        order.reserved -= reserved
        self.held[order.symbol, order.side] -= held
        self._reserve(order, -reserved)

    def book(self, order: ExchangeOrder, qty: Decimal, price: Decimal) -> Decimal:
        """Move cash and position for a fill of *qty* at *price*; return the signed position after it."""
        signed = qty if order.side is ExchangeSide.BUY else -qty
        self.cash -= signed * price
        coin_fee = ZERO
        if order.is_crypto:
            coin_fee = self._charge(order, qty, price)
        position = self.positions.get(order.symbol)
        if position is None:
            position = ExchangePosition(symbol=order.symbol, is_crypto=order.is_crypto, qty=ZERO, cost=ZERO)
        _move(position, signed, price)
        position.qty -= coin_fee
        if position.qty == 0:
            self.positions.pop(order.symbol, None)
        else:
            self.positions[order.symbol] = position
        return position.qty

    def _charge(self, order: ExchangeOrder, qty: Decimal, price: Decimal) -> Decimal:
        """Take the fee: from the coins of a purchase, from the dollars of a sale. Returns the coins."""
        if order.side is ExchangeSide.SELL:
            fee = qty * price * CRYPTO_FEE
            self.cash -= fee
            self.fees += fee
            return ZERO
        coins = (qty * CRYPTO_FEE).quantize(QUANTUM, ROUND_DOWN)
        self.fees += coins * price
        return coins

    def _reserve(self, order: ExchangeOrder, amount: Decimal) -> None:
        if order.is_crypto:
            self.reserved_crypto += amount
        else:
            self.reserved += amount


def _move(position: ExchangePosition, signed: Decimal, price: Decimal) -> None:
    """Add to the position, or close it first and open the other way with what is left."""
    if position.qty * signed < 0:
        closed = min(abs(signed), abs(position.qty))
        if closed == abs(position.qty):
            position.qty = position.cost = ZERO
        else:
            step = closed.copy_sign(signed)
            position.cost += position.average * step
            position.qty += step
        signed -= closed.copy_sign(signed)
    position.qty += signed
    position.cost += signed * price
