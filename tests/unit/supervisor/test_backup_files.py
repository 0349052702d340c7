"""A backup is written into the file that was created, and read from a file of this user, whatever others put there."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from pipeline.entrypoints.supervisor import backups
from pipeline.entrypoints.supervisor.backups import read_backup, write_backup
from pipeline.model.errors import ConfigInvalid, NotPossible

#: Stands for pg_dump, during whose start another user has time to replace the unfinished file.
PG_DUMP = """#!/bin/sh
for last; do :; done
cd {folder}
for file in .*.unfinished; do {meanwhile}; done
case "$last" in --file=*) exec >"${{last#--file=}}" ;; esac
echo dump
"""


def pg_dump(monkeypatch: pytest.MonkeyPatch, folder: Path, *, meanwhile: str) -> None:
    program = folder / "pg_dump"
    program.write_text(PG_DUMP.format(folder=folder, meanwhile=meanwhile))
    program.chmod(0o700)
    monkeypatch.setattr(backups, "_program", lambda *_: str(program))


def test_a_backup_is_readable_by_its_owner_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pg_dump(monkeypatch, tmp_path, meanwhile=":")

    write_backup("postgresql://host/name", tmp_path / "a.backup")

    assert (tmp_path / "a.backup").read_text() == "dump\n"
    assert stat.S_IMODE((tmp_path / "a.backup").stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.backup", "pg_dump"]


@pytest.mark.parametrize(
    "meanwhile", ['rm "$file"; ln -s precious "$file"', 'rm "$file"; touch "$file"; chmod 666 "$file"']
)
def test_a_backup_is_not_written_into_what_another_user_put_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, meanwhile: str
) -> None:
    (tmp_path / "precious").write_text("mine")
    pg_dump(monkeypatch, tmp_path, meanwhile=meanwhile)

    with pytest.raises(NotPossible, match="another user replaces files"):
        write_backup("postgresql://host/name", tmp_path / "a.backup")

    assert (tmp_path / "precious").read_text() == "mine"


def test_a_backup_with_a_name_that_is_too_long_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(NotPossible, match="cannot be written: File name too long"):
        write_backup("postgresql://host/name", tmp_path / ("9" * 300))


def test_a_backup_that_others_may_write_is_not_restored(tmp_path: Path) -> None:
    (tmp_path / "a.backup").write_text("functions of another user")
    (tmp_path / "a.backup").chmod(0o666)

    with pytest.raises(ConfigInvalid, match="other users can write to it"):
        read_backup("postgresql://127.0.0.1:1/name", tmp_path / "a.backup", by="me")
