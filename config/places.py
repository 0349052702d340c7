"""Find the home and the files that a command uses, from whatever folder it is run in.

The home is the one that TRADEWIRE_HOME names, else that of the working folder. If there is none, commands that only
read or stop trading use the home that runs, or else the one that was started last. The last resort is the home of the
user's folder, `~/.config/tradewire`. With DATABASE_URL the home is never searched outside the working folder. A folder
that `tradewire init` filled has `.env`, `config/` and, once `up` was started there, `.tradewire`.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from config.schema.ownership import is_of_another_user, require_safe
from config.schema.settings import Settings, load_settings, variable
from config.services import read_services, running_services
from config.started_homes import started_homes
from pipeline.model.errors import ConfigInvalid, Problem

_ENV = Path(".env")

#: The settings that are paths.
PATHS = ("executors", "webhooks", "alerts", "home")

#: The files of a folder, by the name under which they are shipped.
FILES = {
    "executors.toml": Path("config/executors.toml"),
    "webhooks.toml": Path("config/webhooks.toml"),
    "alerts.toml": Path("config/alerts.toml"),
    "env.example": Path(".env.example"),
}


def user_folder() -> Path:
    """Return the folder whose files are used if the working folder has none."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path("~/.config").expanduser()) / "tradewire"


def shipped(name: str) -> Path:
    """Return the file called *name* that is installed with tradewire."""
    return Path(__file__).parent / name


def located_settings(*, anywhere: bool = False) -> Settings:
    """Return the settings of the home that a command uses.

    The home that runs or was started last, if it is elsewhere, is used only with *anywhere*. Then nothing that another
    user has put into the working folder counts, and the working folder may have been removed.

    Raises:
        ConfigInvalid: A variable is wrong, or several homes run and none of them is named.
    """
    if anywhere:
        _leave_removed_folder()
    here = load_settings(None if anywhere and is_of_another_user(_ENV) else _ENV)
    if _is_named(here) or _is_place(here):
        return _without_foreign_home(here) if anywhere else here
    running = running_homes()
    if anywhere and (running or started_homes()):
        if len(running) > 1:
            raise _unclear(running)
        return _settings_of([*running, *started_homes()][0])
    if _has_files(user_folder()):
        settings = settings_in(user_folder())
        if others := [home for home in running if home != settings.home]:
            # `init` alone makes no home: it counts once `up` was started there.
            raise _unclear([*others, *([settings.home] if settings.home.is_dir() else [])])
        return settings
    return _without_foreign_home(here) if anywhere else here


def settings_for_up() -> Settings:
    """Return the settings for `up`: with the files of the working folder, else the user's, else the shipped ones.

    Raises:
        ConfigInvalid: A variable is wrong, or another user can write the home.
    """
    settings = _settings_for_up()
    require_safe(settings.home)
    return settings


def _settings_for_up() -> Settings:
    here = load_settings()
    if "executors" in here.model_fields_set or here.executors.exists():
        return here
    if not _is_named(here) and not _is_place(here) and _has_files(user_folder()):
        return settings_in(user_folder())
    return with_shipped_files(here)


def with_shipped_files(settings: Settings) -> Settings:
    """Return *settings* with the shipped files in place of missing ones, except those that the environment names.

    If the executors file exists, nothing is replaced.
    """
    if settings.executors.exists() or "executors" in settings.model_fields_set:
        return settings
    missing = [name for name in ("executors", "webhooks", "alerts") if not getattr(settings, name).exists()]
    paths = {name: shipped(f"{name}.toml") for name in missing if name not in settings.model_fields_set}
    return settings.with_paths(paths, last_started=settings.last_started)


def origin_of(executors: Path) -> str:
    """Return the words to print after the path *executors* if it is the shipped file, else an empty text."""
    is_shipped = executors == shipped(executors.name)
    return ", as shipped; `tradewire init` writes files of your own into a folder" if is_shipped else ""


def settings_in(folder: Path) -> Settings:
    """Return the settings of a command that is run in *folder*: from its `.env`, with paths that start from it."""
    settings = load_settings(folder / ".env")
    inside = [name for name in PATHS if not os.environ.get(variable(name))]
    return settings.with_paths({name: folder / getattr(settings, name) for name in inside})


def running_homes() -> list[Path]:
    """Return the homes of this user in which an `up` runs, the last started one first."""
    return [home for home in started_homes() if _runs(home)]


def require_home(settings: Settings) -> None:
    """Refuse a command that must not use the last started home, if that is the only kind of home that was found.

    Raises:
        ConfigInvalid: The message lists the homes from which the user has to choose one.
    """
    homes = running_homes() or started_homes()[:1]
    if homes and not (_is_named(settings) or _is_place(settings)):
        ways = " or ".join(f"run `export TRADEWIRE_HOME={home}` (or `cd {home.parent}`)" for home in homes)
        message = f"this folder has no home, and a command that changes something chooses none by itself: {ways}"
        raise ConfigInvalid([Problem(key="TRADEWIRE_HOME", message=message)])


def elsewhere(settings: Settings) -> str:
    """Return a hint that names the running homes other than that of *settings*; empty if there are none."""
    others = [home for home in running_homes() if home != settings.home.absolute()]
    return "".join(f"; a tradewire runs in {home}: set TRADEWIRE_HOME={home}" for home in others)


def _settings_of(home: Path) -> Settings:
    services = read_services(home)
    folder = services.folder if services is not None and services.folder is not None else home.parent
    settings = settings_in(folder)
    return settings.with_paths({"home": home}, last_started=True)


def _unclear(homes: Sequence[Path]) -> ConfigInvalid:
    which = "one of " if len(homes) > 1 else ""
    message = f"this command must know which home you mean: set it to {which}{', '.join(map(str, homes))}"
    return ConfigInvalid([Problem(key="TRADEWIRE_HOME", message=message)])


def _is_named(here: Settings) -> bool:
    return "home" in here.model_fields_set or here.database_url is not None


def _leave_removed_folder() -> None:
    """Go to the root folder if the working folder was removed: a path in a removed folder leads nowhere."""
    try:
        Path.cwd()
    except FileNotFoundError:
        os.chdir("/")


def _without_foreign_home(here: Settings) -> Settings:
    """Return *here* with the home of the user's folder if the working folder's is another user's or out of reach."""
    in_reach = os.access(Path.cwd(), os.X_OK) and not is_of_another_user(here.home)
    if in_reach or "home" in here.model_fields_set:
        return here
    return here.with_paths({"home": user_folder() / ".tradewire"})


def _is_place(here: Settings) -> bool:
    ours = {variable(field) for field in Settings.model_fields}
    # Unlike those of `Path`, these functions raise nothing in a folder that may not be entered.
    own_home = os.path.isdir(here.home) and not is_of_another_user(here.home)  # noqa: PTH112
    return own_home or _has_files(here.folder) or not ours.isdisjoint(here.file_environment())


def _has_files(folder: Path) -> bool:
    path = folder / FILES["executors.toml"]
    return os.path.exists(path) and not is_of_another_user(path)  # noqa: PTH110 -- see `_is_place`


def _runs(home: Path) -> bool:
    try:
        return running_services(home) is not None
    except ConfigInvalid:
        return False  # A broken services.json of another home must not stop a command.
