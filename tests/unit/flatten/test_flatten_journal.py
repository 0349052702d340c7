"""A keeper imports a journal only after its writer has ended."""

from __future__ import annotations

import errno
import fcntl
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pipeline.store.rows import Mode
from workers.flatten.journal import FlattenJournal, JournalHeader, finished, pending_journals


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
