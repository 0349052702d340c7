"""The connection to the record: a checked pool, and idempotent units of work that may be run again."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from enum import Enum, auto
from typing import Final, Literal, LiteralString, Self, TypeVar

import psycopg
from psycopg import Connection
from psycopg.errors import IdleInTransactionSessionTimeout, ReadOnlySqlTransaction
from psycopg.rows import DictRow, dict_row
from psycopg.types.enum import EnumInfo, register_enum
from psycopg_pool import ConnectionPool, PoolTimeout

from pipeline.model.errors import NotMigrated, NotPossible, RecordUnavailable, TradewireError
from pipeline.model.outages import Need, outage_of
from pipeline.model.signals import Action, Intent
from pipeline.model.states import State
from pipeline.store.query import Values, execute, fetch_all, fetch_maybe, fetch_one
from pipeline.store.rows import Mode, Role

T = TypeVar("T")
Row = DictRow
Unit = Callable[[Connection[DictRow]], T]

# A statement of ours takes milliseconds: what takes seconds is stuck and must not hold a row.
_SESSION = (
    "-c statement_timeout=10s -c lock_timeout=5s -c idle_in_transaction_session_timeout=5s "
    "-c synchronous_commit=on -c timezone=UTC"
)
_ENUMS = (
    ("execution_state", State),
    ("signal_action", Action),
    ("signal_intent", Intent),
    ("executor_mode", Mode),
    ("order_role", Role),
)
# What passes: a lost connection, a server that stops or starts, a primary that became a standby, a transaction of a
# process that was frozen. Everything else is an error of ours.
_PASSING = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    PoolTimeout,
    IdleInTransactionSessionTimeout,
    ReadOnlySqlTransaction,
)
_STANDBY = "this PostgreSQL takes no writes: DATABASE_URL must name the primary, and not a read-only standby"
# What libpq says of a server that answers in another protocol.
_NO_POSTGRES = ("received invalid response to SSL negotiation", "expected authentication request from server")
_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 2.0
_OLDEST_SERVER = 140_000


class Usual(Enum):
    """The default of `run`: the record's own `retry_for_s`."""

    USUAL = auto()


USUAL: Final = Usual.USUAL
RetryFor = float | None | Literal[Usual.USUAL]


