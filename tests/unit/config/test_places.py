from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from config.places import FILES, located_settings, require_home, settings_for_up, shipped
from config.schema import ownership
from config.schema.settings import load_settings
from config.services import Services, effective, write_services
from config.started_homes import remember_home, started_homes
from pipeline.model.errors import ConfigInvalid

OTHER = 12345
OURS = ("DATABASE_URL", "REDIS_URL", "PORT")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder of a user who has started nothing."""
    for name in [name for name in os.environ if name in OURS or name.startswith("TRADEWIRE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "user"))
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def a_folder(folder: Path) -> Path:
    """Write the files of `tradewire init` into *folder*, and return it."""
    for name, place in FILES.items():
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).write_bytes(shipped(name).read_bytes())
    return folder


def started_in(folder: Path, *, runs: bool = True, **files: Path) -> Path:
    """Return the home of an `up` that was started in *folder*; this process takes the place of `up`."""
    home = a_folder(folder) / ".tradewire"
    write_services(
        home,
        Services(
            database_url=f"postgresql://127.0.0.1/{folder.name}",
            folder=folder,
            pids={"up": os.getpid()} if runs else {},
            **{name: folder / FILES[f"{name}.toml"] for name in ("executors", "webhooks", "alerts")} | files,
        ),
    )
    remember_home(home)
    return home


def test_from_another_folder_the_running_home_and_its_files_are_found(tmp_path: Path) -> None:
    home = started_in(tmp_path / "one", executors=tmp_path / "named_by_a_variable.toml")

    settings = effective(located_settings(anywhere=True))

    assert settings.home == home
    assert settings.executors == tmp_path / "named_by_a_variable.toml"
    assert settings.last_started
    assert settings.database_url is not None
    assert settings.database_url.get_secret_value() == "postgresql://127.0.0.1/one"


def test_from_another_folder_the_keys_are_those_of_the_dot_env_beside_up(tmp_path: Path, elsewhere: Path) -> None:
    started_in(tmp_path / "one")
    (tmp_path / "one/.env").write_text("ARGO_API_KEY=of-up\n")
    (elsewhere / ".env").write_text("ARGO_API_KEY=of-another-program\n")

    assert located_settings(anywhere=True).environment()["ARGO_API_KEY"] == "of-up"


def test_after_up_has_ended_its_home_and_files_are_still_found(tmp_path: Path) -> None:
    home = started_in(tmp_path / "one", runs=False, executors=tmp_path / "named_by_a_variable.toml")

    settings = effective(located_settings(anywhere=True))

    assert (settings.home, settings.database_url) == (home, None)
    assert settings.executors == tmp_path / "named_by_a_variable.toml"


def test_a_command_that_trades_does_not_use_the_last_started_home(tmp_path: Path) -> None:
    started_in(tmp_path / "one")

    settings = effective(located_settings())

    assert settings.home == Path(".tradewire")
    assert settings.database_url is None


def test_with_two_running_homes_one_has_to_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = started_in(tmp_path / "one"), started_in(tmp_path / "two")

    with pytest.raises(ConfigInvalid) as caught:
        located_settings(anywhere=True)
    assert caught.value.problems[0].key == "TRADEWIRE_HOME"
    assert all(str(home) in str(caught.value) for home in (one, two))

    monkeypatch.setenv("TRADEWIRE_HOME", str(one))
    settings = effective(located_settings(anywhere=True))
    assert (settings.home, settings.executors) == (one, tmp_path / "one/config/executors.toml")


def test_the_running_home_is_found_before_a_later_one_that_has_ended(tmp_path: Path) -> None:
    running = started_in(tmp_path / "one")
    started_in(tmp_path / "two", runs=False)

    assert located_settings(anywhere=True).home == running


def test_the_working_folder_comes_before_the_last_started_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started_in(tmp_path / "one")
    monkeypatch.chdir(a_folder(tmp_path / "two"))

    settings = located_settings(anywhere=True)

    assert (settings.home, settings.last_started) == (Path(".tradewire"), False)


@pytest.mark.parametrize("name", ["DATABASE_URL", "TRADEWIRE_HOME"])
def test_a_system_that_the_environment_names_is_not_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    started_in(tmp_path / "one")
    monkeypatch.setenv(name, "postgresql://db.example/other")

    assert not located_settings(anywhere=True).last_started


def test_a_home_that_was_removed_is_forgotten(tmp_path: Path) -> None:
    home = started_in(tmp_path / "one", runs=False)
    (home / "services.json").unlink()
    home.rmdir()

    assert started_homes() == []
    assert not located_settings(anywhere=True).last_started


def test_up_without_files_uses_the_shipped_ones() -> None:
    settings = settings_for_up()

    assert settings.executors == shipped("executors.toml")
    assert (settings.webhooks, settings.alerts) == (shipped("webhooks.toml"), shipped("alerts.toml"))
    assert settings.home == Path(".tradewire")


def test_up_uses_the_users_folder_where_the_working_folder_has_no_files(tmp_path: Path) -> None:
    folder = a_folder(tmp_path / "user/tradewire")
    (folder / ".env").write_text("TRADEWIRE_ALERTS=mine.toml\n")

    settings = settings_for_up()

    assert settings.executors == folder / "config/executors.toml"
    assert (settings.home, settings.folder) == (folder / ".tradewire", folder)
    assert settings.alerts == folder / "mine.toml"


def test_up_never_takes_the_last_started_home(tmp_path: Path) -> None:
    started_in(tmp_path / "one", runs=False)

    assert settings_for_up().home == Path(".tradewire")


def test_a_missing_file_that_nothing_names_is_no_mistake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(a_folder(tmp_path / "one"))
    Path("config/alerts.toml").unlink()

    assert "alerts" not in settings_for_up().model_fields_set
    assert settings_for_up().alerts == load_settings().alerts


def test_beside_a_running_up_the_users_folder_is_not_taken_in_silence(tmp_path: Path) -> None:
    a_folder(tmp_path / "user/tradewire")
    home = started_in(tmp_path / "one")

    with pytest.raises(ConfigInvalid, match=str(home)):
        located_settings()


def test_files_of_the_user_where_nothing_was_started_are_not_named_as_a_home(tmp_path: Path) -> None:
    folder = a_folder(tmp_path / "user/tradewire")
    home = started_in(tmp_path / "one")

    with pytest.raises(ConfigInvalid) as never_started:
        located_settings()
    (folder / ".tradewire").mkdir()
    with pytest.raises(ConfigInvalid) as started:
        located_settings()

    assert str(never_started.value).endswith(f"set it to {home}")
    assert str(started.value).endswith(f"set it to one of {home}, {folder}/.tradewire")


def test_a_command_that_trades_says_which_homes_it_may_be_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = started_in(tmp_path / "one")

    with pytest.raises(ConfigInvalid, match=str(home)) as caught:
        require_home(located_settings())
    assert f"run `export TRADEWIRE_HOME={home}` (or `cd {home.parent}`)" in str(caught.value)

    monkeypatch.chdir(tmp_path / "one")
    require_home(located_settings())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRADEWIRE_HOME", str(home))
    require_home(located_settings())


@pytest.fixture
def another_users(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Let files that belong to this process's user count as another user's."""
    foreign: set[Path] = set()
    stat_of = ownership._stat

    def stat(place: Path) -> os.stat_result | None:
        found = stat_of(place)
        if found is None or os.path.realpath(place) not in {str(each) for each in foreign}:
            return found
        return os.stat_result([*found[:4], OTHER, *found[5:]])

    monkeypatch.setattr(ownership, "_stat", stat)
    return foreign.add


