from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from pipeline.entrypoints.supervisor.home_lock import lock_home
from pipeline.model.errors import ConfigInvalid
from pipeline.startup.locks import open_lock


def test_a_lock_is_for_its_owner_only(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        open_lock(tmp_path / "a.lock").close()
    finally:
        os.umask(before)

    assert stat.S_IMODE((tmp_path / "a.lock").stat().st_mode) == 0o600


def test_the_list_of_processes_is_for_its_owner_only(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with lock_home(tmp_path) as home:
            home.record({"up": os.getpid()})
    finally:
        os.umask(before)

    assert stat.S_IMODE((tmp_path / "processes.json").stat().st_mode) == 0o600


def test_a_link_in_place_of_a_lock_is_not_followed(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("data")
    (tmp_path / "a.lock").symlink_to(precious)

    with pytest.raises(OSError, match="symbolic"):
        open_lock(tmp_path / "a.lock")
    assert precious.read_text() == "data"


def test_a_home_with_a_link_in_place_of_its_lock_is_refused(tmp_path: Path) -> None:
    (tmp_path / "up.lock").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(ConfigInvalid, match="cannot be used"), lock_home(tmp_path):
        pass
    assert not (tmp_path / "elsewhere").exists()
