"""One account's cash, positions and orders, and the booking of fills."""

import hashlib
import uuid
from collections import defaultdict
from dataclasses import dataclass, field
from decimal import ROUND_DOWN, Decimal
from typing import Any

from workers.exchange.account_records import EquityPoint, Watchlist
from workers.exchange.orders import ExchangeOrder, ExchangeSide

DEFAULT_CASH = Decimal(100_000)
#: The broker's fee on coins: a quarter of a percent of the coins bought, or of the dollars received for a sale.
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
    """An account's position in one symbol. A quantity below zero is short."""

    symbol: str
    is_crypto: bool
    qty: Decimal
    #: The price paid for the held quantity; below zero for a short position.
    cost: Decimal

    @property
    def average(self) -> Decimal:
        """Return the average entry price."""
        return self.cost / self.qty


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """One fill of an order."""

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
        """Return whether this fill completes the order."""
        return self.leaves_qty == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeTransfer:
    """Cash that was paid in, or out (*amount* below zero)."""

    id: str
    account: str
    amount: Decimal
    at_ns: int
    #: Activities list it with only its date in New York, without a time, as brokers do for some transfers.
    day_only: bool = False

    @property
    def kind(self) -> str:
        """Return the broker's activity type: cash deposit or cash withdrawal."""
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
    #: The opening cash and all deposits, less all withdrawals.
    contributed: Decimal = DEFAULT_CASH
    #: Fees paid so far, in dollars. A fee in coins counts at the price of its fill.
    fees: Decimal = ZERO
    #: Every request of the account is answered with 401.
    refused: bool = False
    trading_blocked: bool = False
    shorting_enabled: bool = True
    #: Orders that open or add to a position are refused.
    liquidation_only: bool = False
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
    #: The equity over time, oldest first. A point that equals the one before is left out.
    points: list[EquityPoint] = field(default_factory=list)
    watchlists: list[Watchlist] = field(default_factory=list)
    #: Quantity held back by open orders, by symbol and side.
    held: defaultdict[tuple[str, ExchangeSide], Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    #: Buying power held back by open orders on shares, and on coins.
    reserved: Decimal = ZERO
    reserved_crypto: Decimal = ZERO

    @property
    def number(self) -> str:
        """Return the account number, `PA` and ten letters or digits. It depends only on the key."""
        value = int.from_bytes(hashlib.sha256(b"account:" + self.key.encode()).digest()[:8])
        digits = []
        for _ in range(10):
            value, digit = divmod(value, 36)
            digits.append(_BASE_36[digit])
        return "PA" + "".join(digits)

    @property
    def id(self) -> str:
        """Return the account's UUID. It depends only on the key."""
        return str(uuid.uuid5(_NAMESPACE, self.key))

    @property
    def multiplier(self) -> Decimal:
        """Return how many dollars of shares the account may hold for each dollar of equity."""
        return Decimal(self.configurations["max_margin_multiplier"])

    @property
    def may_short(self) -> bool:
        """Return whether the account may sell shares short."""
        return self.shorting_enabled and not self.configurations["no_shorting"] and self.multiplier > 1

    def open_orders(self) -> list[ExchangeOrder]:
        """Return all open orders, in order of submission."""
        return sorted((o for orders in self.open.values() for o in orders.values()), key=lambda o: o.seq)

    def quantity(self, symbol: str) -> Decimal:
        """Return the signed quantity held of *symbol*."""
        position = self.positions.get(symbol)
        return position.qty if position else ZERO

    def available(self, symbol: str) -> Decimal:
        """Return the unsigned part of the position that no open order holds back."""
        qty = self.quantity(symbol)
        side = ExchangeSide.SELL if qty > 0 else ExchangeSide.BUY
        return max(abs(qty) - self.held[symbol, side], ZERO)

    def add_open_order(self, order: ExchangeOrder) -> None:
        """Add an open order to the books and hold back its quantity and buying power."""
        self.open[order.symbol, order.side][order.id] = order
        self.held[order.symbol, order.side] += order.held
        self._reserve(order, order.reserved)

    def remove_open_order(self, order: ExchangeOrder) -> None:
        """Remove an order from the books and release what it held back."""
        if self.open[order.symbol, order.side].pop(order.id, None) is None:
            return
        self.release(order, held=order.held, reserved=order.reserved)

    def hold(self, order: ExchangeOrder, qty: Decimal) -> None:
        """Hold back *qty* of the position for an open order."""
        order.held += qty
        self.held[order.symbol, order.side] += qty

    def release(self, order: ExchangeOrder, *, held: Decimal, reserved: Decimal) -> None:
        """Release a part of what *order* holds back."""
        order.held -= held
        order.reserved -= reserved
        self.held[order.symbol, order.side] -= held
        self._reserve(order, -reserved)

    def book(self, order: ExchangeOrder, qty: Decimal, price: Decimal) -> Decimal:
        """Change cash and position for a fill of *qty* at *price*; return the signed position after it."""
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
        """Charge the fee, in coins for a purchase and in dollars for a sale; return the fee in coins."""
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
    """Add a signed fill to the position. If the fill exceeds an opposite position, the rest opens a new one."""
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
