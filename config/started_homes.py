"""Remember in which homes a user has started `up`, so that commands find them from any folder."""

import contextlib
import hashlib
import os
from pathlib import Path


def remember_home(home: Path) -> None:
    """Note that `up` has just been started in *home*.

    Raises:
        OSError: The user's folder for such notes cannot be written.
    """
    notes = _notes()
    notes.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Each home has its own file, so that two homes that are started at once do not overwrite each other's note.
    note = notes / hashlib.sha256(os.fsencode(home)).hexdigest()[:16]
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
    with os.fdopen(os.open(note, flags, 0o600), "wb") as file:
        file.write(os.fsencode(home))


def started_homes() -> list[Path]:
    """Return the homes that were noted and still exist, the last started one first."""
    found = []
    with contextlib.suppress(OSError):
        for note in _notes().iterdir():
            with contextlib.suppress(OSError):
                home = Path(os.fsdecode(note.read_bytes()))
                if home.is_absolute() and home.is_dir():
                    found.append((note.stat().st_mtime_ns, home))
    return [home for _, home in sorted(found, reverse=True)]


def _notes() -> Path:
    state = os.environ.get("XDG_STATE_HOME") or _user_folder() / ".local/state"
    return Path(state) / "tradewire/homes"


def _user_folder() -> Path:
    try:
        return Path.home()
    except RuntimeError as error:
        raise FileNotFoundError("this user has no home folder") from error
