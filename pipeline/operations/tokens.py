"""Tokens for programs: made once, shown once, kept as a hash, with the scopes that they open."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pipeline.model.errors import NotPossible
from pipeline.store.record import Record
from pipeline.store.statements import sql

#: The name of the main token, TRADEWIRE_API_TOKEN; nobody else may have it.
MAIN = "api"
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
_PREFIX = "tw_"


class Scope(StrEnum):
    """What a token opens. None includes another."""

    #: Everything that only shows.
    READ = "read"
    #: Sending signals.
    SIGNAL = "signal"
    #: Switches, dead letters, whatever a person does.
    OPERATE = "operate"


@dataclass(frozen=True, kw_only=True)
class Holder:
    """Whose token it is. The name is the source of the signals sent with it."""

    name: str
    scopes: frozenset[Scope]


def make_token(record: Record, name: str, scopes: Collection[Scope], *, by: str) -> str:
    """Make a token, and return it: it is not kept and cannot be shown again.

    Raises:
        NotPossible: the name is taken or no name.
        RecordUnavailable: PostgreSQL is away.
    """
    if not _NAME.fullmatch(name) or name == MAIN:
        raise NotPossible(f"a token's name is 1 to 40 of a-z, 0-9, _ and -, and not {MAIN!r}")
    token = _PREFIX + secrets.token_urlsafe(32)
    values = {"name": name, "sha256": digest(token), "scopes": sorted(scopes), "by": by}
    if record.run(lambda connection: connection.execute(sql("tokens", "insert"), values).fetchone()) is None:
        # A first try whose COMMIT answer was lost made it: then it is ours.
        holder = holder_of(record, token)
        if holder is None or holder.name != name:
            raise NotPossible(f"there is a token {name!r} already; a name is not used twice")
    return token


def holder_of(record: Record, token: str) -> Holder | None:
    """Return whose token this is; None when it is nobody's, or was revoked."""
    if not token.startswith(_PREFIX):
        return None  # None of ours: the record need not be asked about what strangers try.
    key = {"sha256": digest(token)}
    row = record.run(lambda connection: connection.execute(sql("tokens", "of_hash"), key).fetchone())
    return None if row is None else Holder(name=row["name"], scopes=frozenset(map(Scope, row["scopes"])))


def named(record: Record, name: str) -> Holder | None:
    """Return what the token of that name opens; None when there is none, or it was revoked.

    Raises:
        RecordUnavailable: PostgreSQL is away.
    """
    key = {"name": name}
    row = record.run(lambda connection: connection.execute(sql("tokens", "of_name"), key).fetchone())
    return None if row is None else Holder(name=row["name"], scopes=frozenset(map(Scope, row["scopes"])))


def revoke_token(record: Record, name: str, *, by: str) -> bool:
    """Revoke a token; False: there is none of that name that still opens anything."""
    key = {"name": name, "by": by}
    return record.run(lambda connection: connection.execute(sql("tokens", "revoke"), key).fetchone()) is not None


def tokens(record: Record) -> list[dict[str, Any]]:
    """Return every token's name, scopes and history; never the token.

    Raises:
        RecordUnavailable: PostgreSQL is away.
    """
    return record.run(lambda connection: connection.execute(sql("tokens", "list")).fetchall())


def digest(token: str) -> str:
    """Return what is kept of a token. It is random and long, so that no salt is needed."""
    return hashlib.sha256(token.encode()).hexdigest()
