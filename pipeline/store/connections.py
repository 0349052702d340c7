"""Examine new connections to PostgreSQL: the server's version and role, a pooler in between, and our enums."""

from typing import Any, LiteralString

import structlog
from psycopg import Connection
from psycopg.errors import Diagnostic
from psycopg.rows import DictRow, scalar_row
from psycopg.types.enum import EnumInfo, register_enum

from pipeline.model.errors import NotMigrated, NotPossible, RecordUnavailable
from pipeline.model.signals import Action, Intent
from pipeline.model.states import State
from pipeline.store.rows import Mode, Role

log = structlog.get_logger(__name__)

_ENUMS = (
    ("execution_state", State),
    ("signal_action", Action),
    ("signal_intent", Intent),
    ("executor_mode", Mode),
    ("order_role", Role),
)
_STANDBY = "this PostgreSQL accepts no writes: DATABASE_URL must name the primary, not a read-only standby"
_OLDEST_SERVER = 140_000
# The code of the warning of our function `itemise_order`.
_DOUBTFUL_PRICE = "TW001"


def is_pooled(connection: Connection[Any]) -> bool:
    """Return whether a pooler answers in place of PostgreSQL.

    A pooler may run each transaction in another of its own sessions. At login it does not know yet which process of
    PostgreSQL will serve the client, so it invents a process number. Behind a pooler, session settings and prepared
    statements would leak to other clients.
    """
    return bool(_shown(connection, "SELECT pg_backend_pid()") != connection.info.backend_pid)


def examine(connection: Connection[DictRow]) -> None:
    """Examine a new connection, register our enums on it, and log the warnings of our functions.

    Raises:
        NotPossible: the server is too old.
        RecordUnavailable: the server is a standby.
        NotMigrated: the database lacks our enums.
    """
    if connection.info.server_version < _OLDEST_SERVER:
        raise NotPossible(
            f"PostgreSQL {connection.info.server_version // 10000} is too old: tradewire needs 14 or newer"
        )
    # The server is asked, since the session parameters of a pooler may be from before a failover. On a standby, every
    # transaction is read-only.
    if _shown(connection, "SHOW transaction_read_only") == "on":
        raise RecordUnavailable(_STANDBY)
    if is_pooled(connection):
        connection.prepare_threshold = None
    for name, kind in _ENUMS:
        info = EnumInfo.fetch(connection, name)
        if info is None:
            raise NotMigrated
        register_enum(info, connection, kind, mapping={member: member.value for member in kind})
    connection.add_notice_handler(_log_warning)


def _log_warning(warning: Diagnostic) -> None:
    if warning.sqlstate == _DOUBTFUL_PRICE:
        log.warning("fill.price_doubtful", message=warning.message_primary)


def _shown(connection: Connection[Any], statement: LiteralString) -> Any:
    with connection.cursor(row_factory=scalar_row) as cursor:
        return cursor.execute(statement).fetchone()
