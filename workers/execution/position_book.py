"""Combine the positions that the broker reports with the fills and open entries that the record knows."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from psycopg import Connection
from psycopg.rows import DictRow

from pipeline.accounts.exposure import Book, Pending, StrategyHolding
from pipeline.accounts.snapshot import Snapshot
from pipeline.store.query import fetch_all
from pipeline.store.rows import ClaimedExecution, SignalRow
from pipeline.store.statements import sql

_ZERO = Decimal(0)


@dataclass(frozen=True, kw_only=True)
class BookRow:
    """One strategy's holding in a symbol according to our record, and the executor's entries in that symbol.

    Each strategy's row repeats the symbol's entries. A symbol that no strategy holds has one row.
    """

    symbol: str
    #: None: no strategy holds the symbol.
    strategy: str | None = None
    #: Signed: below zero is short.
    quantity: Decimal = _ZERO
    #: The number of entries that opened or added to the holding.
    entries: int = 0
    opened_at: datetime | None = None
    stop_price: Decimal | None = None
    #: When a fill last changed the holding.
    changed_at: datetime | None = None
    #: Whether there are entries that are open, or were filled after the positions were read. If not, the figures below
    #: are 0.
    has_entries: bool = False
    #: The signed quantity that is not filled yet, its cost, and its loss if it fell to the stops.
    open_quantity: Decimal = _ZERO
    open_value: Decimal = _ZERO
    open_risk: Decimal = _ZERO
    #: The signed quantity that was filled after the positions were read.
    fresh_quantity: Decimal = _ZERO
    #: The highest price and the highest risk of one unit in these entries.
    price: Decimal = _ZERO
    unit_risk: Decimal = _ZERO
    #: How many entries have no fill yet.
    working: int = 0


def read_book(connection: Connection[DictRow], claimed: ClaimedExecution, snapshot: Snapshot) -> list[BookRow]:
    """Return the account's holdings according to our record, and the executor's entries that may still add to them."""
    values = {
        "executor_id": claimed.executor_id,
        "execution_id": claimed.execution_id,
        "account_number": snapshot.account.number,
        "taken_at": snapshot.taken_at,
    }
    return fetch_all(connection, BookRow, sql("pre_trade_check", "book"), values)


def strategy_holding(rows: Sequence[BookRow], signal: SignalRow) -> StrategyHolding:
    """Return the holding of the signal's strategy in its symbol, and that of all strategies together."""
    here = [row for row in rows if row.symbol == signal.symbol and row.strategy is not None]
    own = next((row for row in here if row.strategy == (signal.strategy or "")), None)
    return StrategyHolding(
        quantity=_ZERO if own is None else own.quantity,
        opened_at=None if own is None else own.opened_at,
        recorded=sum((row.quantity for row in here), _ZERO),
        changed_at=max((row.changed_at for row in here if row.changed_at is not None), default=None),
        stop_price=None if own is None else own.stop_price,
        others={str(row.strategy): row.quantity for row in here if row is not own and row.quantity},
    )


def book_of(snapshot: Snapshot, rows: Sequence[BookRow]) -> Book:
    """Return the positions as read, and the quantities that our entries may add to them."""
    entries = {row.symbol: row for row in rows if row.has_entries}
    recorded: dict[str, Decimal] = {}
    for row in _open_holdings(rows):
        recorded[row.symbol] = recorded.get(row.symbol, _ZERO) + row.quantity
    read = {position.symbol: position.quantity for position in snapshot.positions}
    return Book(
        positions=snapshot.positions,
        pending=tuple(
            _pending(entries[symbol], read=read.get(symbol, _ZERO), recorded=recorded.get(symbol, _ZERO))
            for symbol in sorted(entries)
        ),
        stops=_stops(_open_holdings(rows)),
        unstopped=frozenset(row.symbol for row in _open_holdings(rows) if row.stop_price is None),
        unreadable=snapshot.unreadable,
    )


def entries_in(rows: Sequence[BookRow], symbol: str) -> int:
    """Return how many entries have opened or added to the position in *symbol*, or may still do so."""
    here = [row for row in rows if row.symbol == symbol]
    return sum(row.entries for row in _open_holdings(here)) + max((row.working for row in here), default=0)


def _open_holdings(rows: Sequence[BookRow]) -> list[BookRow]:
    """Return the holdings that are open. A row of a closed holding only shows the time of its last fill."""
    return [row for row in rows if row.strategy is not None and row.quantity]


def _stops(rows: Sequence[BookRow]) -> dict[str, Decimal]:
    """Return each symbol's stop. If strategies have different stops, the farthest counts, so that no risk is missed."""
    stops: dict[str, Decimal] = {}
    for row in rows:
        if row.stop_price is not None:
            farther = min if row.quantity > 0 else max
            stops[row.symbol] = farther(stops.get(row.symbol, row.stop_price), row.stop_price)
    return stops


def _pending(entry: BookRow, *, read: Decimal, recorded: Decimal) -> Pending:
    """Return what our entries may add to the position as *read*: never too little.

    A fill may count twice, in the position and here, but only if a part of the position is not ours.
    """
    # If the whole position is ours, the record is ahead of the reading by exactly the missing quantity.
    all_ours = read * recorded >= 0 and abs(read) <= abs(recorded)
    unseen = recorded - read if all_ours else entry.fresh_quantity
    return Pending(
        symbol=entry.symbol,
        quantity=unseen + entry.open_quantity,
        value=abs(unseen) * entry.price + entry.open_value,
        risk=abs(unseen) * entry.unit_risk + entry.open_risk,
    )
