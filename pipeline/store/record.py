"""The connection to PostgreSQL: a pool of checked connections, and idempotent units of work that may run again."""

import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from enum import Enum, auto
from typing import Final, Literal, LiteralString, Self, TypeVar

import psycopg
from psycopg import Connection
from psycopg.errors import (
    DeadlockDetected,
    IdleInTransactionSessionTimeout,
    InsufficientPrivilege,
    ReadOnlySqlTransaction,
)
from psycopg.rows import DictRow, dict_row
from psycopg_pool import ConnectionPool, PoolTimeout

from pipeline.model.backoff import Backoff
from pipeline.model.errors import MissingRights, NotPossible, RecordFull, RecordUnavailable, TradewireError
from pipeline.model.outages import Need, outage_of
from pipeline.store.connections import examine
from pipeline.store.failures import failure_of, first_line, log_refusal
from pipeline.store.query import Values, execute, fetch_all, fetch_maybe, fetch_one
from pipeline.store.rights import missing_rights

T = TypeVar("T")
Unit = Callable[[Connection[DictRow]], T]

#: Every transaction sets these for itself and not for its session: behind a pooler, the next transaction of the session
#: may be another client's.
#: Read committed, whatever the server's default: a unit that waited for a lock must see what the lock's holder wrote.
#: Our statements take milliseconds. One that takes seconds is stuck, and must not keep a row locked.
#: Times, dates and intervals in other styles could not be read.
_BEGIN: Final = (
    "BEGIN ISOLATION LEVEL READ COMMITTED; "
    "SET LOCAL statement_timeout = '10s'; SET LOCAL lock_timeout = '5s'; "
    "SET LOCAL idle_in_transaction_session_timeout = '5s'; SET LOCAL synchronous_commit = on; "
    "SET LOCAL timezone = 'UTC'; SET LOCAL datestyle = 'ISO, MDY'; SET LOCAL intervalstyle = 'postgres'"
)
# Failures that can pass while this process waits: a lost connection, a server that stops or starts, a primary that
# became a standby, a transaction of a process that was frozen, a right that a person grants. Others are bugs.
_PASSING = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    PoolTimeout,
    IdleInTransactionSessionTimeout,
    InsufficientPrivilege,
    ReadOnlySqlTransaction,
)
# The errors of libpq for a server that answers in another protocol.
_NO_POSTGRES = ("received invalid response to SSL negotiation", "expected authentication request from server")
_BACKOFF = Backoff(first_s=0.05, longest_s=2.0)
_TRIES_OF_DEADLOCKED = 3


class Usual(Enum):
    """The default of `run`: the record's own `retry_for_s`."""

    USUAL = auto()


USUAL: Final = Usual.USUAL
RetryFor = float | None | Literal[Usual.USUAL]


class _Pool(ConnectionPool[Connection[DictRow]]):
    """A pool that remembers why it has no connection, because the pool's own timeout error does not say so."""

    failure: Exception | None = None
    #: True once a connection to PostgreSQL has succeeded.
    met = False

    def _connect(self, timeout: float | None = None) -> Connection[DictRow]:
        try:
            connection = super()._connect(timeout)
        except Exception as error:
            self.failure = error
            raise
        self.failure, self.met = None, True
        return connection


