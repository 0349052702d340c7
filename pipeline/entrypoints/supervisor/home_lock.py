"""Lock a TRADEWIRE_HOME for one `up`, and end the processes that a killed `up` left running there."""

import contextlib
import fcntl
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from config.schema.ownership import require_safe
from config.services import running_services
from pipeline.entrypoints.supervisor.servers.orphans import wait_until_gone
from pipeline.model.errors import ConfigInvalid, Problem
from pipeline.startup.locks import open_lock

#: Start times that differ by less count as equal: setting the clock moves the boot time that they are counted from.
_SAME_START_S = 2.0
#: Seconds to wait until leftover processes have ended, after SIGTERM and again after SIGKILL.
_END_WITHIN_S = 5.0


@dataclass(frozen=True)
class HomeLock:
    """A locked home. The lock also ends with this process, however that ends."""

    home: Path

    def record(self, pids: Mapping[str, int]) -> None:
        """Write down the running processes with their start times, by which the next `up` recognises them."""
        entries = []
        for name, pid in pids.items():
            with contextlib.suppress(psutil.NoSuchProcess):
                entries.append({"name": name, "pid": pid, "started": psutil.Process(pid).create_time()})
        # The file is replaced as a whole: `up` may be killed while it writes.
        fresh = self._path.with_suffix(".new")
        fresh.touch(mode=0o600)
        fresh.write_text(json.dumps(entries))
        fresh.replace(self._path)

    def end_leftovers(self) -> list[str]:
        """End the processes of an earlier `up` that still run; return their names."""
        left = dict(self._leftovers())
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.terminate()
        for process in wait_until_gone(left, within_s=_END_WITHIN_S):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        wait_until_gone(left, within_s=_END_WITHIN_S)
        self._path.unlink(missing_ok=True)
        return sorted(left.values())

    @property
    def _path(self) -> Path:
        return self.home / "processes.json"

    def _leftovers(self) -> Iterator[tuple[psutil.Process, str]]:
        # Ignore an unreadable file, as after a full disk: children also end when the pipe to their `up` closes.
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            for entry in json.loads(self._path.read_text()):
                with contextlib.suppress(psutil.NoSuchProcess):
                    process = psutil.Process(entry["pid"])
                    if abs(process.create_time() - entry["started"]) < _SAME_START_S:
                        yield process, entry["name"]


@contextlib.contextmanager
def lock_home(home: Path) -> Iterator[HomeLock]:
    """Lock *home* for the time of the block, and create it when it is missing.

    Raises:
        ConfigInvalid: Another `up` uses *home*, *home* cannot be written, or another user can write it.
    """
    require_safe(home)  # Before it is created, too, so that nothing is left behind in a folder of another user.
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        require_safe(home)
        lock = open_lock(home / "up.lock")
    except OSError as error:
        message = f"{home} cannot be used: {error.strerror}"
        raise ConfigInvalid([Problem(key="TRADEWIRE_HOME", message=message)]) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            way_out = "`tradewire down` stops it, or set TRADEWIRE_HOME to another folder"
            message = f"another `tradewire up` runs in {home}{_address(home)}; {way_out}"
            raise ConfigInvalid([Problem(key="TRADEWIRE_HOME", message=message)]) from None
        yield HomeLock(home)


def _address(home: Path) -> str:
    with contextlib.suppress(ConfigInvalid):
        services = running_services(home)
        if services is not None and services.web_url is not None:
            return f", {services.web_url}"
    return ""
