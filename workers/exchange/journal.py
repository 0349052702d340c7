"""Write every change to a file before the request is answered, and read the file back at the next start.

Each transaction contains all changes since the previous one, so the file always holds a state that the exchange had.
The write-ahead log is not forced to the disk at every commit. So the changes survive the death of the process at any
time, but the last ones may not survive a loss of power. That is enough for a paper exchange.
"""

import fcntl
import json
import sqlite3
from decimal import Decimal
from pathlib import Path
from typing import IO, Any, TypeVar

from pydantic import TypeAdapter

from pipeline.model.errors import NotPossible
from pipeline.startup.locks import open_lock
from workers.exchange.account_records import EquityPoint
from workers.exchange.accounts import ExchangeAccount, ExchangePosition, ExchangeTransfer, Fill
from workers.exchange.orders import ExchangeOrder
from workers.exchange.venue import Changes, Venue

_SCHEMA = """
CREATE TABLE IF NOT EXISTS accounts (key TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS orders (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, account TEXT NOT NULL,
    client_order_id TEXT NOT NULL, body TEXT NOT NULL, UNIQUE (account, client_order_id)
);
CREATE TABLE IF NOT EXISTS positions (
    account TEXT, symbol TEXT, is_crypto INTEGER NOT NULL, qty TEXT NOT NULL, cost TEXT NOT NULL,
    PRIMARY KEY (account, symbol)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS fills (seq INTEGER PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS transfers (seq INTEGER PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS equity (seq INTEGER PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS prices (
    symbol TEXT PRIMARY KEY, pinned TEXT, last TEXT, previous TEXT
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""
_Value = TypeVar("_Value")
_TABLES = ("accounts", "orders", "positions", "fills", "transfers", "equity", "prices", "settings")
_ORDER = """
INSERT INTO orders (seq, id, account, client_order_id, body) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (seq) DO UPDATE SET body = excluded.body
"""
_ORDERS = TypeAdapter(ExchangeOrder)
_FILLS = TypeAdapter(Fill)
_TRANSFERS = TypeAdapter(ExchangeTransfer)
_POINTS = TypeAdapter(EquityPoint)
_ACCOUNT_AMOUNTS = ("cash", "last_equity", "last_maintenance", "contributed", "fees")
_ACCOUNT_REST = (
    "secret_hash", "created_ns", "refused", "trading_blocked", "shorting_enabled", "liquidation_only",
    "configurations", "watchlists",
)  # fmt: skip


class ExchangeJournal:
    """The exchange's file, `exchange.sqlite3` in its home. Only one process can open it."""

    def __init__(self, home: Path) -> None:
        """Open the file, or create it.

        Raises:
            NotPossible: another exchange runs in this home, or the file cannot be written.
        """
        home.mkdir(parents=True, exist_ok=True)
        self._lock = _lock(home / "exchange.lock")
        try:
            file = home / "exchange.sqlite3"
            # SQLite gives its other files the mode of this one. A user who may read them could also lock them.
            file.touch(mode=0o600)
            for each in home.glob(f"{file.name}*"):
                each.chmod(0o600)
            self._db = sqlite3.connect(file, isolation_level=None)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.executescript(_SCHEMA)
        except (sqlite3.Error, OSError) as error:
            raise NotPossible(f"the exchange's journal in {home} cannot be written: {error}") from error

    def write(self, changes: Changes, venue: Venue) -> None:
        """Commit *changes*, with the current values of *venue*."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._write(changes, venue)
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def load(self, venue: Venue) -> dict[str, str]:
        """Load the file into an empty *venue*, and return the settings."""
        for key, body in self._db.execute("SELECT key, body FROM accounts"):
            venue.accounts[key] = _account(key, body)
        for account, symbol, is_crypto, qty, cost in self._db.execute("SELECT * FROM positions"):
            venue.accounts[account].positions[symbol] = ExchangePosition(
                symbol=symbol, is_crypto=bool(is_crypto), qty=Decimal(qty), cost=Decimal(cost)
            )
        for (body,) in self._db.execute("SELECT body FROM orders ORDER BY seq"):
            order = _ORDERS.validate_json(body)
            venue.add(venue.accounts[order.account], order)
        for (body,) in self._db.execute("SELECT body FROM fills ORDER BY seq"):
            fill = _FILLS.validate_json(body)
            venue.accounts[fill.account].fills.append(fill)
        for (body,) in self._db.execute("SELECT body FROM transfers ORDER BY seq"):
            transfer = _TRANSFERS.validate_json(body)
            venue.accounts[transfer.account].transfers.append(transfer)
        for (body,) in self._db.execute("SELECT body FROM equity ORDER BY seq"):
            point = _POINTS.validate_json(body)
            venue.accounts[point.account].points.append(point)
        for symbol, *prices in self._db.execute("SELECT symbol, pinned, last, previous FROM prices"):
            for known, price in zip((venue.pinned, venue.last, venue.previous), prices, strict=True):
                if price is not None:
                    known[symbol] = Decimal(price)
        return dict(self._db.execute("SELECT name, value FROM settings").fetchall())

    def clear(self) -> None:
        """Delete everything but the settings."""
        self._db.execute("BEGIN IMMEDIATE")
        for table in _TABLES[:-1]:
            self._db.execute(f"DELETE FROM {table}")  # noqa: S608 - our own table names
        self._db.execute("COMMIT")

    def close(self) -> None:
        """Close the file and release its lock."""
        self._db.close()
        self._lock.close()

    def _write(self, changes: Changes, venue: Venue) -> None:
        many = self._db.executemany
        many(
            "INSERT OR REPLACE INTO accounts (key, body) VALUES (?, ?)",
            [(account.key, _account_row(account)) for account in changes.accounts.values()],
        )
        many(_ORDER, [(o.seq, o.id, o.account, o.client_order_id, _json(_ORDERS, o)) for o in changes.orders.values()])
        for key, symbol in changes.positions:
            position = venue.accounts[key].positions.get(symbol)
            if position is None:
                self._db.execute("DELETE FROM positions WHERE account = ? AND symbol = ?", (key, symbol))
            else:
                row = (key, symbol, position.is_crypto, str(position.qty), str(position.cost))
                self._db.execute("INSERT OR REPLACE INTO positions VALUES (?, ?, ?, ?, ?)", row)
        many("INSERT INTO fills (body) VALUES (?)", [(_json(_FILLS, fill),) for fill in changes.fills])
        many("INSERT INTO transfers (body) VALUES (?)", [(_json(_TRANSFERS, each),) for each in changes.transfers])
        many("INSERT INTO equity (body) VALUES (?)", [(_json(_POINTS, each),) for each in changes.points])
        prices = [
            (s, _text(venue.pinned.get(s)), _text(venue.last.get(s)), _text(venue.previous.get(s)))
            for s in changes.prices
        ]
        many("INSERT OR REPLACE INTO prices VALUES (?, ?, ?, ?)", prices)
        many("INSERT OR REPLACE INTO settings VALUES (?, ?)", list(changes.settings.items()))


def _text(value: Decimal | None) -> str | None:
    return None if value is None else str(value)


def _json(adapter: TypeAdapter[_Value], value: _Value) -> str:
    return adapter.dump_json(value).decode()


def _account_row(account: ExchangeAccount) -> str:
    names = (*_ACCOUNT_AMOUNTS, *_ACCOUNT_REST)
    return json.dumps({name: getattr(account, name) for name in names}, default=str)


def _account(key: str, body: str) -> ExchangeAccount:
    row: dict[str, Any] = json.loads(body)
    return ExchangeAccount(key=key, **row | {name: Decimal(row[name]) for name in _ACCOUNT_AMOUNTS if name in row})


def _lock(path: Path) -> IO[str]:
    """Lock *path* until the file is closed or this process ends, even by SIGKILL."""
    lock = open_lock(path)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise NotPossible(f"another exchange runs in {path.parent}") from None
    return lock
