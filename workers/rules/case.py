"""The inputs and the results of a decision: plain values."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from config.schema.executor import ExecutorSettings
from pipeline.accounts.exposure import Book, StrategyHolding
from pipeline.accounts.losses import EquityBaseline
from pipeline.model.account import Account, Asset, Position, Quote
from pipeline.model.findings import OPEN_GATE, EntryGate
from pipeline.model.orders import BrokerOrder, OrderSide
from pipeline.model.reasons import Reason
from pipeline.model.switches import Switch
from pipeline.store.rows import OrderUnderWay, Role, SignalRow
from workers.brokers.protocol import RefusalKind
from workers.rules.market_hours import Market


@dataclass(frozen=True, kw_only=True)
class Recent:
    """The account's recent orders that the limits need."""

    #: The newest order of the same strategy (or content, depending on `limits.repeat_by`), and its age.
    repeat_of: UUID | None = None
    repeat_age: timedelta | None = None
    #: Entries sent since the account's day began.
    orders_today: int = 0
    #: Entries that opened or added to the position in the symbol, or may still do so.
    entries_in_symbol: int = 0
    #: How many entries in a row the broker refused, and how long ago it refused the newest.
    rejections: int = 0
    rejected_ago: timedelta | None = None
    #: How long ago the newest entry was recorded to be sent. Entries that were certainly not sent do not count.
    tried_ago: timedelta | None = None
    #: Only for a signal that may close: whether a stop has closed its position since the signal was recorded.
    closed_by_stop: bool = False
    #: Only for an entry that opens the other side after an exit: the newest FLAT after that exit, if there is one.
    flat_since: UUID | None = None


@dataclass(frozen=True, kw_only=True)
class EntriesRefused:
    """The broker refuses every order that opens a position. One entry may be sent as a probe after *probe_in*."""

    message: str
    probe_in: timedelta


@dataclass(frozen=True, kw_only=True)
class ExitRefusal:
    """Why the broker refused the symbol's newest exit, if a change of the exit or a cancel of other orders can help."""

    #: None: the exit was not refused, or for another reason.
    kind: RefusalKind | None = None
    #: The broker's ids of the orders that it named as being in the way.
    named: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Case:
    """Everything that a decision depends on. *now* is the database's clock."""

    signal: SignalRow
    executor: ExecutorSettings
    account: Account
    #: The broker's position in the symbol; None when flat.
    position: Position | None
    asset: Asset | None
    #: Our other orders in the symbol that may still fill.
    under_way: tuple[OrderUnderWay, ...]
    #: The amount that other entries have reserved, in the account's currency.
    reserved: Decimal
    now: datetime
    #: The market's hours at *now*; None: the broker's clock could not be read.
    market: Market | None
    book: Book
    #: The holding of this signal's strategy in the symbol.
    own: StrategyHolding
    #: None: the account's day and peak have not been read yet.
    baseline: EquityBaseline | None
    switches: tuple[Switch, ...]
    recent: Recent
    #: None: the broker accepts entries.
    entries_refused: EntriesRefused | None = None
    #: The hours at *now* according to the calendar: enough to compute ages while the clock cannot be read.
    calendar: Market | None = None
    #: The market's price; None when it was not needed, or could not be read.
    price: Decimal | None = None
    #: Whether `price_drift_percent` needs it.
    price_asked: bool = False
    #: The latest bid and ask; None when they were not needed, or could not be read.
    quote: Quote | None = None
    #: The symbol's open orders of others, if they may be in the way of an exit.
    foreign: tuple[BrokerOrder, ...] = ()
    #: Whether the exit, or the first of its tries, is forced: with `order.cancel_foreign = "forced"`, only forced exits
    #: cancel *foreign* orders.
    forced: bool = False
    refused: ExitRefusal = ExitRefusal()
    #: Whether a person accepted the entry's age with the requeue.
    accept_age: bool = False
    #: Whether the last reconcile lets entries in the symbol go.
    gate: EntryGate = OPEN_GATE


@dataclass(frozen=True, kw_only=True)
class Go:
    """Send this order."""

    role: Role
    side: OrderSide
    quantity: Decimal
    type: str
    limit_price: Decimal | None
    time_in_force: str
    #: The assumed cost of one unit.
    reference_price: Decimal
    #: The possible loss if the price falls to its stop (for a short: rises), in the account's currency; 0 for an exit.
    risk: Decimal = Decimal(0)
    #: The trigger of a stop order. For an entry, the trigger of the stop order for what it fills.
    stop_price: Decimal | None = None
    #: A limit order that may trade outside regular hours.
    extended_hours: bool = False
    #: The quantity that an exit leaves to a further exit.
    rest: Decimal = Decimal(0)
    #: The quantity that an exit leaves out, since it is too small for the broker.
    dust: Decimal = Decimal(0)
    #: The quantity of the holding that an exit closes, the fee for its purchase included; None: the exit's *quantity*.
    covers: Decimal | None = None


@dataclass(frozen=True, kw_only=True)
class Skip:
    """Do not trade, for every reason that applies."""

    reasons: tuple[Reason, ...]


@dataclass(frozen=True, kw_only=True)
class Hold:
    """Do not trade now; decide again after *wait*."""

    reason: Reason
    wait: timedelta
    #: Our entries and stops that have to be canceled before an exit, by the broker's order id.
    cancel: tuple[str, ...] = ()
    #: The stop orders whose end it waits for. The worker looks them up if no keeper does.
    waits_for: tuple[OrderUnderWay, ...] = ()
    #: A person's limit closes that an exit replaces when it can trade, by the broker's order id.
    replaces: tuple[str, ...] = ()
    #: Orders that tradewire did not place and that have to be canceled before an exit.
    cancel_foreign: tuple[BrokerOrder, ...] = ()


Verdict = Go | Skip | Hold
