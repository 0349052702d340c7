"""Find the rights on our tables that the role of DATABASE_URL lacks."""

import re
from dataclasses import dataclass
from functools import cache

from psycopg import Connection
from psycopg.rows import DictRow

from pipeline.store.migrate import migrations
from pipeline.store.query import fetch_all
from pipeline.store.statements import sql

_CREATE_TABLE = re.compile(r"^CREATE TABLE (\w+)", re.MULTILINE)
_MOST = 5


@dataclass(frozen=True, kw_only=True)
class _Missing:
    role: str
    schema: str
    rights: str
    tables: list[str]


def missing_rights(connection: Connection[DictRow]) -> str | None:
    """Return which rights the role lacks on which tables, with the statement that grants them; None when it has all."""
    found = fetch_all(connection, _Missing, sql("rights", "missing"), {"tables": list(_tables())})
    if not found:
        return None
    lacks = "; ".join(f"{each.rights} on {_few(each.tables)}" for each in found)
    role, schema = found[0].role, found[0].schema
    grant = f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {role}"
    return f"the role {role} lacks {lacks}. The owner of the tables runs: {grant}"


def _few(tables: list[str]) -> str:
    more = f" and {len(tables) - _MOST} more" if len(tables) > _MOST else ""
    return ", ".join(tables[:_MOST]) + more


@cache
def _tables() -> frozenset[str]:
    # This includes tables that were dropped later; the statement ignores them.
    return frozenset(name for migration in migrations() for name in _CREATE_TABLE.findall(migration.text))
