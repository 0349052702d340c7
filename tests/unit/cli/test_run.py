"""The command ends with one line, not with a traceback, whatever its folder and its streams are."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pipeline.entrypoints.cli import run


def test_a_removed_working_folder_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "removed"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    monkeypatch.setattr(sys, "argv", ["tradewire", "config", "check"])

    with pytest.raises(SystemExit) as ended:
        run.main()

    assert ended.value.code == 2
    assert capsys.readouterr().err == "tradewire: the working folder was removed: change to another one\n"
