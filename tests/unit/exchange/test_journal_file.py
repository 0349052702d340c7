"""The file of the paper exchange is for its owner only."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from workers.exchange.journal import ExchangeJournal


def modes(home: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in home.glob("exchange.sqlite3*")}


def test_no_other_user_can_read_or_lock_the_journal(tmp_path: Path) -> None:
    """Who may read a file may lock it. With a lock on the index, the exchange could write nothing, and ended."""
    before = os.umask(0)
    try:
        journal = ExchangeJournal(tmp_path)
    finally:
        os.umask(before)

    assert modes(tmp_path) == dict.fromkeys(("exchange.sqlite3", "exchange.sqlite3-shm", "exchange.sqlite3-wal"), 0o600)
    journal.close()


def test_a_journal_of_an_earlier_release_is_closed_to_others(tmp_path: Path) -> None:
    ExchangeJournal(tmp_path).close()
    (tmp_path / "exchange.sqlite3").chmod(0o644)

    journal = ExchangeJournal(tmp_path)

    assert set(modes(tmp_path).values()) == {0o600}
    journal.close()
