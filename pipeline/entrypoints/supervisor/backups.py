"""Write the record into a file and read it back, with PostgreSQL's own pg_dump and pg_restore."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from tempfile import mkstemp
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import pq, sql

from config.schema.ownership import open_safe
from pipeline.entrypoints.supervisor.servers.binaries import postgres_programs
from pipeline.entrypoints.supervisor.servers.postgres import DATABASE
from pipeline.entrypoints.supervisor.servers.server_spec import bare_environment
from pipeline.model.errors import ConfigInvalid, NotPossible
from pipeline.store.connections import is_pooled
from pipeline.store.failures import failure_of
from pipeline.store.migrate import migrate
from pipeline.store.record import Record
from pipeline.store.statements import sql as statement

#: The database into which a backup is read. Afterwards, it takes the place of the record.
_RESTORED = f"{DATABASE}_restored"


def write_backup(url: str, file: Path) -> None:
    """Write the record at *url* into the new *file*, which only its owner can read.

    Raises:
        NotPossible: The file exists or cannot be written, or pg_dump is missing or refuses.
        RecordUnavailable: PostgreSQL is away.
    """
    try:
        if file.exists():
            raise NotPossible(f"{file} exists: a backup never replaces a file")
        # The file gets its final name only when it is complete.
        handle, unfinished = mkstemp(prefix=f".{file.name}.", suffix=".unfinished", dir=file.parent)
    except OSError as error:
        raise _not_written(file, error) from error
    try:
        # By its name, pg_dump would open what another user put there meanwhile.
        _run("pg_dump", url, "--format=custom", "--no-owner", "--no-privileges", writes=handle)
        os.link(unfinished, file, follow_symlinks=False)
        if not os.path.samestat(os.fstat(handle), file.lstat()):
            raise NotPossible(f"{file} is not the backup: another user replaces files in this folder; use another one")
    except OSError as error:
        raise _not_written(file, error) from error
    finally:
        os.close(handle)
        Path(unfinished).unlink(missing_ok=True)


def _not_written(file: Path, error: OSError) -> NotPossible:
    return NotPossible(f"{file} cannot be written: {error.strerror}")


def read_backup(url: str, file: Path, *, by: str) -> None:
    """Read *file* into the empty database at *url*, bring the schema up to date, and note the restore in the record.

    Raises:
        ConfigInvalid: Another user can write the file: its functions would run in the database.
        NotPossible: The database is not empty, or the file is not a backup.
        RecordUnavailable: PostgreSQL is away.
    """
    try:
        archive = open_safe(file)
    except OSError as error:
        raise NotPossible(f"{file} cannot be read: {error.strerror}") from error
    with archive:
        if _has_record(url):
            raise NotPossible("the database holds a record: a backup is only read into an empty one, so create another")
        _run("pg_restore", url, "--list", reads=archive.fileno())
        with _connected(url) as connection:
            database = connection.info.dbname  # An address without a name leads to the database of the user's name.
        flags = ("--no-owner", "--no-privileges", "--single-transaction", "--exit-on-error", f"--dbname={database}")
        _run("pg_restore", url, *flags, reads=archive.fileno())
    migrate(url)
    with Record(url, connections=1, retry_for_s=3.0) as record:
        record.do(statement("restores", "note"), {"by": by, "file_name": file.name})


def replace_embedded(url: str, file: Path, *, by: str) -> str:
    """Replace the embedded record at *url* by the backup *file*; return the name under which the old database is kept.

    Raises:
        ConfigInvalid: Another user can write the file; the record is unchanged.
        NotPossible: The file is not a backup; the record is unchanged.
        RecordUnavailable: PostgreSQL is away; it is not known whether the record was replaced.
    """
    kept = f"{DATABASE}_until_{datetime.now(UTC):%Y%m%dt%H%M%S}"
    with _connected(with_database(url, "postgres")) as connection:
        connection.autocommit = True  # A database cannot be created inside a transaction.
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(_RESTORED)))
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(_RESTORED)))
        read_backup(with_database(url, _RESTORED), file, by=by)
        rename = sql.SQL("ALTER DATABASE {} RENAME TO {}")
        # Rename both or neither: if no database had the record's name, the next start would create an empty one.
        with connection.transaction():
            connection.execute(rename.format(sql.Identifier(DATABASE), sql.Identifier(kept)))
            connection.execute(rename.format(sql.Identifier(_RESTORED), sql.Identifier(DATABASE)))
    return kept


def _has_record(url: str) -> bool:
    with _connected(url) as connection:
        return connection.execute("SELECT to_regclass('migration') IS NOT NULL").fetchone() == (True,)


def _run(program: str, url: str, *arguments: str, reads: int | None = None, writes: int | None = None) -> None:
    """Run *program* with the open files *reads*, from its beginning, as its input and *writes* as its output."""
    if reads is not None:
        os.lseek(reads, 0, os.SEEK_SET)
    try:
        done = subprocess.run(
            [_program(program, url), *arguments],
            check=False,
            stdin=subprocess.DEVNULL if reads is None else reads,
            stdout=subprocess.DEVNULL if writes is None else writes,
            stderr=subprocess.PIPE,
            text=True,
            env=_environment(url),
        )
    except OSError as error:
        raise NotPossible(f"{program} cannot be started: {error.strerror}") from error
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines()
        raise NotPossible(f"{program} refuses: {lines[0] if lines else f'exit code {done.returncode}'}")


def _environment(url: str) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if name == "HOME" or name.startswith("PG")}
    # Every user of the machine can read arguments, so the address with its password goes into the environment.
    options = pq.Conninfo.parse(url.encode())
    address = {one.envvar.decode(): one.val.decode() for one in options if one.envvar and one.val}
    return {**bare_environment(), **own, **address}


def _program(name: str, url: str) -> str:
    """Return the oldest installed *name* that is not older than the server: pg_dump refuses a newer server."""
    embedded = None
    with suppress(ConfigInvalid):
        embedded = str(postgres_programs() / name)
    found = [(_release(path), path) for path in (shutil.which(name), embedded) if path is not None]
    server = _server_release(url)
    fit = [each for each in found if each[0] >= server]
    if not fit:
        had = ", ".join(f"{path} is of release {release}" for release, path in found) or "there is none"
        raise NotPossible(f"this PostgreSQL {server} needs a {name} of its release on the PATH; {had}")
    return min(fit)[1]


def _release(program: str) -> int:
    shown = subprocess.run([program, "--version"], check=False, capture_output=True, text=True).stdout
    number = re.search(r"\d+", shown)
    return int(number[0]) if number else 0


def _server_release(url: str) -> int:
    with _connected(url) as connection:
        # pg_dump and pg_restore change settings of their session. A pooler would give that session to other clients.
        if is_pooled(connection):
            raise NotPossible("backup and restore do not go through a pooler: set DATABASE_DIRECT_URL")
        return connection.info.server_version // 10_000


@contextmanager
def _connected(url: str) -> Iterator[psycopg.Connection]:
    try:
        with psycopg.connect(url, connect_timeout=5) as connection:
            yield connection
    except psycopg.OperationalError as error:
        raise failure_of(error) from None


def with_database(url: str, name: str) -> str:
    """Return the address of the database *name* at the server of *url*."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))
