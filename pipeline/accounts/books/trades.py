"""Sum up what exits closed as trades, with their profit. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Context, Decimal, localcontext
from uuid import NAMESPACE_OID, UUID, uuid5

from pipeline.accounts.books.lots import ClosedPart
from pipeline.store.rows import Mode

_ZERO = Decimal(0)
# Enough digits that no product or sum of a price and a quantity is rounded.
_DIGITS = 100
# A quotient may have no end.
_QUOTIENT = Context(prec=28)


@dataclass(frozen=True, kw_only=True)
class Trade:
    """The part of one entry that one exit closed; without an entry, what it closed that no entry of ours had opened."""

    #: The same whenever the trade is computed again.
    trade_id: UUID
    executor_id: str
    mode: Mode
    #: The entry's; the exit's if there is no entry.
    strategy: str
    #: The entry's.
    signal_id: UUID | None
    entry_execution_id: UUID | None
    exit_execution_id: UUID
    #: Below zero is short.
    quantity: Decimal
    #: Averages of the matched parts, weighted with their quantities; None if a price is not known.
    entry_price: Decimal | None
    exit_price: Decimal | None
    #: The sum of the known fees.
    fees: Decimal
    #: The profit before fees; below zero is a loss. None if a price is not known.
    realised: Decimal | None
    opened_at: datetime | None
    closed_at: datetime
    exit_reason: str


def trades_of(matches: Iterable[ClosedPart]) -> list[Trade]:
    """Return one trade for each pair of an entry and an exit, in the order of their first match."""
    pairs: dict[tuple[UUID | None, UUID], list[ClosedPart]] = {}
    for match in matches:
        entry = None if match.entry is None else match.entry.execution_id
        pairs.setdefault((entry, match.exit.execution_id), []).append(match)
    with localcontext(prec=_DIGITS):
        return [_trade(parts) for parts in pairs.values()]


def _trade(parts: Sequence[ClosedPart]) -> Trade:
    entry, last = parts[0].entry, parts[-1].exit
    entries = [part.entry for part in parts if part.entry is not None]
    entry_id = None if entry is None else entry.execution_id
    return Trade(
        trade_id=uuid5(NAMESPACE_OID, f"trade {entry_id} {last.execution_id}"),
        executor_id=last.executor_id,
        mode=last.mode,
        strategy=(entry or last).strategy,
        signal_id=None if entry is None else entry.signal_id,
        entry_execution_id=entry_id,
        exit_execution_id=last.execution_id,
        quantity=sum((part.quantity for part in parts), _ZERO),
        entry_price=_average([(None if part.entry is None else part.entry.price, part.quantity) for part in parts]),
        exit_price=_average([(part.exit.price, part.quantity) for part in parts]),
        fees=_fees(parts),
        realised=_realised(parts),
        opened_at=min((each.filled_at for each in entries), default=None),
        closed_at=max(part.exit.filled_at for part in parts),
        exit_reason=last.exit_reason,
    )


def _average(parts: Sequence[tuple[Decimal | None, Decimal]]) -> Decimal | None:
    value = quantity = _ZERO
    for price, part in parts:
        if price is None:
            return None
        value, quantity = value + price * part, quantity + part
    return _QUOTIENT.divide(value, quantity) if quantity else None


def _fees(parts: Sequence[ClosedPart]) -> Decimal:
    """Return the value of the coins that the broker took, at the price of their purchase."""
    return sum((abs(each.fee) * each.entry.price for each in parts if each.entry and each.entry.price), _ZERO)


def _realised(parts: Sequence[ClosedPart]) -> Decimal | None:
    total = _ZERO
    for part in parts:
        if part.entry is None or part.entry.price is None or part.exit.price is None:
            return None
        total += (part.exit.price - part.entry.price) * part.quantity
    return total
