"""As root, `up` changes nothing outside the home without a person's consent."""

from __future__ import annotations

import os
import pwd
import stat
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest

from pipeline.entrypoints.supervisor.servers import accounts
from pipeline.entrypoints.supervisor.servers.accounts import closed_folders, initdb_account, postgres_account
from pipeline.entrypoints.supervisor.servers.postgres import Postgres
from pipeline.entrypoints.supervisor.servers.way import open_way
from pipeline.model.errors import ConfigInvalid

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root has these rights to give")


class Terminal(StringIO):
    """A terminal at which a person has typed something."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def closed(tmp_path: Path) -> Path:
    """A folder that contains a home and is closed to other users, inside folders that are open."""
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    folder = tmp_path / "closed"
    (folder / ".tradewire/postgres").mkdir(mode=0o700, parents=True)
    folder.chmod(0o700)
    return folder


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_without_a_word_the_guard_refuses_and_opens_only_the_home(closed: Path) -> None:
    with pytest.raises(ConfigInvalid) as caught:
        Postgres(closed / ".tradewire/postgres").prepare()

    (problem,) = caught.value.problems
    assert problem.key == "--user"
    assert str(closed) in problem.message
    assert mode(closed) == 0o700


@pytest.mark.parametrize("stdin", [StringIO("y\n"), Terminal("n\n"), Terminal("\n")])
def test_nothing_is_opened_without_a_terminal_or_without_a_yes(
    closed: Path, monkeypatch: pytest.MonkeyPatch, stdin: StringIO
) -> None:
    monkeypatch.setattr(sys, "stdin", stdin)

    open_way(closed / ".tradewire", None, say=pytest.fail)

    assert mode(closed) == 0o700


def test_with_a_yes_each_opened_folder_is_named(closed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal("y\n"))
    said: list[str] = []

    open_way(closed / ".tradewire", None, say=said.append)

    assert mode(closed) == 0o701
    # The folders above it, which pytest made, may be closed too.
    assert [str(closed) in line for line in said].count(True) == 1


def test_with_a_named_user_the_folders_are_opened_and_named(closed: Path) -> None:
    said: list[str] = []

    open_way(closed / ".tradewire", "nobody", say=said.append)

    assert mode(closed) == 0o701
    assert [str(closed) in line for line in said] == [True]


def test_a_user_that_does_not_exist_is_refused_and_not_created(closed: Path) -> None:
    with pytest.raises(ConfigInvalid, match="no user"):
        postgres_account("no-such-user-here")
    with pytest.raises(KeyError):
        pwd.getpwnam("no-such-user-here")


def test_without_a_user_of_its_own_postgresql_runs_under_a_number_that_no_user_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(accounts, "ACCOUNT", "no-such-user-here")

    account = postgres_account(None)

    assert account is not None
    with pytest.raises(KeyError):
        pwd.getpwuid(account.user)
    creator = initdb_account(account)
    assert creator is not None
    assert pwd.getpwuid(creator.user).pw_uid == creator.user


def test_initdb_runs_as_no_user_of_which_another_process_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    nameless = accounts.UnixAccount(61000, 61000)
    before = initdb_account(nameless)
    assert before is not None
    with subprocess.Popen(["sleep", "60"], user=before.user, group=before.group, extra_groups=[]) as other:
        beside = initdb_account(nameless)
        monkeypatch.setattr(accounts, "_UNUSED_BY_MOST", ("no-such-user-here", pwd.getpwuid(before.user).pw_name))
        with pytest.raises(ConfigInvalid, match="useradd --system tradewire-postgres"):
            initdb_account(nameless)
        other.kill()

    assert beside is not None
    assert beside.user != before.user


def test_a_folder_that_belongs_to_postgresqls_user_is_open_to_it(closed: Path) -> None:
    account = postgres_account("nobody")
    assert account is not None
    os.chown(closed, account.user, account.group)

    assert closed not in closed_folders(account, [closed / ".tradewire/postgres/cluster"])
