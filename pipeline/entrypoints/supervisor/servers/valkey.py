"""Plan an embedded Valkey: append-only file, no eviction, reachable only through a socket of its owner."""

import contextlib
import secrets
import signal
from pathlib import Path
from urllib.parse import quote

import redis
import structlog
from redis.backoff import NoBackoff
from redis.retry import Retry

from pipeline.entrypoints.supervisor.servers.binaries import valkey_program
from pipeline.entrypoints.supervisor.servers.orphans import end_leftovers
from pipeline.entrypoints.supervisor.servers.server_spec import Launch
from pipeline.entrypoints.supervisor.servers.sockets import check_characters, create_socket_folder, socket_path

log = structlog.get_logger(__name__)

_SOCKET = "valkey.sock"


class Valkey:
    """The plan of one Valkey whose append-only file lies below *home*.

    It listens on no port: another user of the machine could listen on a port first, and be sent the password.
    """

    name = "valkey"
    stop_signal = signal.SIGTERM  # writes the append-only file and exits
    hurry_signal = signal.SIGKILL  # loses at most the last second's jobs, which the keeper enqueues again

    def __init__(self, home: Path) -> None:
        self.home = home.resolve()
        self.folder = self.home / "appendonly"
        self._password = ""

    def prepare(self) -> Launch:
        """End leftovers, create the password once, and return how to start the server.

        Raises:
            ConfigInvalid: Valkey's wheel is not installed, the home's path has a character that no setting can hold, or
                the socket's folder belongs to another user.
        """
        check_characters(self.home)
        program = valkey_program()
        self.folder.mkdir(mode=0o700, exist_ok=True)
        if end_leftovers(self.folder, "valkey-server", stop_signal=self.stop_signal):
            log.warning("leftover.ended", server=self.name)
        self._password = _password(self.home / "password")
        if (folder := _socket(self.home).parent) != self.home:
            create_socket_folder(folder, None)
        # Settings go to standard input: every user of the machine can read arguments.
        return Launch(argv=[str(program), "-"], cwd=self.folder, stdin=self._settings().encode())

    def probe(self) -> str | None:
        """Return the URL if the server answers, which it does once it has read its append-only file; else None."""
        url = _url(self.home, self._password)
        try:
            with redis.Redis.from_url(url, socket_timeout=1, retry=Retry(NoBackoff(), 0)) as connection:
                connection.ping()
        except redis.RedisError:
            return None
        return url

    def tidy(self) -> None:
        """Remove the socket, which a killed server leaves, and its folder if it is outside the home."""
        socket = _socket(self.home)
        with contextlib.suppress(OSError):
            socket.unlink(missing_ok=True)
            if socket.parent != self.home:
                socket.parent.rmdir()

    def _settings(self) -> str:
        return "\n".join(
            [
                "port 0",
                f"unixsocket {_quoted(_socket(self.home))}",
                "unixsocketperm 700",
                f"requirepass {self._password}",
                f"dir {_quoted(self.folder)}",
                "appendonly yes",
                "appendfsync everysec",
                'save ""',
                "maxmemory-policy noeviction",
                "daemonize no",
            ]
        )


def is_embedded_redis_url(home: Path, url: str) -> bool:
    """Return whether *url* names the embedded Valkey whose files lie below *home*."""
    try:
        password = (home / "password").read_text().strip()
    except (OSError, UnicodeDecodeError):
        return False
    # Earlier releases listened on a port, which changed at each start.
    return url == _url(home.resolve(), password) or url.startswith(f"redis://:{password}@127.0.0.1:")


def _url(home: Path, password: str) -> str:
    return f"unix://:{password}@{quote(str(_socket(home)))}?db=0"


def _socket(home: Path) -> Path:
    return socket_path(home, _SOCKET) / _SOCKET


def _quoted(path: Path) -> str:
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _password(path: Path) -> str:
    if not path.exists():
        fresh = path.with_suffix(".new")
        fresh.touch(mode=0o600)
        fresh.write_text(secrets.token_urlsafe(24))
        fresh.rename(path)
    return path.read_text().strip()
