"""What a decision depends on, and what it may be: plain values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from config.schema.executor import ExecutorSettings
from pipeline.accounts.exposure import Book, Own
from pipeline.accounts.losses import EquityBaseline
from pipeline.model.account import Account, Asset, Position
from pipeline.model.orders import OrderSide
from pipeline.model.reasons import Reason
from pipeline.model.switches import Switch
from pipeline.store.rows import OrderRow, Role, SignalRow
from workers.rules.market_hours import Market


@dataclass(frozen=True, kw_only=True)
class Recent:
    """What this executor did lately, as far as the rules ask."""

    #: The youngest order of the same idea (or content, as `limits.repeat_by` says), and its age.
    repeat_of: UUID | None = None
    repeat_age: timedelta | None = None
    #: Entries sent since the account's day began.
    orders_today: int = 0
    #: Entries that the position in the symbol is built from, working ones included.
    entries_in_symbol: int = 0
    #: Orders that the broker refused in a row, and how long ago it refused the newest.
    rejections: int = 0
    rejected_ago: timedelta | None = None
    #: How long ago the newest entry was written down to be sent, whatever became of it.
    tried_ago: timedelta | None = None


@dataclass(frozen=True, kw_only=True)
class Case:
    """All that a decision depends on. *now* is the database's clock."""

    signal: SignalRow
    executor: ExecutorSettings
    account: Account
    #: The broker's position in the symbol; None when flat.
    position: Position | None
    asset: Asset | None
    #: Our other orders in the symbol that may still fill.
    under_way: tuple[OrderRow, ...]
    #: What other entries have reserved, in the account's currency.
    reserved: Decimal
    now: datetime
    #: The market's hours at *now*; None: the broker's clock could not be read.
    market: Market | None
    book: Book
    #: What this strategy's executions hold in the symbol.
    own: Own
    #: None: nobody has read the account's day and peak yet.
    baseline: EquityBaseline | None
    switches: tuple[Switch, ...]
    recent: Recent
    #: The hours that the calendar has for *now*: good for telling ages while the clock cannot be read.
    calendar: Market | None = None
    #: The market's price, where it was asked for and could be read.
    price: Decimal | None = None
    price_asked: bool = False
    #: A person accepted the age when requeueing.
    accept_age: bool = False


@dataclass(frozen=True, kw_only=True)
class Go:
    """Send this order."""

    role: Role
    side: OrderSide
    quantity: Decimal
    type: str
    limit_price: Decimal | None
    time_in_force: str
    #: What one unit is taken to cost.
    reference_price: Decimal
    #: What it may lose down to its stop, in the account's currency; 0 for an exit.
    risk: Decimal = Decimal(0)
    #: A limit order that may trade outside regular hours.
    extended_hours: bool = False


@dataclass(frozen=True, kw_only=True)
class Skip:
    """Do not trade; every reason that applies."""

    reasons: tuple[Reason, ...]


@dataclass(frozen=True, kw_only=True)
class Hold:
    """Not now; look again after *wait*."""

    reason: Reason
    wait: timedelta
    #: Entries of ours that stand in the way of an exit and are to be canceled, by the broker's order id.
    cancel: tuple[str, ...] = ()


Verdict = Go | Skip | Hold