class _Pool(ConnectionPool[Connection[DictRow]]):
    """A pool that remembers why it has no connection to give: its own timeout does not say."""

    failure: Exception | None = None
    #: There was a PostgreSQL once.
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
    """PostgreSQL, as units of work.

    A unit is a function of a connection whose writes are one transaction. The answer to a COMMIT can be lost, so
    every unit must come to the same end when it is run again; `run` does so on every passing failure.
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
                "connect_timeout": 3,
                "options": _SESSION,
                "keepalives_idle": 5,
                "keepalives_interval": 2,
                "keepalives_count": 3,
                "tcp_user_timeout": 10_000,
                "application_name": "tradewire",
            },
            configure=_configure,
            check=ConnectionPool.check_connection,
            min_size=0,
            max_size=connections,
            timeout=2.0,
            reconnect_timeout=2.0,
            max_idle=120,
            open=False,
        )
        self._pool.open(wait=False)

    def run(self, unit: Unit[T], *, retry_for_s: RetryFor = USUAL) -> T:
        """Run *unit* in one transaction, again and again while PostgreSQL is away.

        Args:
            unit: What to do; idempotent.
            retry_for_s: For how many seconds to try again; None is until `stopping` is set. The record's own
                patience when not given.

        Raises:
            RecordUnavailable: PostgreSQL stayed away for longer than the patience.
            NotMigrated: it is there, and nobody migrated it within the patience.
            NotPossible: this PostgreSQL is too old.
        """
        retry_for_s = self._retry_for_s if retry_for_s is USUAL else retry_for_s
        deadline = None if retry_for_s is None else time.monotonic() + retry_for_s
        pause = _FIRST_PAUSE_S
        while True:
            try:
                with self._pool.connection() as connection:
                    value = unit(connection)
                    # Leaving the block commits too, but not on a connection that was found closed meanwhile: the unit
                    # would be lost in silence.
                    connection.commit()
            except _PASSING as error:
                cause = self._cause(error)
                self._outage.record_failure(cause)
                over = self.stopping.is_set() or (deadline is not None and time.monotonic() + pause > deadline)
                # Waiting helps against an absence and a schema that is not there yet, and against nothing else.
                if over or not isinstance(cause, RecordUnavailable):
                    raise cause from None
            else:
                self._outage.record_success()
                return value
            # Jitter, so that a restart of PostgreSQL is not met by everybody at once.
            self.stopping.wait(pause * random.uniform(0.5, 1.0))  # noqa: S311 -- not a secret
            pause = min(pause * 2, _LONGEST_PAUSE_S)

    def one(
        self, row: type[T], statement: LiteralString, values: Values | None = None, *, retry_for_s: RetryFor = USUAL
    ) -> T:
        """Run *statement* in a transaction of its own and return its only row; raises as `run` and `fetch_one` do."""
        return self.run(lambda connection: fetch_one(connection, row, statement, values), retry_for_s=retry_for_s)

    def maybe(
        self, row: type[T], statement: LiteralString, values: Values | None = None, *, retry_for_s: RetryFor = USUAL
    ) -> T | None:
        """Run *statement* in a transaction of its own and return its first row or None; raises as `run` does."""
        return self.run(lambda connection: fetch_maybe(connection, row, statement, values), retry_for_s=retry_for_s)

    def all(
        self, row: type[T], statement: LiteralString, values: Values | None = None, *, retry_for_s: RetryFor = USUAL
    ) -> list[T]:
        """Run *statement* in a transaction of its own and return its rows; raises as `run` does."""
        return self.run(lambda connection: fetch_all(connection, row, statement, values), retry_for_s=retry_for_s)

    def do(self, statement: LiteralString, values: Values | None = None, *, retry_for_s: RetryFor = USUAL) -> int:
        """Run *statement* in a transaction of its own and return the number of its rows; raises as `run` does."""
        return self.run(lambda connection: execute(connection, statement, values), retry_for_s=retry_for_s)

    def close(self) -> None:
        """Give the connections back."""
        self.stopping.set()
        self._pool.close(timeout=1.0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _cause(self, error: Exception) -> TradewireError:
        """Return in our words why the unit did not come to its end."""
        if isinstance(error, PoolTimeout) and self._pool.failure is not None:
            error = self._pool.failure
        if isinstance(error, TradewireError):
            return error
        if not self._pool.met and any(sign in str(error) for sign in _NO_POSTGRES):
            return NotPossible("what answers at DATABASE_URL is not PostgreSQL")
        return RecordUnavailable(f"PostgreSQL cannot be reached: {_first_line(error)}")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _refuse_standby(connection: Connection[DictRow]) -> None:
    # Servers since PostgreSQL 14 report both by themselves.
    if "on" in map(connection.info.parameter_status, ("in_hot_standby", "default_transaction_read_only")):
        raise RecordUnavailable(_STANDBY)


def _configure(connection: Connection[DictRow]) -> None:
    """Teach a new connection our enums; a database without them was not migrated."""
    if connection.info.server_version < _OLDEST_SERVER:
        raise NotPossible(
            f"PostgreSQL {connection.info.server_version // 10000} is too old: tradewire needs 14 or newer"
        )
    _refuse_standby(connection)
    # Each look-up is a statement, and a statement opens a transaction: the commit below ends it.
    for name, kind in _ENUMS:
        info = EnumInfo.fetch(connection, name)
        if info is None:
            raise NotMigrated
        register_enum(info, connection, kind, mapping={member: member.value for member in kind})
    connection.commit()
