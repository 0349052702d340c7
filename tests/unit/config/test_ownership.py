"""The files of other users are refused. Files of another user are made by root, who may give files away."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, cast

import pytest

from config.alerts import load_alerts
from config.executors import load_executors
from config.places import settings_for_up, shipped
from config.schema.ownership import ownership_problem
from config.schema.settings import executor_keys, load_settings
from config.webhooks import load_webhooks
from pipeline.entrypoints.supervisor.home_lock import lock_home
from pipeline.model.errors import ConfigInvalid

NOBODY = 65534
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")
ROOT = Path(__file__).parents[3]

#: What reads each configuration file of the working folder.
READERS: dict[str, Callable[[], object]] = {
    ".env": load_settings,
    "config/executors.toml": lambda: load_executors("config/executors.toml"),
    "config/mine.toml": lambda: load_executors("config/executors.toml"),
    "config/webhooks.toml": lambda: load_webhooks(load_settings()),
    "config/alerts.toml": lambda: load_alerts(load_settings()),
}
PACK = '\npack = "mine.toml"\n'


@pytest.fixture
def folder(tmp_path: Path, smallest: str) -> Path:
    """The working folder, with every kind of configuration file."""
    (tmp_path / "config").mkdir()
    (tmp_path / ".env").write_text("PORT=1\n")
    text = smallest.replace("[executors.argo]", "[executors.argo]" + PACK, 1)
    (tmp_path / "config/executors.toml").write_text(text)
    (tmp_path / "config/mine.toml").write_text('name = "m"\ndescription = "d"\n[limits]\nopen_positions = 5\n')
    (tmp_path / "config/webhooks.toml").write_text("")
    (tmp_path / "config/alerts.toml").write_text("")
    return tmp_path


def given_away(path: Path) -> Path:
    os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
    return path


def refusal(read: Callable[[], object]) -> str:
    with pytest.raises(ConfigInvalid) as caught:
        read()
    (problem,) = caught.value.problems
    return str(problem)


@pytest.mark.parametrize("name", READERS)
def test_files_of_this_user_are_read(folder: Path, name: str) -> None:
    READERS[name]()


@AS_ROOT
@pytest.mark.parametrize("name", READERS)
def test_a_file_of_another_user_is_refused_with_its_owner_and_the_remedy(folder: Path, name: str) -> None:
    path = given_away(folder / name)

    said = refusal(READERS[name])

    assert name in said
    assert "belongs to the user nobody; run `chown -h root " + str(path) in said
    assert "\n" not in said


@pytest.mark.parametrize("name", READERS)
def test_a_file_that_others_may_write_is_refused(folder: Path, name: str) -> None:
    (folder / name).chmod(0o666)

    assert f"other users can write to it; run `chmod go-w {folder / name}`" in refusal(READERS[name])


@pytest.mark.parametrize("name", READERS)
def test_a_file_in_a_folder_that_others_may_write_is_refused(folder: Path, name: str) -> None:
    (folder / name).parent.chmod(0o777)

    assert f"is in {(folder / name).parent}, which belongs to" in refusal(READERS[name])


@AS_ROOT
def test_a_file_in_the_folder_of_another_user_is_refused(folder: Path) -> None:
    given_away(folder / "config")

    assert f"is in {folder / 'config'}, which belongs to the user nobody" in refusal(READERS["config/executors.toml"])


def test_in_a_sticky_folder_files_of_this_user_are_read(folder: Path) -> None:
    folder.chmod(0o1777)

    assert load_settings().port == 1
    with lock_home(folder / ".tradewire"):
        pass


@AS_ROOT
def test_a_link_to_the_file_of_another_user_is_refused(folder: Path) -> None:
    real = given_away((folder / ".env").rename(folder / "real"))
    (folder / ".env").symlink_to(real)

    assert f".env: leads to {real}, which belongs to the user nobody" in refusal(load_settings)


@pytest.mark.parametrize("name", READERS)
def test_a_file_far_below_a_folder_that_others_may_write_is_refused(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Another user could rename a folder above, and put a folder with other files of this user in its place."""
    (tmp_path / "a/b/c").mkdir(parents=True)
    for each in (".env", "config"):
        (tmp_path / each).rename(tmp_path / "a/b/c" / each)
    monkeypatch.chdir(tmp_path / "a/b/c")
    READERS[name]()

    (tmp_path / "a").chmod(0o777)

    assert f"is in {tmp_path / 'a'}, which belongs to" in refusal(READERS[name])


