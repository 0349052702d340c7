"""The source of the drill's signals: it returns each signal of a ledger when the signal is due.

After a restart it returns all due signals again from the beginning. Their `source_id` makes that harmless. It does not
store how many it has returned: a crash could lose that, and the drill would then lose signals through its own fault.
"""

import threading
import time
from collections.abc import Sequence
from pathlib import Path

from pipeline.entrypoints.drill.sending import SOURCE, DrillSignal, read_ledger
from pipeline.intake.sources.protocol import Item, SourceContext
from pipeline.model.errors import ConfigInvalid, Problem


class DrillSource:
    """The signals of one ledger file, which need not exist yet."""

    name = SOURCE
    cadence_s = 0.0
    pause_s = 0.02
    finished = False

    def __init__(self, path: Path) -> None:
        self._path = path
        self._ledger: list[DrillSignal] = []
        self._returned = 0

    def poll(self, stop: threading.Event) -> Sequence[Item]:
        """Return the signals that have become due since the last poll."""
        del stop  # This source never waits.
        if not self._ledger:
            self._ledger = list(read_ledger(self._path))
        now, begins = time.time(), self._returned
        while self._returned < len(self._ledger) and self._ledger[self._returned].due <= now:
            self._returned += 1
        return [sent.body for sent in self._ledger[begins : self._returned]]

    def close(self) -> None:
        """Do nothing: the file is not held open."""


def open_source(context: SourceContext) -> DrillSource:
    """Return the source for the ledger that *context* names. The file need not exist yet; polls read it.

    Raises:
        ConfigInvalid: no ledger is named.
    """
    if not context.path:
        raise ConfigInvalid([Problem(key="TRADEWIRE_SOURCE_FILE", message="the drill source needs a ledger file")])
    return DrillSource(Path(context.path))
