"""Write and read services.json, in which a running `up` keeps the addresses of its servers."""

import json
import os
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Annotated

import psutil
from pydantic import AfterValidator, BaseModel, ConfigDict, SecretStr, ValidationError

from config.schema.ownership import read_safe
from config.schema.setting_values import exchange_address
from config.schema.settings import Settings, variable
from pipeline.model.errors import ConfigInvalid, Problem

#: The name of the file below TRADEWIRE_HOME.
FILE_NAME = "services.json"

#: The settings that a running `up` supplies if the environment does not set them.
FILLED_IN = ("database_url", "redis_url", "exchange_url", "exchange_token", "api_token")

#: The files that `up` uses. Every command for this home uses them too, from any folder, unless the environment or the
#: caller names another file.
FILES_IN_FORCE = ("executors", "webhooks", "alerts")

#: The entry of `Services.pids` that is `up` itself.
UP = "up"

# A process that started after the file was written did not write it. Both times are exact to about a second.
_CLOCK_SLACK_S = 2.0


class Services(BaseModel):
    """The addresses of the servers of one `up`, its token, and its processes."""

    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)

    #: With the password, when there is one.
    database_url: SecretStr | None = None
    #: With the password, when there is one.
    redis_url: SecretStr | None = None
    exchange_url: Annotated[str, AfterValidator(exchange_address)] | None = None
    #: The token of the exchange's admin routes.
    exchange_token: SecretStr | None = None
    web_url: str | None = None
    rq_dashboard_url: str | None = None
    api_token: SecretStr | None = None
    #: The folder in which `up` was started, with its `.env`.
    folder: Path | None = None
    #: The files that `up` uses, as absolute paths.
    executors: Path | None = None
    webhooks: Path | None = None
    alerts: Path | None = None
    #: Process ids by the process's name; `up` itself is among them.
    pids: dict[str, int] = {}

    def revealed(self) -> dict[str, object]:
        """Return the fields as plain values, secrets not masked, for the file and for `config env`."""
        return {name: _revealed(value) for name, value in self.model_dump().items()}


def write_services(home: Path, services: Services) -> Path:
    """Write services.json atomically, readable by its owner only, and return its path."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = home / FILE_NAME
    body = json.dumps(services.revealed(), indent=2) + "\n"
    # A temporary file has mode 0600 from the start, so other users can never read the secrets.
    with NamedTemporaryFile("w", dir=home, prefix=f".{FILE_NAME}.", delete=False, encoding="utf-8") as file:
        temporary = Path(file.name)
        try:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    return path


def read_services(home: Path) -> Services | None:
    """Return the content of services.json in *home*; None when there is no file.

    The file may be left from an `up` that has ended; `running_services` ignores such a file.

    Raises:
        ConfigInvalid: The file cannot be read, is not what `up` writes, or can be written by another user.
    """
    path = home / FILE_NAME
    try:
        path.stat()  # If there is no file, the folder does not matter.
        # The addresses of another user's file would lead to that user's servers.
        return Services.model_validate_json(read_safe(path))
    except FileNotFoundError:
        return None
    except OSError as error:
        message = f"cannot be read ({error.strerror})"
    except ValidationError:
        message = "is not what `tradewire up` writes; delete it and start `up` again"
    raise ConfigInvalid([Problem(key=str(path), message=message)])


def running_services(home: Path) -> Services | None:
    """Return the content of services.json in *home* if the `up` that wrote it is still running, else None.

    Raises:
        ConfigInvalid: As for `read_services`.
    """
    services = read_services(home)
    if services is None or UP not in services.pids:
        return None
    return services if _wrote(services.pids[UP], home / FILE_NAME) else None


def effective(settings: Settings) -> Settings:
    """Return *settings*, completed from services.json of the same home.

    The servers' addresses and the tokens are used while the `up` that wrote them runs. Its files are used then too, and
    later if the home was found as the last started one, or if there is no executors file.

    Raises:
        ConfigInvalid: As for `read_services`.
    """
    services = read_services(settings.home)
    if services is None:
        return settings
    running = running_services(settings.home) is not None
    files = {name: path for name in FILES_IN_FORCE if (path := getattr(services, name)) is not None}
    # The files of an `up` that has ended are still used if its home was found as the last started one, or if the
    # folder has no executors file.
    remembered = running or settings.last_started or not settings.executors.exists()
    chosen = {name: path for name, path in files.items() if remembered and not _is_chosen(name, settings)}
    settings = settings.with_paths(chosen, last_started=settings.last_started)
    missing = {name: getattr(services, name) for name in FILLED_IN if running and getattr(settings, name) is None}
    return settings.model_copy(update=missing)


def _is_chosen(name: str, settings: Settings) -> bool:
    # A path from `.env` does not count as chosen: the running `up` may have been started with another one.
    return bool(os.environ.get(variable(name))) or (
        name in settings.model_fields_set and variable(name) not in settings.file_environment()
    )


def _revealed(value: object) -> object:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return str(value) if isinstance(value, Path) else value


def _wrote(pid: int, path: Path) -> bool:
    # After a reboot, or much later, the process id may belong to another process.
    try:
        process = psutil.Process(pid)
        alive, file = process.status() != psutil.STATUS_ZOMBIE, path.stat()
        # A file that another user wrote may name any process.
        same_user = process.uids().effective == file.st_uid
        return alive and same_user and process.create_time() <= file.st_mtime + _CLOCK_SLACK_S
    except (psutil.Error, OSError, ValueError, OverflowError):
        return False