@AS_ROOT
def test_a_link_of_another_user_behind_a_link_of_this_user_is_refused(folder: Path) -> None:
    (folder / "real").mkdir()
    (folder / ".env").rename(folder / "real/.env")
    (folder / "hop").symlink_to("real")
    (folder / ".env").symlink_to("hop/.env")
    assert load_settings().port == 1

    given_away(folder / "hop")

    assert f".env: leads through {folder / 'hop'}, which belongs to the user nobody" in refusal(load_settings)


@AS_ROOT
def test_a_step_up_out_of_the_folder_of_another_user_is_refused(folder: Path) -> None:
    (folder / "theirs").mkdir()
    given_away(folder / "theirs")

    assert f"is in {folder / 'theirs'}, which" in refusal(lambda: load_settings("theirs/../.env"))


def test_links_in_a_circle_end(folder: Path) -> None:
    (folder / "here").symlink_to("there")
    (folder / "there").symlink_to("here")

    assert ownership_problem(folder / "here/.env") is None


def test_a_file_that_is_replaced_while_it_is_opened_is_not_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "other").write_text("PORT=2")
    whole = Path.open

    def swapped(path: Path, mode: str) -> BinaryIO:
        file = cast("BinaryIO", whole(path, mode))
        (folder / "other").replace(path)
        return file

    monkeypatch.setattr(Path, "open", swapped)

    assert "was replaced while it was opened" in refusal(load_settings)


def test_the_variables_are_those_of_the_file_that_was_checked(folder: Path) -> None:
    (folder / ".env").write_text("ARGO_API_KEY=mine\nARGO_API_SECRET=mine")
    read, absent = load_settings(), load_settings(folder / "later.env")
    for name in (".env", "later.env"):
        (folder / name).write_text("ARGO_API_KEY=theirs\nARGO_API_SECRET=theirs")
        (folder / name).chmod(0o666)

    keys = executor_keys(read, "argo")

    assert keys is not None
    assert keys[0] == "mine"
    assert executor_keys(absent, "argo") is None


@pytest.mark.skipif(sys.platform != "linux", reason="Python reads access lists on Linux only")
def test_an_access_list_that_lets_another_user_write_is_refused(folder: Path) -> None:
    """The list shows only as write access of this user's own group."""
    user, named, group, mask, other = (
        (1, 6, 2**32 - 1),
        (2, 6, NOBODY),
        (4, 4, 2**32 - 1),
        (16, 6, 2**32 - 1),
        (32, 0, 0),
    )
    entries = b"".join(struct.pack("<HHI", *entry) for entry in (user, named, group, mask, other))
    try:
        os.setxattr(folder / ".env", "system.posix_acl_access", struct.pack("<I", 2) + entries)
    except OSError:
        pytest.skip("this file system has no access lists")
    assert (folder / ".env").stat().st_gid == os.getegid()

    assert "other users can write to it; run `chmod go-w" in refusal(load_settings)


@AS_ROOT
@pytest.mark.parametrize("linked", [".env", "config", ".tradewire"])
def test_a_link_that_another_user_made_is_refused_whatever_it_leads_to(folder: Path, linked: str) -> None:
    """In a sticky folder, it would choose among this user's own files, such as those of real money."""
    (folder / ".tradewire").mkdir(0o700)
    (folder / linked).rename(folder / "real")
    (folder / linked).symlink_to("real")
    given_away(folder / linked)
    folder.chmod(0o1777)

    def up() -> None:
        load_executors(settings_for_up().executors)

    assert "belongs to the user nobody" in refusal(up)


