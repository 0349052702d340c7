"""Compare an account's open orders and positions at the broker with the record. Pure."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from pipeline.accounts.exposure import position_value
from pipeline.model.account import Position
from pipeline.model.findings import Difference, FindingKind
from pipeline.model.orders import BrokerOrder, is_our_order
from pipeline.model.reasons import storable
from pipeline.model.symbols import AssetClass, asset_class
from workers.rules.coin_fees import is_a_fee

#: A symbol in which we did something within this time is not compared yet: the broker's reads and reports of fills lag.
SETTLES: Final = timedelta(seconds=5)
# The broker takes no order of coins that are worth less, in dollars.
_DUST = Decimal(10)
_ZERO = Decimal(0)
#: The id of a stop that tradewire has placed again for its owner begins with this, and ends with the id of the old one.
RESTORED: Final = "restored-"


@dataclass(frozen=True, kw_only=True)
class RecordedOrder:
    """An order that is open in the record."""

    order_id: str
    symbol: str
    side: str
    quantity: Decimal
    filled_quantity: Decimal
    #: When we last sent it, requested its cancel, or received a fill.
    changed_at: datetime


@dataclass(frozen=True, kw_only=True)
class RecordedPosition:
    """The quantity that all strategies hold of a symbol, and how much our orders may still change it."""

    symbol: str
    quantity: Decimal = _ZERO
    changed_at: datetime | None = None
    may_buy: Decimal = _ZERO
    may_sell: Decimal = _ZERO

    def explains(self, difference: Decimal, *, settled_before: datetime) -> bool:
        """Return whether a fill that was recorded a moment ago, or is not recorded yet, may explain *difference*."""
        recent = self.changed_at is not None and self.changed_at >= settled_before
        return recent or -self.may_sell <= difference <= self.may_buy


@dataclass(frozen=True, kw_only=True)
class ComparedPositions:
    """The result of a comparison of positions."""

    differences: tuple[Difference, ...]
    #: The symbols that show a difference which our own orders may explain.
    undecided: frozenset[str]


def compare_positions(
    positions: Sequence[Position],
    recorded: Iterable[RecordedPosition],
    *,
    settled_before: datetime,
    all_readable: bool,
) -> ComparedPositions:
    """Compare the broker's *positions* with the *recorded* ones, which were read after them.

    Args:
        positions: The positions that could be read.
        recorded: The positions in the record.
        settled_before: A symbol in which we did something at that time or later is not compared.
        all_readable: Every row of the broker's list could be read. If not, a missing position proves nothing.
    """
    read, known = {each.symbol: each for each in positions}, {each.symbol: each for each in recorded}
    differences: list[Difference] = []
    undecided: set[str] = set()
    for symbol in sorted({*read, *known}):
        position, ours = read.get(symbol), known.get(symbol, RecordedPosition(symbol=symbol))
        at_broker = _ZERO if position is None else position.quantity
        difference = at_broker - ours.quantity
        if difference == 0 or _is_expected(symbol, position, ours.quantity, difference):
            continue
        if ours.explains(difference, settled_before=settled_before) or (position is None and not all_readable):
            undecided.add(symbol)
            continue
        kind = FindingKind.POSITION_QUANTITY if ours.quantity else FindingKind.FOREIGN_POSITION
        figures = {"broker": at_broker, "record": ours.quantity, "difference": difference}
        facts = {name: format(figure.normalize(), "f") for name, figure in figures.items()}
        differences.append(Difference(kind=kind, symbol=symbol, facts=facts))
    return ComparedPositions(differences=tuple(differences), undecided=frozenset(undecided))


def foreign_orders(
    orders: Sequence[BrokerOrder], *, unknown: Collection[str], known: Collection[str]
) -> Iterator[Difference]:
    """Yield the open *orders* that are not ours, and those with an id of ours that are *unknown* to the record.

    *known* are the broker's ids of replacements of our orders, and of orders that a person has adopted. *unknown* and
    *known* are ids of the broker.
    """
    for order in orders:
        if order.order_id in known or _restores_one_of(order, known):
            continue
        if order.order_id in unknown:
            yield _of_order(FindingKind.UNKNOWN_ORDER, order)
        elif not is_our_order(order.client_order_id):
            yield _of_order(FindingKind.FOREIGN_ORDER, order)


def restored_orders(orders: Sequence[BrokerOrder], *, known: Collection[str]) -> Iterator[Difference]:
    """Yield the open stops that tradewire has placed again in the place of *known* orders. They have to become known.

    When such a stop is canceled and placed again, the id of the new one leads to it, and not to the first.
    """
    for order in orders:
        if order.order_id not in known and _restores_one_of(order, known):
            yield _of_order(FindingKind.FOREIGN_ORDER, order)


def shrunken_orders(
    orders: Mapping[str, BrokerOrder], recorded: Iterable[RecordedOrder], *, settled_before: datetime
) -> Iterator[Difference]:
    """Yield our open orders of which the broker reports a smaller filled quantity than the record has."""
    for ours in recorded:
        listed = orders.get(ours.order_id)
        if listed is None or ours.changed_at >= settled_before or ours.filled_quantity <= listed.filled_quantity:
            continue
        facts = {
            "broker": format(listed.filled_quantity, "f"),
            "record": format(ours.filled_quantity, "f"),
            "order_id": ours.order_id,
        }
        yield Difference(kind=FindingKind.FILLED_QUANTITY, symbol=ours.symbol, order_id=ours.order_id, facts=facts)


def gone(ours: RecordedOrder) -> Difference:
    """Return the difference that the broker does not know an order which is open in the record."""
    facts = {"side": ours.side, "quantity": format(ours.quantity, "f"), "order_id": ours.order_id}
    return Difference(kind=FindingKind.ORDER_GONE, symbol=ours.symbol, order_id=ours.order_id, facts=facts)


def _restores_one_of(order: BrokerOrder, known: Collection[str]) -> bool:
    """Return whether tradewire placed *order* for the owner of a stop that it had to cancel."""
    name = order.client_order_id
    return name.startswith(RESTORED) and name.removeprefix(RESTORED) in known


def _of_order(kind: FindingKind, order: BrokerOrder) -> Difference:
    prices = {name: order.terms[name] for name in ("type", "limit_price", "stop_price") if order.terms.get(name)}
    figures = {
        "side": order.side.value,
        # An order may be for an amount of money instead.
        "quantity": "" if order.quantity is None else format(order.quantity, "f"),
        **prices,
        "client_order_id": order.client_order_id,
        "order_id": order.order_id,
    }
    facts = {name: storable(str(figure)) for name, figure in figures.items() if figure != ""}
    return Difference(kind=kind, symbol=order.symbol, order_id=order.order_id, facts=facts)


def _is_expected(symbol: str, position: Position | None, recorded: Decimal, difference: Decimal) -> bool:
    """Return whether the broker's fee in coins explains *difference*, or it is too small for an order of coins."""
    if asset_class(symbol) is not AssetClass.CRYPTO or position is None or not position.quantity:
        return False
    if is_a_fee(recorded, position.quantity):
        return True
    value = position_value(position)
    return value > 0 and abs(difference / position.quantity) * value < _DUST
