"""The exchange's state: accounts, orders, prices, and the changes that are not yet in the journal."""

import hashlib
import hmac
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from workers.exchange.account_records import EquityPoint
from workers.exchange.accounts import ExchangeAccount, ExchangeTransfer, Fill
from workers.exchange.assets import AssetList, asset_id
from workers.exchange.clock import SessionClock
from workers.exchange.money import Totals, totals
from workers.exchange.orders import ExchangeOrder
from workers.exchange.refusals import bad_parameter, not_found
from workers.exchange.wire import order_json
from workers.exchange.wire_events import event_json

_NANO = 1_000_000_000
_MOST_ACCOUNTS = 1000
_LONGEST_KEY = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeUpdate:
    """One message for the account's trade-update stream, with the order as it was at the event."""

    account: str
    message: dict[str, Any]


@dataclass(slots=True)
class Changes:
    """The changes since the journal was last written, and the events and steps that follow once they are written."""

    accounts: dict[str, ExchangeAccount] = field(default_factory=dict)
    orders: dict[str, ExchangeOrder] = field(default_factory=dict)
    #: (account, symbol) of changed positions.
    positions: set[tuple[str, str]] = field(default_factory=set)
    fills: list[Fill] = field(default_factory=list)
    transfers: list[ExchangeTransfer] = field(default_factory=list)
    points: list[EquityPoint] = field(default_factory=list)
    prices: set[str] = field(default_factory=set)
    settings: dict[str, str] = field(default_factory=dict)
    events: list[TradeUpdate] = field(default_factory=list)
    #: Pairs of an order's id and the seconds after which `settlement.advance` does the order's next step.
    advance_later: list[tuple[str, float]] = field(default_factory=list)

    def __bool__(self) -> bool:
        """Return whether anything must be written, published or done later."""
        return bool(
            self.accounts or self.orders or self.positions or self.fills or self.transfers or self.points
            or self.prices or self.settings or self.events or self.advance_later
        )  # fmt: skip