def test_a_link_of_this_user_is_followed(folder: Path) -> None:
    (folder / "elsewhere").mkdir()
    (folder / ".env").rename(folder / "elsewhere/real")
    (folder / ".env").symlink_to("elsewhere/real")

    assert load_settings().port == 1


def test_a_pipe_of_the_shell_is_read(folder: Path) -> None:
    command = "from config.webhooks import load_webhooks as w; from config.schema.settings import load_settings as s"
    run = f"TRADEWIRE_WEBHOOKS=<(echo) {sys.executable} -c '{command}; print(list(w(s())))'"

    done = subprocess.run(
        ["bash", "-c", run], capture_output=True, text=True, check=False, cwd=folder, env={"PYTHONPATH": str(ROOT)}
    )

    assert (done.stdout, done.stderr) == ("['tradingview']\n", "")


def test_a_group_may_write_only_if_it_is_the_users_own(folder: Path) -> None:
    (folder / ".env").chmod(0o664)
    assert ownership_problem(folder / ".env") is None

    others = [group for group in (os.getgroups() if os.geteuid() else [NOBODY]) if group != os.getegid()]
    if not others:
        pytest.skip("this user has no second group")
    os.chown(folder / ".env", -1, others[0])
    assert "chmod go-w" in str(ownership_problem(folder / ".env"))


@AS_ROOT
def test_with_sudo_the_files_of_its_caller_are_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given_away(folder / ".env")
    monkeypatch.setenv("SUDO_UID", str(NOBODY))

    assert load_settings().port == 1


def test_the_shipped_files_are_read_from_any_owner() -> None:
    assert ownership_problem(shipped("executors.toml")) is None


@AS_ROOT
@pytest.mark.parametrize("start", [settings_for_up, lambda: lock_home(Path(".tradewire")).__enter__()])
def test_a_home_of_another_user_is_refused(tmp_path: Path, start: Callable[[], object]) -> None:
    (tmp_path / ".tradewire").mkdir(0o755)
    given_away(tmp_path / ".tradewire")

    assert ".tradewire: belongs to the user nobody; run `chown -h root" in refusal(start)
    assert list((tmp_path / ".tradewire").iterdir()) == []


@pytest.mark.parametrize("mode", [0o777, 0o1777])
def test_a_home_that_others_may_write_is_refused(tmp_path: Path, mode: int) -> None:
    (tmp_path / ".tradewire").mkdir()
    (tmp_path / ".tradewire").chmod(mode)

    assert "chmod go-w" in refusal(lambda: lock_home(Path(".tradewire")).__enter__())


def test_no_home_is_created_in_a_folder_where_others_may_replace_it(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)

    assert f"is in {tmp_path}, which belongs to" in refusal(lambda: lock_home(Path(".tradewire")).__enter__())
    assert list(tmp_path.iterdir()) == []


@AS_ROOT
@pytest.mark.parametrize("named", [True, False])
def test_up_refuses_what_another_user_planted(folder: Path, *, named: bool) -> None:
    planted = [folder / ".tradewire"] if named else [folder / ".env", folder / "config", *folder.glob("config/*")]
    (folder / ".tradewire").mkdir(0o777)
    for path in planted:
        given_away(path)
    folder.chmod(0o1777)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TRADEWIRE_")}

    done = subprocess.run(
        [sys.executable, "-m", "pipeline.entrypoints.cli", "up", "--for", "1", "--source", "none"],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={**kept, "PYTHONPATH": str(ROOT)} | ({"TRADEWIRE_HOME": str(folder / ".tradewire")} if named else {}),
    )

    assert done.returncode == 2
    assert "belongs to the user nobody" in done.stderr
    assert list((folder / ".tradewire").iterdir()) == []
