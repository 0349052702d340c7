"""The names of the accounts that a command acts on never come from another user's file."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.schema.settings import Settings
from pipeline.model.errors import ConfigInvalid
from pipeline.startup.acting import modes
from pipeline.startup.arguments import names_of


def in_file(folder: Path, text: str = '[executors.theirs]\nmode = "paper"\n') -> Settings:
    path = folder / "executors.toml"
    path.write_text(text)
    return Settings(executors=path, home=folder)


@pytest.mark.parametrize(("executor", "every"), [(None, True), ("theirs", False)])
def test_a_file_that_others_can_write_names_no_account(tmp_path: Path, executor: str | None, *, every: bool) -> None:
    settings = in_file(tmp_path)
    assert names_of(settings, executor, every=every) == ["theirs"]
    settings.executors.chmod(0o666)

    with pytest.raises(ConfigInvalid, match="other users can write to it"):
        names_of(settings, executor, every=every)
    assert modes(settings) == {}


def test_a_file_without_a_table_of_executors_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match="executors is not a table"):
        names_of(in_file(tmp_path, "executors = 5\n"), "argo", every=False)


def test_a_byte_order_mark_before_the_first_table_is_no_fault(tmp_path: Path) -> None:
    settings = in_file(tmp_path, '\ufeff[executors.theirs]\nmode = "paper"\n')

    assert names_of(settings, None, every=True) == ["theirs"]
    assert modes(settings) == {"theirs": "paper"}


@pytest.mark.parametrize("text", ["executors = {", "\udcff", "executors = 5"])
def test_the_modes_of_a_file_that_cannot_be_read_are_unknown(tmp_path: Path, text: str) -> None:
    settings = in_file(tmp_path)
    settings.executors.write_text(text, errors="surrogateescape")

    with pytest.raises(ConfigInvalid, match=str(settings.executors)):
        names_of(settings, "theirs", every=False)
    assert modes(settings) == {}
