"""Migrate the record while other processes are being started."""

import threading
import time
from collections.abc import Callable

from pipeline.model.errors import ConfigInvalid, NotPossible, RecordUnavailable
from pipeline.store.migrate import migrate

#: Seconds to wait for PostgreSQL: one that `up` does not run may be starting too.
_WAIT_S = 30.0

#: Checks at a database URL whether processes may start. Raises ConfigInvalid when they may not.
Gate = Callable[[str], None]


class MigrationThread:
    """Runs the migrations of one start and then the gate, in a thread of its own."""

    def __init__(self, database_url: str, gate: Gate) -> None:
        #: Why the record cannot be used. Set before `over`, like `refusal`.
        self.failure: str | None = None
        #: Why no process may start.
        self.refusal: ConfigInvalid | None = None
        self._gate = gate
        self.over = threading.Event()
        threading.Thread(target=self._run, args=(database_url,), name="migration", daemon=True).start()

    def _run(self, database_url: str) -> None:
        deadline = time.monotonic() + _WAIT_S
        try:
            while not self._migrated(database_url, deadline):
                time.sleep(0.5)
            self._gate(database_url)
        except ConfigInvalid as error:
            self.refusal = error
        except (RecordUnavailable, NotPossible) as error:
            self.failure = str(error)
        finally:
            self.over.set()

    def _migrated(self, database_url: str, deadline: float) -> bool:
        try:
            migrate(database_url)
        except RecordUnavailable:
            if time.monotonic() > deadline:
                raise
            return False
        return True
