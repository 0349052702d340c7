"""Set the data of a home aside, so that the next `up` starts with an empty record."""

from datetime import UTC, datetime
from pathlib import Path

from config.services import FILE_NAME
from pipeline.entrypoints.supervisor.home_lock import lock_home

#: The prefix of the folders that earlier resets made.
_KEPT = "kept-"
#: Files that a reset leaves in place, as they hold no data: the lock, and the addresses with the token.
_STAYS = ("up.lock", FILE_NAME)


def set_aside(home: Path) -> Path:
    """Move the data in *home* into a new folder there, and return that folder. No `up` can start meanwhile.

    Raises:
        ConfigInvalid: An `up` runs there, or the home cannot be used.
    """
    with lock_home(home):
        kept = home / f"{_KEPT}{datetime.now(UTC):%Y%m%dT%H%M%S%f}"
        kept.mkdir(mode=0o700)
        for entry in sorted(home.iterdir()):
            if entry.name not in _STAYS and not entry.name.startswith(_KEPT):
                entry.rename(kept / entry.name)
    return kept
