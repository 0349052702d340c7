"""Match the fills of one symbol at one account: lots that entries opened, and the exits that closed them. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, localcontext
from uuid import UUID

from pipeline.accounts.books.exit_reasons import exit_reason
from pipeline.model.orders import OrderSide
from pipeline.model.signals import Action
from pipeline.store.rows import Mode, Role

_ZERO = Decimal(0)
#: Quantities have at most nine decimals.
_FINEST = Decimal("0.000000001")
# Enough digits that no product or sum of a price and a quantity is rounded.
_DIGITS = 100


@dataclass(frozen=True, kw_only=True)
class BookFill:
    """One fill, with the execution whose order was filled."""

    fill_id: str
    execution_id: UUID
    signal_id: UUID
    executor_id: str
    mode: Mode
    role: Role
    #: Empty for a signal without a strategy.
    strategy: str
    side: OrderSide
    #: Above zero, whatever the side.
    quantity: Decimal
    #: None if the broker gave none.
    price: Decimal | None
    filled_at: datetime
    #: The quantity of the lots that an exit closes: above *quantity* if the broker took a fee out of the coins.
    closes: Decimal
    #: Of the signal; if the exit is a further try, of the signal of its first try.
    source: str
    action: Action
    by_person: bool
    #: Whether a limit, and not a person, asked to close everything.
    by_limit: bool

    @property
    def exit_reason(self) -> str:
        """Return why the fill closes a position, if it does, as one plain word."""
        return exit_reason(source=self.source, action=self.action, by_person=self.by_person, by_limit=self.by_limit)

    @property
    def sign(self) -> int:
        """Return 1 for a purchase and -1 for a sale."""
        return 1 if self.side is OrderSide.BUY else -1


@dataclass(kw_only=True)
class OpenLot:
    """The part of one fill that is still open."""

    fill: BookFill
    #: Signed: below zero is short.
    quantity: Decimal


@dataclass(frozen=True, kw_only=True)
class ClosedPart:
    """A part of one exit's fill, and the part of the lot that it closed."""

    #: None: the record has no entry that opened what the exit closed.
    entry: BookFill | None
    exit: BookFill
    #: The quantity that was traded, with the lot's sign.
    quantity: Decimal
    #: The coins that the broker had taken out of the lot, with the lot's sign.
    fee: Decimal


class SymbolBook:
    """The open lots of one symbol at one account, by strategy. The lots of one strategy are all long or all short."""

    def __init__(self, lots: Iterable[tuple[OpenLot, datetime]] = ()) -> None:
        """*lots* are those that are open already, the oldest first, each with the `held_since` of its strategy."""
        self._lots: dict[str, deque[OpenLot]] = {}
        self._held_since: dict[str, datetime] = {}
        for lot, since in lots:
            self._lots.setdefault(lot.fill.strategy, deque()).append(lot)
            self._held_since[lot.fill.strategy] = since

    def held_since(self, strategy: str) -> datetime:
        """Return since when *strategy* has had open lots without a break."""
        return self._held_since[strategy]

    def lots(self) -> Iterator[OpenLot]:
        """Yield the open lots, each strategy's oldest first."""
        for lots in self._lots.values():
            yield from lots

    @property
    def is_flat(self) -> bool:
        """Return whether no lot is open."""
        return not self._lots

    def add(self, fill: BookFill) -> list[ClosedPart]:
        """Book *fill*; fills come in the order of their time. Return what it closed, the oldest lots first.

        An exit closes the lots of its own strategy, then those of others. An entry closes the lots of its own strategy
        on the other side, and opens a lot with the rest. If an exit closes more than all lots, the surplus was
        not opened by us.
        """
        with localcontext(prec=_DIGITS):
            closes = fill.quantity if fill.role is Role.ENTRY else fill.closes
            sales = _Sales(fill, max(closes, fill.quantity))
            matches = [match for strategy in self._closed_by(fill) for match in self._close(strategy, sales)]
            if sales.left and fill.role is Role.ENTRY:
                self._open(fill, sales.left)
            elif (rest := sales.rest()) > 0:
                matches.append(ClosedPart(entry=None, exit=fill, quantity=-fill.sign * rest, fee=_ZERO))
            return matches

    def _closed_by(self, fill: BookFill) -> list[str]:
        """Return the strategies whose lots *fill* closes, in the order in which it closes them."""
        if fill.role is not Role.ENTRY:
            since = self._held_since
            order = sorted(since, key=lambda name: (name != fill.strategy, since[name], name))
        else:
            order = [fill.strategy]
        return [name for name in order if name in self._lots and self._lots[name][0].quantity * fill.sign < 0]

    def _close(self, strategy: str, sales: _Sales) -> Iterator[ClosedPart]:
        lots = self._lots[strategy]
        while lots and sales.left:
            lot = lots[0]
            part = min(abs(lot.quantity), sales.left)
            sold = sales.take(part)
            lot.quantity += sales.fill.sign * part
            sign = -sales.fill.sign
            yield ClosedPart(entry=lot.fill, exit=sales.fill, quantity=sign * sold, fee=sign * (part - sold))
            if not lot.quantity:
                lots.popleft()
        if not lots:
            del self._lots[strategy], self._held_since[strategy]

    def _open(self, fill: BookFill, quantity: Decimal) -> None:
        self._held_since.setdefault(fill.strategy, fill.filled_at)
        self._lots.setdefault(fill.strategy, deque()).append(OpenLot(fill=fill, quantity=fill.sign * quantity))


class _Sales:
    """Divides the traded quantity of a fill among the lots that it closes, in proportion to what it closes of each."""

    def __init__(self, fill: BookFill, closes: Decimal) -> None:
        self.fill = fill
        self._closes = closes
        self._sold = _ZERO
        #: The quantity that is left to close.
        self.left = closes

    def take(self, part: Decimal) -> Decimal:
        """Close *part*, and return the quantity that was traded for it; the rest of *part* is the fee."""
        self.left -= part
        closed = self._closes - self.left
        # Rounded as a running sum, so that the parts add up to the fill's quantity.
        sold = closed if self._closes == self.fill.quantity else self._whole(closed)
        taken, self._sold = sold - self._sold, sold
        return taken

    def rest(self) -> Decimal:
        """Return the traded quantity for which there was no lot."""
        return self.fill.quantity - self._sold

    def _whole(self, closed: Decimal) -> Decimal:
        if closed == self._closes:
            return self.fill.quantity
        return (self.fill.quantity * closed / self._closes).quantize(_FINEST)
