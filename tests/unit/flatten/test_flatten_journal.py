"""A keeper imports a journal only after its writer has ended."""

from __future__ import annotations

import errno
import fcntl
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pipeline.store.rows import Mode
from workers.flatten.journal import FlattenJournal, JournalHeader, finished, pending_journals, read_journal
from workers.flatten.optional_journal import OptionalJournal


def header() -> JournalHeader:
    return JournalHeader(
        executor_id="argo",
        mode=Mode.PAPER,
        account_number="PA1",
        by="ann@desk",
        why="fire",
        halted=False,
        began_at=datetime(2026, 1, 30, 15, tzinfo=UTC),
    )


def test_a_journal_does_not_replace_another_one(tmp_path: Path) -> None:
    journal = FlattenJournal(tmp_path, header())
    before = journal.path.read_bytes()

    with pytest.raises(FileExistsError):
        FlattenJournal(tmp_path, header())

    assert journal.path.read_bytes() == before
    journal.close()


def test_a_journal_cannot_be_found_before_it_is_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[list[Path]] = []
    lock = fcntl.flock

    def flock(file: Any, operation: int) -> None:
        found.append(pending_journals(tmp_path))
        lock(file, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    journal = FlattenJournal(tmp_path, header())
    monkeypatch.undo()

    assert found == [[]]
    assert pending_journals(tmp_path) == [journal.path]
    with finished(journal.path) as ready:
        assert not ready
    journal.close()
    with finished(journal.path) as ready:
        assert ready


def test_a_file_system_without_links_takes_a_journal_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, _target: Path) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted", str(path))

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    journal = FlattenJournal(tmp_path, header())

    assert pending_journals(tmp_path) == [journal.path]
    with finished(journal.path) as ready:
        assert not ready
    with pytest.raises(PermissionError):
        FlattenJournal(tmp_path, header())
    journal.close()


def test_where_no_journal_can_be_written_one_line_says_so(tmp_path: Path) -> None:
    said: list[str] = []
    home = tmp_path / "home"
    home.write_text("a file")

    journal = OptionalJournal(home, header(), said.append)
    journal.write("ended", flat=True)
    journal.close()

    assert (journal.path, len(said)) == (None, 1)
    assert "so it lacks what follows: Not a directory" in said[0]
    assert journal.name == "flatten-argo-20260130T150000000000Z"


def test_on_a_full_disk_a_journal_ends_and_says_so_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    journal = OptionalJournal(tmp_path, header(), said.append)

    def refuse(_file: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    journal.write("ended", flat=True)
    journal.write("ended", flat=True)

    assert said == [
        f"the journal cannot be written to {journal.path}, so it lacks what follows: No space left on device"
    ]
    [path] = pending_journals(tmp_path)
    assert read_journal(path) is not None
    with finished(path) as ready:
        assert ready
