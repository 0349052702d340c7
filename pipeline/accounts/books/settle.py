"""Compute the books of the symbols whose fills changed, and write them into the record."""

import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any

import structlog
from psycopg import Connection
from psycopg.rows import DictRow

from pipeline.accounts.books.lots import BookFill, ClosedPart, OpenLot, SymbolBook
from pipeline.accounts.books.trades import trades_of
from pipeline.model.errors import TradewireError
from pipeline.store.query import execute, fetch_all, fetch_maybe, fetch_one, stream
from pipeline.store.record import Record
from pipeline.store.statements import sql

log = structlog.get_logger(__name__)

Key = dict[str, Any]

# The symbols whose books this process last failed to compute, with their accounts.
_failed: set[tuple[str, str]] = set()

_PATIENCE_S = 2.0
_PAUSE_S = 0.02


@dataclass(frozen=True, kw_only=True)
class _Symbol:
    account_number: str
    symbol: str


@dataclass(frozen=True, kw_only=True)
class _Change:
    #: The time of the earliest fill that changed.
    since: datetime
    version: str


@dataclass(frozen=True, kw_only=True)
class _Start:
    #: The fills until then are in the books and did not change. None: there are none.
    after: datetime | None
    #: Whether the lots of the record are those of this time. If not, no lot was open then.
    with_lots: bool


@dataclass(frozen=True, kw_only=True)
class _LotRow:
    fill_id: str
    quantity: Decimal
    price: Decimal | None
    held_since: datetime


@dataclass(frozen=True, kw_only=True)
class _Earlier:
    filled_at: datetime | None


def settle(record: Record, *, limit: int | None = None) -> int:
    """Compute the books of the symbols whose fills changed, at most *limit* of them, and return how many these were.

    Several processes may do so at once. Each symbol is one transaction; fills of it are recorded meanwhile.

    Raises:
        RecordUnavailable: PostgreSQL is away.
    """
    changed = record.all(_Symbol, sql("books", "changed"), {"limit": limit})
    for symbol in changed:
        name = (symbol.account_number, symbol.symbol)
        try:
            _settle_or_wait(record, asdict(symbol))
        except TradewireError:
            raise
        except Exception:
            # A fault in the books of one symbol must not hide those of all others.
            log.exception("books.failed", account=symbol.account_number, symbol=symbol.symbol)
            _failed.add(name)
        else:
            _failed.discard(name)
    return len(changed)


def failed_symbols() -> list[str]:
    """Return the symbols whose books the last `settle` of this process failed to compute, each with its account."""
    return [f"{symbol} ({account})" for account, symbol in sorted(_failed)]


def _settle_or_wait(record: Record, key: Key) -> None:
    """Compute the books of a symbol, or wait a moment for another process that does."""
    until = time.monotonic() + _PATIENCE_S
    while not record.run(partial(_settle_symbol, key)) and time.monotonic() < until:
        record.stopping.wait(_PAUSE_S)


def _settle_symbol(key: Key, connection: Connection[DictRow]) -> bool:
    """Compute the books of a symbol; return False if another process does so now, or it has to be repeated."""
    if not fetch_one(connection, bool, sql("books", "lock"), key):
        return False
    change = fetch_maybe(connection, _Change, sql("books", "change"), key)
    if change is None:
        return True
    execute(connection, sql("books", "allow_pauses"))
    start = _start(connection, key, change.since)
    before = fetch_all(connection, _LotRow, sql("books", "lots"), key)
    book = SymbolBook(_held(connection, key, before)) if start.with_lots else SymbolBook()
    closed, flat, through = _book_fills(connection, book, key | {"after": start.after, "fill_ids": None})
    if _start(connection, key, change.since) != start:
        # A further fill of an exit came meanwhile. Its first fills are before the start, and all make up its trades.
        return False
    trades = [key | asdict(trade) for trade in trades_of(closed)]
    execute(connection, sql("books", "allow_no_pauses"))
    execute(connection, sql("books", "delete_after"), key | {"after": start.after})
    with connection.cursor() as cursor:
        cursor.executemany(sql("books", "insert_trade"), trades)
        cursor.executemany(sql("books", "insert_flat"), [key | {"at": at} for at in flat])
    _save_lots(connection, key, book, before)
    through = through or start.after
    execute(connection, sql("books", "delete_book" if through is None else "save_book"), key | {"through": through})
    execute(connection, sql("books", "change_done"), key | {"version": change.version})
    return True


def _start(connection: Connection[DictRow], key: Key, since: datetime) -> _Start:
    """Return the latest time before *since* that no exit lies across: all fills of an exit make up its trades."""
    while True:
        start = fetch_one(connection, _Start, sql("books", "start"), key | {"since": since})
        if start.after is None:
            return start
        earlier = fetch_one(connection, _Earlier, sql("books", "earlier_part"), key | {"after": start.after})
        if earlier.filled_at is None:
            return start
        since = earlier.filled_at


def _held(connection: Connection[DictRow], key: Key, lots: Iterable[_LotRow]) -> list[tuple[OpenLot, datetime]]:
    """Return the lots of the record, with their fills."""
    rows = {lot.fill_id: lot for lot in lots}
    of_lots = key | {"after": None, "fill_ids": list(rows)}
    fills = fetch_all(connection, BookFill, sql("books", "fills"), of_lots, prepare=False)
    held = [(fill, rows[fill.fill_id]) for fill in fills]
    return [(OpenLot(fill=fill, quantity=lot.quantity), lot.held_since) for fill, lot in held]


def _book_fills(
    connection: Connection[DictRow], book: SymbolBook, values: Key
) -> tuple[list[ClosedPart], list[datetime], datetime | None]:
    """Book the fills; return what they closed, the times without an open lot, and the time of the last fill."""
    matches: list[ClosedPart] = []
    flat: list[datetime] = []
    last: datetime | None = None
    for fill in stream(connection, BookFill, sql("books", "fills"), values):
        # Between two fills of the same time, the books cannot be computed anew.
        if last is not None and book.is_flat and fill.filled_at > last:
            flat.append(last)
        matches += book.add(fill)
        last = fill.filled_at
    if last is not None and book.is_flat:
        flat.append(last)
    return matches, flat, last


def _save_lots(connection: Connection[DictRow], key: Key, book: SymbolBook, before: Iterable[_LotRow]) -> None:
    """Write the lots that differ from those of the record."""
    known = {lot.fill_id: lot for lot in before}
    lots = {lot.fill.fill_id: (lot, _lot_row(lot, book)) for lot in book.lots()}
    changed = {fill_id: lot for fill_id, (lot, now) in lots.items() if known.get(fill_id) != now}
    gone = [fill_id for fill_id in known if fill_id not in lots or fill_id in changed]
    execute(connection, sql("books", "delete_lots"), key | {"fill_ids": gone})
    values = [key | vars(lot.fill) | vars(lots[fill_id][1]) for fill_id, lot in changed.items()]
    with connection.cursor() as cursor:
        cursor.executemany(sql("books", "save_lot"), values)


def _lot_row(lot: OpenLot, book: SymbolBook) -> _LotRow:
    since = book.held_since(lot.fill.strategy)
    return _LotRow(fill_id=lot.fill.fill_id, quantity=lot.quantity, price=lot.fill.price, held_since=since)
