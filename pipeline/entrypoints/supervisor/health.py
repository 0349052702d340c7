"""Ask the health routes of the processes of `up`, and trust only an answer that carries this `up`'s nonce."""

import contextlib
import http.client
import threading
import time
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from pipeline.startup.listening import NONCE_HEADER

_TIMEOUT_S = 1.0
#: Seconds between two checks: while a process has not answered yet, while one no longer does, and while all do.
_STARTING_S, _AGAIN_S, _USUAL_S = 0.2, 1.0, 5.0
#: A process that answered before, and has failed all checks for this long, is silent. With the usual time between two
#: checks, that is 10 to 16 s after its last moment.
SILENT_AFTER_S = 10.0
_REPEAT_AFTER_S = 60.0


class HealthWatch:
    """Asks the health routes of *addresses* (URL by name) in a thread of its own."""

    def __init__(self, addresses: Mapping[str, str], *, nonce: str, report: Callable[[str], None]) -> None:
        #: The processes that answered the last request with this `up`'s nonce.
        self.answered: frozenset[str] = frozenset()
        #: The processes that answered before, and have not answered for `SILENT_AFTER_S`.
        self.silent: frozenset[str] = frozenset()
        self._addresses = addresses
        self._failing_since: dict[str, float] = {}
        self._came_up: frozenset[str] = frozenset()
        self._nonce = nonce
        self._report = report
        self._reported_at: dict[str, float] = {}
        self._stop = threading.Event()
        if addresses:
            threading.Thread(target=self._run, name="health", daemon=True).start()

    @property
    def missing(self) -> list[str]:
        """Return the processes that do not answer, or at whose address another program answers."""
        return [name for name in self._addresses if name not in self.answered]

    def close(self) -> None:
        """End the thread."""
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.is_set():
            self.answered = frozenset(name for name, url in self._addresses.items() if self._is_ours(name, url))
            self._came_up |= self.answered
            self.silent = self._find_silent()
            starting = len(self._came_up) < len(self._addresses)
            self._stop.wait(_STARTING_S if starting else _AGAIN_S if self.missing else _USUAL_S)

    # The time counts from the first failed check: when this process itself was stopped for a while, nothing was asked.
    def _find_silent(self) -> frozenset[str]:
        now = time.monotonic()
        failing = self._came_up - self.answered
        self._failing_since = {name: self._failing_since.get(name, now) for name in failing}
        return frozenset(name for name, since in self._failing_since.items() if now - since >= SILENT_AFTER_S)

    def _is_ours(self, name: str, url: str) -> bool:
        answers, nonce = ask_health(url)
        if answers and nonce != self._nonce:
            now = time.monotonic()
            if now - self._reported_at.get(name, float("-inf")) >= _REPEAT_AFTER_S:
                self._reported_at[name] = now
                self._report(f"{name}: ANOTHER program answers at {url}; stop this `up`, then start it again")
        return answers and nonce == self._nonce


def ask_health(url: str, *, timeout_s: float = _TIMEOUT_S) -> tuple[bool, str | None]:
    """Return whether a server at *url* answers, and the nonce in its answer."""
    with contextlib.closing(http.client.HTTPConnection(urlsplit(url).netloc, timeout=timeout_s)) as connection:
        try:
            connection.request("GET", "/health")
            return True, connection.getresponse().getheader(NONCE_HEADER)
        except (OSError, http.client.HTTPException):
            return False, None
