"""Plan an embedded Valkey: append-only file, no eviction, on the loopback address, with a password."""

import secrets
import signal
from pathlib import Path

import redis
import structlog
from redis.backoff import NoBackoff
from redis.retry import Retry

from pipeline.entrypoints.supervisor.servers.binaries import valkey_program
from pipeline.entrypoints.supervisor.servers.orphans import end_leftovers
from pipeline.entrypoints.supervisor.servers.server_spec import Launch

log = structlog.get_logger(__name__)


class Valkey:
    """The plan of one Valkey on 127.0.0.1:*port* whose append-only file lies below *home*."""

    name = "valkey"
    stop_signal = signal.SIGTERM  # writes the append-only file and exits
    hurry_signal = signal.SIGKILL  # loses at most the last second's jobs, which the keeper enqueues again

    def __init__(self, home: Path, port: int) -> None:
        self.home = home.resolve()
        self.port = port
        self.folder = self.home / "appendonly"
        self._password = ""

    def prepare(self) -> Launch:
        """End leftovers, create the password once, and return how to start the server.

        Raises:
            ConfigInvalid: The wheel is missing.
        """
        program = valkey_program()
        self.folder.mkdir(mode=0o700, exist_ok=True)
        if end_leftovers(self.folder, "valkey-server", stop_signal=self.stop_signal):
            log.warning("leftover.ended", server=self.name)
        self._password = _password(self.home / "password")
        # Settings go to standard input: every user of the machine can read arguments.
        return Launch(argv=[str(program), "-"], cwd=self.folder, stdin=self._settings().encode())

    def probe(self) -> str | None:
        """Return the URL if the server answers, which it does once it has read its append-only file; else None."""
        url = f"{_prefix(self._password)}{self.port}/0"
        try:
            with redis.Redis.from_url(url, socket_timeout=1, retry=Retry(NoBackoff(), 0)) as connection:
                connection.ping()
        except redis.RedisError:
            return None
        return url

    def tidy(self) -> None:
        """Remove nothing: all files are data."""

    def _settings(self) -> str:
        folder = str(self.folder).replace("\\", "\\\\").replace('"', '\\"')
        return "\n".join(
            [
                "bind 127.0.0.1",
                f"port {self.port}",
                f"requirepass {self._password}",
                f'dir "{folder}"',
                "appendonly yes",
                "appendfsync everysec",
                'save ""',
                "maxmemory-policy noeviction",
                "daemonize no",
            ]
        )


def is_embedded_redis_url(home: Path, url: str) -> bool:
    """Return whether *url* names the embedded Valkey whose files lie below *home*, with its port of any start."""
    try:
        return url.startswith(_prefix((home / "password").read_text().strip()))
    except (OSError, UnicodeDecodeError):
        return False


def _prefix(password: str) -> str:
    return f"redis://:{password}@127.0.0.1:"


def _password(path: Path) -> str:
    if not path.exists():
        fresh = path.with_suffix(".new")
        fresh.touch(mode=0o600)
        fresh.write_text(secrets.token_urlsafe(24))
        fresh.rename(path)
    return path.read_text().strip()
