"""The source of the drill's signals: gives each of a ledger's signals when it is due.

After a restart it gives everything that is due from the beginning again: their `source_id` makes that harmless,
and a drill that lost its place in the ledger would lose signals for a reason that is not the system's.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path

from pipeline.entrypoints.drill.sending import SOURCE, DrillSignal, read_ledger
from pipeline.intake.sources.protocol import Item, SourceContext
from pipeline.model.errors import ConfigInvalid, Problem


class DrillSource:
    """The signals of one ledger file, which may appear later."""

    name = SOURCE
    cadence_s = 0.0
    pause_s = 0.02
    finished = False

    def __init__(self, path: Path) -> None:
        self._path = path
        self._ledger: list[DrillSignal] = []
        self._given = 0

    def poll(self, stop: threading.Event) -> Sequence[Item]:
        """Return what has become due."""
        del stop  # It never waits.
        if not self._ledger:
            self._ledger = list(read_ledger(self._path))
        now, begins = time.time(), self._given
        while self._given < len(self._ledger) and self._ledger[self._given].due <= now:
            self._given += 1
        return [sent.body for sent in self._ledger[begins : self._given]]

    def close(self) -> None:
        """Nothing is held open."""


def open_source(context: SourceContext) -> DrillSource:
    """Open the ledger that *context* names; it need not exist yet.

    Raises:
        ConfigInvalid: None is named.
    """
    if not context.path:
        raise ConfigInvalid([Problem(key="TRADEWIRE_SOURCE_FILE", message="the drill source needs a ledger file")])
    return DrillSource(Path(context.path))
