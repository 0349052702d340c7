"""Plan an embedded PostgreSQL: durable, small, and reachable only through a socket of its owner."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from urllib.parse import quote

import psycopg
import structlog
from psycopg import sql

from pipeline.entrypoints.supervisor.servers.accounts import (
    UnixAccount,
    chown_tree,
    closed_folders,
    initdb_account,
    open_folder,
    postgres_account,
)
from pipeline.entrypoints.supervisor.servers.binaries import postgres_programs
from pipeline.entrypoints.supervisor.servers.orphans import end_leftovers
from pipeline.entrypoints.supervisor.servers.server_spec import Launch, child_options
from pipeline.entrypoints.supervisor.servers.sockets import check_characters, create_socket_folder, socket_path
from pipeline.model.errors import ConfigInvalid, Problem

log = structlog.get_logger(__name__)

DATABASE = "tradewire"

_INITDB_FLAGS = ("--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--username=postgres")

#: fsync and synchronous_commit stay at their defaults: on.
_SETTINGS = {
    "listen_addresses": "",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "wal_level": "minimal",  # there are no replicas
    "max_wal_senders": "0",
    "io_method": "sync",  # saves three processes; the working set fits into memory
    "log_checkpoints": "off",
    "jit": "off",  # the statements are short: compiling them costs more time than it saves
    "log_timezone": "UTC",
    "timezone": "UTC",
}


class Postgres:
    """The plan of one PostgreSQL whose cluster lies below *home*."""

    name = "postgres"
    stop_signal = signal.SIGINT  # "fast": ends the sessions, writes everything, exits
    hurry_signal = signal.SIGQUIT  # "immediate": the next start recovers from the log

    def __init__(self, home: Path, user: str | None = None) -> None:
        self.home = home.resolve()
        self.user = user
        self.cluster = self.home / "cluster"

    def prepare(self) -> Launch:
        """End leftovers, create the cluster when it is missing, and return how to start the server.

        Raises:
            ConfigInvalid: The wheel is not installed, the home's path has a character that no setting can hold,
                PostgreSQL's user does not exist or cannot reach the cluster, initdb fails, or the socket's folder
                belongs to another user.
        """
        check_characters(self.home)
        programs = postgres_programs()
        account = postgres_account(self.user or self._owner())
        self._let_through(programs, account)
        if end_leftovers(self.cluster, "postgres", stop_signal=self.stop_signal):
            log.warning("leftover.ended", server=self.name)
        if not (self.cluster / "PG_VERSION").exists():
            self._create_cluster(programs / "initdb", account)
        # PostgreSQL would refuse to start if another process now had the pid in a dead server's postmaster.pid.
        (self.cluster / "postmaster.pid").unlink(missing_ok=True)
        if account is not None and self.cluster.stat().st_uid != account.user:
            chown_tree(self.cluster, account)
        settings = {**_SETTINGS, "unix_socket_directories": str(_socket_folder(self.cluster, account))}
        argv = [str(programs / "postgres"), "-D", str(self.cluster)]
        for key, value in settings.items():
            argv += ["-c", f"{key}={value}"]
        return Launch(argv=argv, cwd=self.cluster, account=account)

    def probe(self) -> str | None:
        """Return the URL if the server accepts sessions, else None. Create the database if it is missing."""
        folder = quote(str(_socket_path(self.cluster)), safe="")
        try:
            with psycopg.connect(f"postgresql://postgres@/postgres?host={folder}", autocommit=True) as connection:
                found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone()
                if found is None:
                    connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))
        except psycopg.OperationalError:
            return None
        return embedded_database_url(self.home)

    def tidy(self) -> None:
        """Remove the socket's folder if it is outside the home."""
        folder = _socket_path(self.cluster)
        if folder != self.cluster:
            with contextlib.suppress(OSError):
                folder.rmdir()

    def _owner(self) -> str | None:
        """Return the name of the user to whom an earlier start gave the cluster; None if there is no such name."""
        try:
            return self.cluster.owner() if self.cluster.stat().st_uid != 0 else None
        except (FileNotFoundError, KeyError):
            return None

    def _let_through(self, programs: Path, account: UnixAccount | None) -> None:
        closed = closed_folders(account, [self.cluster, programs / "postgres"])
        # TRADEWIRE_HOME is the folder above that of this server.
        inside = [folder for folder in closed if folder.is_relative_to(self.home.parent)]
        for folder in inside:
            open_folder(folder)
        if outside := [str(folder) for folder in closed if folder not in inside]:
            message = (
                f"PostgreSQL does not run as root, and its user cannot pass through {', '.join(outside)}: run "
                "tradewire as an ordinary user, or let it open them (chmod o+x) with `tradewire up --user NAME`, "
                "where NAME is a user of which no other program runs (`useradd --system NAME` creates one)"
            )
            raise ConfigInvalid([Problem(key="--user", message=message)])

    def _create_cluster(self, initdb: Path, account: UnixAccount | None) -> None:
        # Created under another name and renamed when it is complete, so that a kill leaves no incomplete cluster.
        for incomplete in self.home.glob("cluster.new-*"):
            shutil.rmtree(incomplete, ignore_errors=True)
        fresh = Path(tempfile.mkdtemp(prefix="cluster.new-", dir=self.home))
        creator = initdb_account(account)
        if creator is not None:
            os.chown(fresh, creator.user, creator.group)
        command = [str(initdb), *_INITDB_FLAGS, "--pgdata", str(fresh)]
        options = child_options(creator)
        try:
            subprocess.run(command, check=True, capture_output=True, text=True, cwd=fresh, **options)
        except subprocess.CalledProcessError as error:
            message = f"the embedded PostgreSQL could not be set up below {self.home}: {error.stderr.strip()}"
            raise ConfigInvalid([Problem(key="DATABASE_URL", message=message)]) from error
        fresh.rename(self.cluster)


def embedded_database_url(home: Path) -> str:
    """Return the address of the embedded PostgreSQL whose cluster lies below *home*."""
    folder = quote(str(_socket_path(home.resolve() / "cluster")), safe="")
    return f"postgresql://postgres@/{DATABASE}?host={folder}"


def _socket_path(cluster: Path) -> Path:
    return socket_path(cluster, ".s.PGSQL.5432.lock")


def _socket_folder(cluster: Path, account: UnixAccount | None) -> Path:
    folder = _socket_path(cluster)
    if folder != cluster:
        create_socket_folder(folder, account)
    return folder
