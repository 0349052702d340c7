"""Match the fills of one symbol at one account: lots that entries opened, and the exits that closed them. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, localcontext
from uuid import UUID

from pipeline.model.orders import OrderSide
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
    #: Why the position is closed, as one plain word, if the fill closes one.
    exit_reason: str

    @property
    def sign(self) -> int:
        """Return 1 for a purchase and -1 for a sale."""
        return 1 if self.side is OrderSide.BUY else -1


@dataclass(kw_only=True)
class Lot:
    """The part of one fill that is still open."""

    fill: BookFill
    #: Signed: below zero is short.
    quantity: Decimal


@dataclass(frozen=True, kw_only=True)
class Match:
    """A part of one exit's fill, and the part of the lot that it closed."""

    #: None: by the record, nobody opened what the exit closed.
    entry: BookFill | None
    exit: BookFill
    #: The quantity that was traded, with the lot's sign.
    quantity: Decimal
    #: The coins that the broker had taken out of the lot, with the lot's sign.
    fee: Decimal


class SymbolBook:
    """The open lots of one symbol at one account, by strategy. The lots of one strategy are all long or all short."""

    def __init__(self) -> None:
        self._lots: dict[str, deque[Lot]] = {}
        self._opened_at: dict[str, datetime] = {}

    def lots(self) -> Iterator[Lot]:
        """Yield the open lots, each strategy's oldest first."""
        for lots in self._lots.values():
            yield from lots

    @property
    def is_flat(self) -> bool:
        """Return whether no lot is open."""
        return not self._lots

    def add(self, fill: BookFill) -> list[Match]:
        """Book *fill*; fills come in the order of their time. Return what it closed, the oldest lots first.

        An exit closes the lots of its own strategy, then those of others. An entry closes the lots of its own strategy
        on the other side, and opens a lot with the rest. What an exit closes beyond all lots was not opened by us.
        """
        with localcontext(prec=_DIGITS):
            closes = fill.closes if fill.role is Role.EXIT else fill.quantity
            sales = _Sales(fill, max(closes, fill.quantity))
            matches = [match for strategy in self._closed_by(fill) for match in self._close(strategy, sales)]
            if sales.left and fill.role is Role.ENTRY:
                self._open(fill, sales.left)
            elif (rest := sales.rest()) > 0:
                matches.append(Match(entry=None, exit=fill, quantity=-fill.sign * rest, fee=_ZERO))
            return matches

    def _closed_by(self, fill: BookFill) -> list[str]:
        """Return the strategies whose lots *fill* closes, in the order in which it closes them."""
        if fill.role is Role.EXIT:
            opened_at = self._opened_at
            order = sorted(opened_at, key=lambda name: (name != fill.strategy, opened_at[name], name))
        else:
            order = [fill.strategy]
        return [name for name in order if name in self._lots and self._lots[name][0].quantity * fill.sign < 0]

    def _close(self, strategy: str, sales: _Sales) -> Iterator[Match]:
        lots = self._lots[strategy]
        while lots and sales.left:
            lot = lots[0]
            part = min(abs(lot.quantity), sales.left)
            sold = sales.take(part)
            lot.quantity += sales.fill.sign * part
            sign = -sales.fill.sign
            yield Match(entry=lot.fill, exit=sales.fill, quantity=sign * sold, fee=sign * (part - sold))
            if not lot.quantity:
                lots.popleft()
        if not lots:
            del self._lots[strategy], self._opened_at[strategy]

    def _open(self, fill: BookFill, quantity: Decimal) -> None:
        self._opened_at.setdefault(fill.strategy, fill.filled_at)
        self._lots.setdefault(fill.strategy, deque()).append(Lot(fill=fill, quantity=fill.sign * quantity))


class _Sales:
    """Divides the traded quantity of a fill among the lots that it closes, in proportion to what it closes of each."""

    def __init__(self, fill: BookFill, closes: Decimal) -> None:
        self.fill = fill
        self._closes = closes
        self._sold = _ZERO
        #: What is left to close.
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
