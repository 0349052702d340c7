from __future__ import annotations

import os
import stat
import time
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import pytest

from config.login_link import make_login_link, use_login_link


def code_of(home: Path) -> str:
    return make_login_link(home, "http://127.0.0.1:8000").rpartition("/")[2]


def test_a_link_logs_in_once(tmp_path: Path) -> None:
    code = code_of(tmp_path)

    with ThreadPoolExecutor(8) as pool:
        used = list(pool.map(lambda _: use_login_link(tmp_path, code), range(40)))

    assert sum(used) == 1
    assert list(tmp_path.iterdir()) == []


def test_the_file_holds_no_code_and_is_its_owners(tmp_path: Path) -> None:
    code = code_of(tmp_path)
    (path,) = tmp_path.iterdir()

    assert code not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("wrong", ["", "x", "\ud800", "../login-link"])
def test_a_wrong_code_opens_nothing_and_leaves_the_link(tmp_path: Path, wrong: str) -> None:
    code = code_of(tmp_path)

    assert not use_login_link(tmp_path, wrong)
    assert use_login_link(tmp_path, code)


def test_an_old_link_and_the_one_before_the_last_open_nothing(tmp_path: Path) -> None:
    first, second = code_of(tmp_path), code_of(tmp_path)
    assert not use_login_link(tmp_path, first)

    (path,) = tmp_path.iterdir()
    os.utime(path, (time.time() - 3600, time.time() - 3600))
    assert not use_login_link(tmp_path, second)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")
def test_a_link_that_another_user_wrote_opens_nothing(tmp_path: Path) -> None:
    path = tmp_path / "login-link"
    path.write_text(sha256(b"EVIL").hexdigest())
    path.chmod(0o600)
    os.chown(path, 65534, 65534)

    assert not use_login_link(tmp_path, "EVIL")


def test_a_file_that_others_may_write_opens_nothing(tmp_path: Path) -> None:
    code = code_of(tmp_path)
    (tmp_path / "login-link").chmod(0o666)

    assert not use_login_link(tmp_path, code)


def test_a_symbolic_link_in_place_of_the_file_opens_nothing(tmp_path: Path) -> None:
    code = code_of(tmp_path)
    (tmp_path / "login-link").rename(tmp_path / "moved")
    (tmp_path / "login-link").symlink_to("moved")

    assert not use_login_link(tmp_path, code)
