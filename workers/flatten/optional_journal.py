"""Keep the journal of `flatten --direct` for as long as it can be written. An account is closed without one, too."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from workers.flatten.journal import FlattenJournal, JournalHeader, journal_name


class OptionalJournal:
    """A journal that gives up, with one line for the person, when the disk is full or its folder cannot be written.

    After that nothing is written, so an incomplete line stays the last one. The journal lacks all later orders.
    """

    def __init__(self, home: Path, header: JournalHeader, say: Callable[[str], None]) -> None:
        self._say = say
        self._journal: FlattenJournal | None = None
        #: The name of the file without its ending, also if there is no file.
        self.name = journal_name(header)
        #: None: no file was written.
        self.path: Path | None = None
        try:
            self._journal = FlattenJournal(home, header)
            self.path = self._journal.path
        except OSError as error:
            self._give_up(home, error)

    def write(self, event: str, **facts: Any) -> None:
        """Append one line and force it to the disk, unless the journal was given up."""
        if self._journal is None:
            return
        try:
            self._journal.write(event, **facts)
        except OSError as error:
            self._give_up(self._journal.path, error)
            self.close()

    def close(self) -> None:
        """Close the file and release its lock."""
        if self._journal is not None:
            self._journal.close()
        self._journal = None

    def _give_up(self, path: Path, error: OSError) -> None:
        self._say(f"the journal cannot be written to {path}, so it lacks what follows: {error.strerror or error}")
