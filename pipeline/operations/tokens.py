"""API tokens for programs: shown once when they are made, and kept as a hash with their scopes."""

import hashlib
import re
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from pipeline.model.errors import NotPossible
from pipeline.store.record import Record
from pipeline.store.statements import sql

#: The name of the main token, TRADEWIRE_API_TOKEN; no other token may have it.
MAIN = "api"
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
_PREFIX = "tw_"  # A token without this prefix is refused without a query.


class Scope(StrEnum):
    """The rights of a token. No scope includes another."""

    #: Reading everything.
    READ = "read"
    #: Sending signals.
    SIGNAL = "signal"
    #: Switches, dead letters, and all other actions of a person.
    OPERATE = "operate"


@dataclass(frozen=True, kw_only=True)
class Holder:
    """The program that a token belongs to. Its name is the source of the signals that it sends."""

    name: str
    scopes: frozenset[Scope]


@dataclass(frozen=True, kw_only=True)
class ListedToken:
    """One line of `tradewire token list`, without the token itself; its JSON has the fields in this order."""

    name: str
    scopes: list[str]
    made_by: str
    made_at: datetime
    revoked_by: str | None
    revoked_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class _Token:
    name: str
    scopes: list[str]

    def holder(self) -> Holder:
        return Holder(name=self.name, scopes=frozenset(map(Scope, self.scopes)))


def make_token(record: Record, name: str, scopes: Collection[Scope], *, by: str) -> str:
    """Make a token and return it. Only its hash is kept, so it cannot be shown again.

    Raises:
        NotPossible: the name is taken or not allowed.
        RecordUnavailable: PostgreSQL is away.
    """
    if not _NAME.fullmatch(name) or name == MAIN:
        raise NotPossible(f"a token's name is 1 to 40 of a-z, 0-9, _ and -, and not {MAIN!r}")
    token = _PREFIX + secrets.token_urlsafe(32)
    values = {"name": name, "sha256": digest(token), "scopes": sorted(scopes), "by": by}
    if not record.do(sql("tokens", "insert"), values):
        # An earlier try may have inserted this very token and lost only the answer to its COMMIT.
        holder = holder_of(record, token)
        if holder is None or holder.name != name:
            raise NotPossible(f"there is a token {name!r} already; a name is not used twice")
    return token


def holder_of(record: Record, token: str) -> Holder | None:
    """Return the program that a token belongs to; None when there is no such token, or it was revoked."""
    if not token.startswith(_PREFIX):
        return None  # It is not one of ours, so no query is needed.
    found = record.maybe(_Token, sql("tokens", "of_hash"), {"sha256": digest(token)})
    return None if found is None else found.holder()


def named(record: Record, name: str) -> Holder | None:
    """Return the holder of the token with that name; None when there is none, or it was revoked.

    Raises:
        RecordUnavailable: PostgreSQL is away.
    """
    found = record.maybe(_Token, sql("tokens", "of_name"), {"name": name})
    return None if found is None else found.holder()


def revoke_token(record: Record, name: str, *, by: str) -> bool:
    """Revoke a token; return False when there is no valid one of that name."""
    return record.do(sql("tokens", "revoke"), {"name": name, "by": by}) > 0


def tokens(record: Record) -> list[ListedToken]:
    """Return every token's name, scopes and history, the oldest first. Raises RecordUnavailable."""
    return record.all(ListedToken, sql("tokens", "list"))


def digest(token: str) -> str:
    """Return the hash that the record keeps of a token. The token is long and random, so no salt is needed."""
    return hashlib.sha256(token.encode()).hexdigest()
