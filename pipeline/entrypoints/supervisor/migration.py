"""Migrate the record while other processes are being started."""

import threading
import time
from collections.abc import Callable
from itertools import count

from pipeline.model.backoff import Backoff
from pipeline.model.errors import ConfigInvalid, NotPossible, RecordUnavailable
from pipeline.store.migrate import migrate

_BACKOFF = Backoff(first_s=0.5, longest_s=5.0)

#: Checks the record at a database URL. Raises ConfigInvalid when the processes that need it may not start.
Gate = Callable[[str], None]


class MigrationThread:
    """Runs the migrations and then the gate, once, in a thread of its own.

    While PostgreSQL is away, it tries again without a time limit, and reports this once.
    """

    def __init__(self, database_url: str, gate: Gate, *, report: Callable[[str], None]) -> None:
        #: Why the record cannot be used; None if it can. `failure` and `refusal` are final when `over` is set.
        self.failure: str | None = None
        #: Why the processes that need the record may not start; None if they may.
        self.refusal: ConfigInvalid | None = None
        self._gate = gate
        self._report = report
        self.over = threading.Event()
        threading.Thread(target=self._run, args=(database_url,), name="migration", daemon=True).start()

    def _run(self, database_url: str) -> None:
        try:
            for tries in count(1):
                try:
                    migrate(database_url)
                    self._gate(database_url)
                    break
                except RecordUnavailable as error:
                    if tries == 1:
                        self._report(f"{error}; waiting for it")
                    time.sleep(_BACKOFF.after(tries))
        except ConfigInvalid as error:
            self.refusal = error
        except NotPossible as error:
            self.failure = str(error)
        finally:
            self.over.set()
