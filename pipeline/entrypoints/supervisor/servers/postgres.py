"""Plan an embedded PostgreSQL: durable, small, reached through a socket that only its owner can open."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import signal
import stat
import subprocess
import tempfile
from pathlib import Path
from urllib.parse import quote

import psycopg
import structlog
from psycopg import sql

from pipeline.entrypoints.supervisor.servers.accounts import UnixAccount, let_through, postgres_account
from pipeline.entrypoints.supervisor.servers.binaries import postgres_programs
from pipeline.entrypoints.supervisor.servers.orphans import end_leftovers
from pipeline.entrypoints.supervisor.servers.server_spec import Launch, child_options
from pipeline.model.errors import ConfigInvalid, Problem

log = structlog.get_logger(__name__)

DATABASE = "tradewire"
#: The kernel's limit for a socket's path is 108 bytes on Linux and 104 on macOS, with the name in it.
_SOCKET_PATH_LIMIT = 100

#: fsync and synchronous_commit stay at their defaults: on.
_SETTINGS = {
    "listen_addresses": "",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "wal_level": "minimal",  # nobody replicates from it
    "max_wal_senders": "0",
    "io_method": "sync",  # saves three processes; the working set lies in memory
    "log_checkpoints": "off",
    "jit": "off",  # the statements are short: compiling them costs more than it gives
    "log_timezone": "UTC",
    "timezone": "UTC",
}


class Postgres:
    """The plan of one PostgreSQL whose cluster lies below *home*."""

    name = "postgres"
    stop_signal = signal.SIGINT  # "fast": ends the sessions, writes everything, exits
    hurry_signal = signal.SIGQUIT  # "immediate": the next start recovers from the log

    def __init__(self, home: Path) -> None:
        self.home = home.resolve()
        self.cluster = self.home / "cluster"

    def prepare(self) -> Launch:
        """Clear leftovers, make the cluster when there is none, and say how to start.

        Raises:
            ConfigInvalid: The wheel is missing, or no user may own the cluster.
        """
        programs = postgres_programs()
        account = postgres_account()
        if account is not None:
            let_through(programs / "postgres")
            let_through(self.cluster)
        if end_leftovers(self.cluster, "postgres", stop_signal=self.stop_signal):
            log.warning("leftover.ended", server=self.name)
        if not (self.cluster / "PG_VERSION").exists():
            self._make_cluster(programs / "initdb", account)
        # A dead server's postmaster.pid may name a pid that is somebody else's now: PostgreSQL would refuse.
        (self.cluster / "postmaster.pid").unlink(missing_ok=True)
        settings = {**_SETTINGS, "unix_socket_directories": str(_socket_folder(self.cluster, account))}
        argv = [str(programs / "postgres"), "-D", str(self.cluster)]
        for key, value in settings.items():
            argv += ["-c", f"{key}={value}"]
        return Launch(argv=argv, cwd=self.cluster, account=account)

    def probe(self) -> str | None:
        """Return the URL once sessions are accepted, having made the database when it is missing."""
        folder = quote(str(_socket_path(self.cluster)), safe="")
        try:
            with psycopg.connect(f"postgresql://postgres@/postgres?host={folder}", autocommit=True) as connection:
                found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone()
                if found is None:
                    connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))
        except psycopg.OperationalError:
            return None
        return f"postgresql://postgres@/{DATABASE}?host={folder}"

    def tidy(self) -> None:
        """Remove the socket's folder, where it had to be outside of the home."""
        folder = _socket_path(self.cluster)
        if folder != self.cluster:
            with contextlib.suppress(OSError):
                folder.rmdir()

    def _make_cluster(self, initdb: Path, account: UnixAccount | None) -> None:
        # Made beside its place and moved there when it is whole: a kill in between leaves no half cluster.
        for half_made in self.home.glob("cluster.new-*"):
            shutil.rmtree(half_made, ignore_errors=True)
        fresh = Path(tempfile.mkdtemp(prefix="cluster.new-", dir=self.home))
        if account is not None:
            os.chown(fresh, account.user, account.group)
        flags = [
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "--username=postgres",
            "--pgdata",
            str(fresh),
        ]
        try:
            subprocess.run(
                [str(initdb), *flags],
                check=True,
                capture_output=True,
                text=True,
                cwd=fresh,
                **child_options(account),
            )
        except subprocess.CalledProcessError as error:
            message = f"the embedded PostgreSQL could not be set up below {self.home}: {error.stderr.strip()}"
            raise ConfigInvalid([Problem(key="DATABASE_URL", message=message)]) from error
        fresh.rename(self.cluster)


def _socket_path(cluster: Path) -> Path:
    if len(str(cluster)) + len("/.s.PGSQL.5432.lock") < _SOCKET_PATH_LIMIT:
        return cluster
    digest = hashlib.sha256(str(cluster).encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()).resolve() / f"tradewire-{os.geteuid()}-{digest}"


def _socket_folder(cluster: Path, account: UnixAccount | None) -> Path:
    folder = _socket_path(cluster)
    if folder == cluster:
        return folder
    owner = os.geteuid() if account is None else account.user
    folder.mkdir(mode=0o700, exist_ok=True)
    held = folder.lstat()
    if stat.S_ISDIR(held.st_mode) and held.st_uid == os.geteuid() != owner:
        os.chown(folder, owner, -1)
        held = folder.lstat()
    # In a folder that everyone may write, somebody else could have been first.
    if not stat.S_ISDIR(held.st_mode) or held.st_uid != owner or stat.S_IMODE(held.st_mode) & 0o077:
        message = f"{folder} belongs to somebody else; set TRADEWIRE_HOME to a shorter path"
        raise ConfigInvalid([Problem(key="TRADEWIRE_HOME", message=message)])
    return folder