@pytest.mark.parametrize("planted", [".tradewire", ".env", "config/executors.toml"])
def test_what_another_user_puts_into_the_folder_does_not_hide_the_running_home(
    tmp_path: Path, elsewhere: Path, another_users: Callable[[Path], None], planted: str
) -> None:
    home = started_in(tmp_path / "one")
    path = elsewhere / planted
    path.parent.mkdir(exist_ok=True)
    path.mkdir() if planted == ".tradewire" else path.write_text("TRADEWIRE_HOME=/nowhere\n")
    another_users(path)

    assert located_settings(anywhere=True).home == home


def test_the_journal_does_not_go_into_another_users_home(
    tmp_path: Path, elsewhere: Path, another_users: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    (elsewhere / ".tradewire").mkdir()
    another_users(elsewhere / ".tradewire")

    assert located_settings(anywhere=True).home == tmp_path / "user/tradewire/.tradewire"

    monkeypatch.setenv("DATABASE_URL", "postgresql://db.example/other")
    assert located_settings(anywhere=True).home == tmp_path / "user/tradewire/.tradewire"


def test_a_removed_working_folder_has_no_home(tmp_path: Path, elsewhere: Path) -> None:
    home = started_in(tmp_path / "one")
    elsewhere.rmdir()

    assert located_settings(anywhere=True).home == home


def test_a_working_folder_that_may_not_be_entered_has_no_home(
    tmp_path: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = started_in(tmp_path / "one")
    stat_of, access = os.stat, os.access

    # Root may enter every folder, so a refusal of the system is put in its place.
    def stat(path: Any, **options: Any) -> os.stat_result:
        if not isinstance(path, int) and (elsewhere / os.fsdecode(path)).parent.is_relative_to(elsewhere):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return stat_of(path, **options)

    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != elsewhere and access(path, mode))
    monkeypatch.setattr(os, "stat", stat)

    assert located_settings(anywhere=True).home == home
    assert located_settings().home == Path(".tradewire")

    monkeypatch.setenv("DATABASE_URL", "postgresql://db.example/other")
    assert effective(located_settings(anywhere=True)).home == tmp_path / "user/tradewire/.tradewire"