class Venue:
    """The exchange's whole state. Its methods are synchronous and must be called from one thread."""

    def __init__(self, clock: SessionClock, *, listed_only: bool = False) -> None:
        self.clock = clock
        self.listed_only = listed_only
        self.assets = AssetList(listed_only=listed_only)
        self.accounts: dict[str, ExchangeAccount] = {}
        self.orders: dict[str, ExchangeOrder] = {}
        #: The open orders of all accounts by symbol. A new price may fill them.
        self.book: dict[str, dict[str, ExchangeOrder]] = {}
        #: Prices set by an admin; they hold until the admin removes them.
        self.pinned: dict[str, Decimal] = {}
        #: The last price seen: a bar's close, or the first limit price of a symbol that had no price.
        self.last: dict[str, Decimal] = {}
        #: The prices before the current bar.
        self.previous: dict[str, Decimal] = {}
        #: Accounts whose stream is open. Events of other accounts are dropped.
        self.listeners: set[str] = set()
        self.changes = Changes()
        self._seq = 0
        self._last_ns = 0

    def next_time(self, now_ns: int) -> int:
        """Return *now_ns*, or the nanosecond after the last returned time if that is later: no time is used twice."""
        self._last_ns = max(now_ns, self._last_ns + 1)
        return self._last_ns

    def next_seq(self) -> int:
        """Return the number of the next order in the sequence of submissions."""
        self._seq += 1
        return self._seq

    def price(self, symbol: str) -> Decimal | None:
        """Return the price at which *symbol* trades now; None when it has none."""
        return self.pinned.get(symbol) or self.last.get(symbol)

    def totals(self, account: ExchangeAccount) -> Totals:
        """Return the figures of *account* at the current prices."""
        return totals(account, self.price)

    def authenticate(self, key: str, secret: str, now_ns: int) -> ExchangeAccount | None:
        """Return the account of *key*, opened at its first use; None if the secret is wrong or it is refused."""
        hashed = hashlib.sha256(secret.encode()).hexdigest()
        account = self.accounts.get(key)
        if account is None:
            # Any program on the machine can use any key, and must not fill the disk with accounts.
            if len(self.accounts) >= _MOST_ACCOUNTS or len(key) > _LONGEST_KEY:
                return None
            account = self.open_account(key, now_ns)
        if not account.secret_hash:
            account.secret_hash = hashed
            self.changes.accounts[key] = account
        return account if hmac.compare_digest(account.secret_hash, hashed) and not account.refused else None

    def open_account(self, key: str, now_ns: int) -> ExchangeAccount:
        """Open an account for *key*. The first secret that is used with the key becomes its secret."""
        account = ExchangeAccount(key=key, secret_hash="", created_ns=now_ns)
        self.accounts[key] = account
        self.changes.accounts[key] = account
        return account

    def move_cash(self, account: ExchangeAccount, amount: Decimal, at_ns: int, *, day_only: bool = False) -> None:
        """Pay in *amount*; a negative amount is paid out. `last_equity`, the last close's equity, does not change."""
        account.cash += amount
        account.contributed += amount
        transfer = ExchangeTransfer(
            id=str(uuid.uuid4()), account=account.key, amount=amount, at_ns=at_ns, day_only=day_only
        )  # fmt: skip
        account.transfers.append(transfer)
        self.changes.transfers.append(transfer)
        self.changes.accounts[account.key] = account

    def add(self, account: ExchangeAccount, order: ExchangeOrder) -> None:
        """Add a new or reloaded order to the indexes."""
        self.orders[order.id] = order
        account.orders.append(order)
        account.by_client_id[order.client_order_id] = order
        self._seq = max(self._seq, order.seq)
        self._last_ns = max(self._last_ns, order.submitted_ns)
        if order.is_open:
            account.add_open_order(order)
            self.book.setdefault(order.symbol, {})[order.id] = order

    def remove(self, order: ExchangeOrder) -> None:
        """Remove an ended or replaced order from the books."""
        self.accounts[order.account].remove_open_order(order)
        self.changes.accounts[order.account] = self.accounts[order.account]
        self.book.get(order.symbol, {}).pop(order.id, None)

    def restore(self, order: ExchangeOrder, *, held: Decimal, reserved: Decimal) -> None:
        """Put a removed order back into the books, with the quantity and buying power that it held."""
        order.held, order.reserved = held, reserved
        self.accounts[order.account].add_open_order(order)
        self.book.setdefault(order.symbol, {})[order.id] = order

    def mark_changed(self, order: ExchangeOrder, now_ns: int) -> None:
        """Mark *order* as changed, for the journal."""
        order.updated_ns = max(now_ns, order.updated_ns)
        self.changes.orders[order.id] = order

    def add_event(self, order: ExchangeOrder, event: str, now_ns: int, fill: Fill | None = None) -> None:
        """If the account's stream is open, add *event* to it, with the current state of the order."""
        if order.account not in self.listeners:
            return
        position = self.accounts[order.account].quantity(order.symbol)
        written = self.order_json(order, nested=True)
        message = event_json(event, order, written, now_ns, fill=fill, position_qty=position)
        self.changes.events.append(TradeUpdate(account=order.account, message=message))

    def order_json(self, order: ExchangeOrder, *, nested: bool = False) -> dict[str, Any]:
        """Return *order* as the broker writes it, with its legs when *nested*."""
        legs = [self.orders[leg] for leg in order.legs] if nested else []
        return order_json(order, legs, asset_id=asset_id(order.symbol))

    def order(self, account: ExchangeAccount, order_id: str) -> ExchangeOrder:
        """Return the account's order; refuse what is not an id, or the id of another account's order."""
        try:
            wanted = str(uuid.UUID(order_id))
        except ValueError:
            raise bad_parameter("order_id is missing") from None
        order = self.orders.get(wanted)
        if order is None or order.account != account.key:
            raise not_found(f"order not found for {order_id}")
        return order

    def moment(self, now_ns: int) -> datetime:
        """Return *now_ns* as a datetime in UTC."""
        return datetime.fromtimestamp(now_ns / _NANO, UTC)

    def day_ends_ns(self, now_ns: int) -> int:
        """Return the expiry of a `day` order placed now. While the clock is always open, the exchange expires none."""
        return int(self.clock.day_ends(self.moment(now_ns)).timestamp()) * _NANO
