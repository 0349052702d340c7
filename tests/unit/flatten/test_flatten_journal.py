"""A keeper imports a journal only after its writer has ended."""

from __future__ import annotations

import errno
import fcntl
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pipeline.entrypoints.doctor.journals import check_journals
from pipeline.model.orders import OrderSide
from pipeline.store.record import Record
from pipeline.store.rows import Mode
from tests.rule_cases import position
from workers.flatten.direct import closing_order
from workers.flatten.journal import (
    FlattenJournal,
    JournalHeader,
    damaged_journals,
    finished,
    pending_journals,
    read_journal,
)
from workers.flatten.journal_import import import_journals
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
    assert read_journal(path).header == header()
    with finished(path) as ready:
        assert ready


@pytest.mark.parametrize(
    "text",
    [
        b"[]",
        b"5",
        b'{"a":1}',
        b'{"event":"began"}',
        b'{"event":"order","request":[]}',
        b"\xff\xfe",
        b"x",
        b"",
        b"[" * 9999,
    ],
)
def test_a_damaged_line_is_passed_over_and_its_number_is_kept(tmp_path: Path, text: bytes) -> None:
    journal = FlattenJournal(tmp_path, header())
    order = closing_order(position(3), OrderSide.SELL)
    request = order.request.to_json()
    journal.write("order", execution_id=order.execution_id, request=request, reference_price="100")
    journal.close()
    began, sent = journal.path.read_bytes().splitlines()
    journal.path.write_bytes(b"\n".join([began, text, sent, b'{"event":"order","execu']))

    told = read_journal(journal.path)

    assert (told.header, list(told.orders), told.damaged) == (header(), [order.execution_id], [2])


def test_the_import_goes_on_after_a_damaged_file_and_doctor_names_it(tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    folder.mkdir()
    for number, content in enumerate((b"[]\n", b"\xff\n", b"cut off")):
        (folder / f"flatten-argo-{number}.jsonl").write_bytes(content)
    os.mkfifo(folder / "flatten-argo-3.jsonl")
    (folder / "flatten-argo-4.jsonl").mkdir()

    with Record("postgresql://nobody@127.0.0.1:1/nothing", connections=1) as record:
        assert import_journals(record, tmp_path, by="keeper") == 3

    names = [folder / f"flatten-argo-{number}.jsonl.damaged" for number in (0, 1)]
    assert damaged_journals(tmp_path) == names
    [finding] = check_journals(tmp_path)
    assert all(str(name) in finding.saw for name in names)
