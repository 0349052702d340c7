"""Bring the record's schema up to date: forward only, one process at a time."""

from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files

import psycopg
import structlog
from psycopg.errors import InsufficientPrivilege

from pipeline.model.errors import NotPossible
from pipeline.store.failures import failure_of, first_line

log = structlog.get_logger(__name__)

# An arbitrary number, the same for every process that migrates.
_ADVISORY_LOCK = 7_204_211
_NO_RIGHT = "; run `tradewire migrate` as the owner of the tables"


@dataclass(frozen=True, kw_only=True)
class Migration:
    """One numbered step of the schema."""

    version: int
    name: str
    text: str

    @property
    def checksum(self) -> str:
        """Return the checksum by which an edited migration is recognised."""
        return sha256(self.text.encode()).hexdigest()


def migrations() -> list[Migration]:
    """Return the shipped migrations, oldest first."""
    found = []
    for entry in files("pipeline.sql").joinpath("migrations").iterdir():
        if entry.name.endswith(".sql"):
            number, _, name = entry.name.removesuffix(".sql").partition("_")
            found.append(Migration(version=int(number), name=name, text=entry.read_text("utf-8")))
    return sorted(found, key=lambda migration: migration.version)


def migrate(database_url: str) -> list[str]:
    """Apply the missing migrations and return their names.

    Raises:
        RecordUnavailable: PostgreSQL cannot be reached.
        NotPossible: the database has a newer or a different schema than this release knows, or PostgreSQL refuses the
            change, for example because this user lacks the right.
    """
    try:
        # No prepared statements: behind a pooler they would leak to other clients.
        with psycopg.connect(database_url, connect_timeout=5, prepare_threshold=None) as connection:
            # Read committed, so that after waiting for the lock this process sees the migrations of the other process.
            connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
            applied: list[str] = []
            while names := _apply(connection):
                applied += names
            return applied
    except psycopg.OperationalError as error:
        raise failure_of(error) from None
    except psycopg.Error as error:
        hint = _NO_RIGHT if isinstance(error, InsufficientPrivilege) else ""
        raise NotPossible(f"PostgreSQL refuses the migration: {first_line(error)}{hint}") from None


def _apply(connection: psycopg.Connection) -> list[str]:
    """Apply as many migrations as one transaction may, and return their names; an empty list when none is missing.

    An empty database gets the whole schema at once, so that a waiting process never sees only a part of it. An older
    schema gets one migration at a time: PostgreSQL allows the use of a new enum value only after its commit.
    """
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [_ADVISORY_LOCK])
        missing = _missing(connection)
        due = missing if missing == migrations() else missing[:1]
        for migration in due:
            # As bytes, because psycopg's types accept only literals as text.
            connection.execute(migration.text.encode())
            connection.execute(
                "INSERT INTO migration (version, name, checksum) VALUES (%s, %s, %s)",
                [migration.version, migration.name, migration.checksum],
            )
    for migration in due:
        log.info("migration.applied", version=migration.version, name=migration.name)
    return [migration.name for migration in due]


def _missing(connection: psycopg.Connection) -> list[Migration]:
    # Check first whether the table exists, so that a user without the right to create tables can find out that nothing
    # is missing.
    if connection.execute("SELECT to_regclass('migration') IS NULL").fetchone() == (True,):
        connection.execute(
            "CREATE TABLE migration (version integer PRIMARY KEY, name text NOT NULL, "
            "checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
        )
    done: dict[int, str] = dict(connection.execute("SELECT version, checksum FROM migration").fetchall())
    shipped = migrations()
    newest = max((migration.version for migration in shipped), default=0)
    if done and max(done) > newest:
        raise NotPossible(f"the database has schema {max(done)}; this release knows only {newest}: install a newer one")
    for migration in shipped:
        # A migration that was applied must never be edited.
        if done.get(migration.version, migration.checksum) != migration.checksum:
            raise NotPossible(f"migration {migration.version} in the database differs from that of this release")
    return [migration for migration in shipped if migration.version not in done]