class Record:
    """PostgreSQL, used through units of work.

    A unit is a function of a connection whose writes are one transaction. The answer to a COMMIT can be lost, so
    every unit must have the same result when it runs again; `run` repeats it after every failure that passes.
    """

    def __init__(self, database_url: str, *, connections: int = 4, retry_for_s: float | None = 3.0) -> None:
        self._url = database_url
        self._retry_for_s = retry_for_s
        self._outage = outage_of(Need.RECORD, database_url)
        self.stopping = threading.Event()
        self._pool = _Pool(
            database_url,
            connection_class=Connection[DictRow],
            kwargs={
                "row_factory": dict_row,
                # `run` begins each transaction itself.
                "autocommit": True,
                "connect_timeout": 3,
                "client_encoding": "UTF8",
                # A machine that vanished sends no FIN; with these, that is noticed in about 10 s instead of two hours.
                "keepalives_idle": 5,
                "keepalives_interval": 2,
                "keepalives_count": 3,
                "tcp_user_timeout": 10_000,  # Milliseconds.
                "application_name": "tradewire",  # Shown in pg_stat_activity.
            },
            configure=examine,
            # A connection that broke while it was idle is replaced before a unit gets it.
            check=ConnectionPool.check_connection,
            # No connection is made before it is needed, so a process starts while PostgreSQL is away.
            min_size=0,
            max_size=connections,
            timeout=2.0,
            reconnect_timeout=2.0,
            max_idle=120,
            open=False,
        )
        self._pool.open(wait=False)

    def run(self, unit: Unit[T], *, retry_for_s: RetryFor = USUAL) -> T:
        """Run *unit* in one transaction; repeat it while PostgreSQL is away.

        Args:
            unit: The function to run; idempotent.
            retry_for_s: For how many seconds to try again; None means until `stopping` is set. The default is the
                value that the record was made with.

        Raises:
            RecordUnavailable: PostgreSQL stayed away for longer than *retry_for_s*, or `stopping` was set.
            MissingRights: the role lacked a right on a table for longer than that.
            NotMigrated: the database has no tables, and was not migrated in that time.
            NotPossible: this PostgreSQL is too old, or the server is not PostgreSQL.
        """
        retry_for_s = self._retry_for_s if retry_for_s is USUAL else retry_for_s
        deadline = None if retry_for_s is None else time.monotonic() + retry_for_s
        tries = 0
        while True:
            tries += 1
            pause = _BACKOFF.after(tries)
            try:
                with self._pool.connection() as connection:
                    connection.execute(_BEGIN, prepare=False)
                    value = unit(connection)
                    # Leaving the block commits too, but it ignores a connection that was closed meanwhile: the unit
                    # would be lost without an error.
                    connection.commit()
            except _PASSING as error:
                cause = self._cause(error)
                if isinstance(cause, RecordFull | MissingRights):
                    log_refusal(cause)
                else:
                    self._outage.record_failure(cause)
                over = self.stopping.is_set() or (deadline is not None and time.monotonic() + pause > deadline)
                # PostgreSQL takes a second to find a deadlock, and then ends one of the two units. It is run again.
                over = over and not (isinstance(error, DeadlockDetected) and tries < _TRIES_OF_DEADLOCKED)
                # Only a RecordUnavailable can pass while this process waits.
                if over or not isinstance(cause, RecordUnavailable):
                    raise cause from None
            else:
                self._outage.record_success()
                return value
            # Jitter, so that not all processes connect at the same moment after a restart of PostgreSQL.
            self.stopping.wait(pause * random.uniform(0.5, 1.0))  # noqa: S311 -- not a secret

    def one(self, row: type[T], statement: LiteralString, values: Values | None = None) -> T:
        """Run *statement* in a transaction of its own and return its only row; raises as `run` and `fetch_one` do."""
        return self.run(lambda connection: fetch_one(connection, row, statement, values))

    def maybe(self, row: type[T], statement: LiteralString, values: Values | None = None) -> T | None:
        """Run *statement* in a transaction of its own and return its first row or None; raises as `run` does."""
        return self.run(lambda connection: fetch_maybe(connection, row, statement, values))

    def all(self, row: type[T], statement: LiteralString, values: Values | None = None) -> list[T]:
        """Run *statement* in a transaction of its own and return its rows; raises as `run` does."""
        return self.run(lambda connection: fetch_all(connection, row, statement, values))

    def do(self, statement: LiteralString, values: Values | None = None, *, retry_for_s: RetryFor = USUAL) -> int:
        """Run *statement* in a transaction of its own; return how many rows it changed or returned. Raises as `run`."""
        return self.run(lambda connection: execute(connection, statement, values), retry_for_s=retry_for_s)

    def close(self) -> None:
        """End the repeats of every `run`, and close the connections."""
        self.stopping.set()
        self._pool.close(timeout=1.0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _cause(self, error: Exception) -> TradewireError:
        if isinstance(error, PoolTimeout) and self._pool.failure is not None:
            error = self._pool.failure
        if isinstance(error, TradewireError):
            return error
        if not self._pool.met and any(sign in str(error) for sign in _NO_POSTGRES):
            return NotPossible("the server at DATABASE_URL is not PostgreSQL")
        if isinstance(error, InsufficientPrivilege):
            return MissingRights(f"PostgreSQL: {first_line(error)}{self._missing_rights()}")
        return failure_of(error)

    # PostgreSQL's error names the table, but neither the role nor the right.
    def _missing_rights(self) -> str:
        with suppress(psycopg.Error, PoolTimeout, TradewireError), self._pool.connection() as connection:
            lacks = missing_rights(connection)
            return f"; {lacks}" if lacks else f", as the role {connection.info.user}"
        return ""
