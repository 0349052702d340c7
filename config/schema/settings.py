"""Read the environment, and `.env` beneath it, into one frozen `Settings`."""

from __future__ import annotations

import os
import re
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import AfterValidator, Field, PrivateAttr, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from config.schema.problems import Location, problems_of
from pipeline.model.errors import ConfigInvalid, Problem

PREFIX = "TRADEWIRE_"

#: Variables that our own processes set for each other or print; they are no settings, and not unknown either.
BETWEEN_PROCESSES = frozenset(
    {
        "TRADEWIRE_CRASH_AFTER",
        "TRADEWIRE_CRASH_AT",
        "TRADEWIRE_LIFELINE",
        "TRADEWIRE_RQ_DASHBOARD_URL",
        "TRADEWIRE_WEB_URL",
    }
)

_UNPREFIXED = ("DATABASE_URL", "REDIS_URL", "PORT")


def is_loopback(host: str | None) -> bool:
    """Say whether *host* is this machine, without asking a name server."""
    if host is None:
        return False
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _database_url(value: SecretStr) -> SecretStr:
    if urlsplit(value.get_secret_value()).scheme not in {"postgresql", "postgres"}:
        raise ValueError("it must begin with postgresql://")
    return value


def _redis_url(value: SecretStr) -> SecretStr:
    if urlsplit(value.get_secret_value()).scheme not in {"redis", "rediss", "unix"}:
        raise ValueError("it must begin with redis://, rediss:// or unix://")
    return value


def _token(value: SecretStr) -> SecretStr:
    # It travels in an HTTP header, where anything else would be mangled or refused.
    if not re.fullmatch(r"[!-~]+", value.get_secret_value()):
        raise ValueError("it may hold only printable ASCII characters, and no space")
    return value


def _exchange_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("it must look like http://127.0.0.1:8100")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ValueError("http:// is allowed to this machine only; use https:// or a loopback address")
    return value.rstrip("/")


def _delay(value: float) -> float:
    if not 0 < value < float("inf"):
        raise ValueError("a number of seconds above 0 is expected")
    return value


class Settings(BaseSettings):
    """What the environment says. Frozen; secrets do not show in its repr."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        populate_by_name=True,
        use_attribute_docstrings=True,
    )

    database_url: Annotated[SecretStr, AfterValidator(_database_url)] | None = Field(
        default=None, validation_alias="DATABASE_URL"
    )
    """The PostgreSQL that keeps the record: postgresql://user:password@host:port/name. Default: embedded."""

    redis_url: Annotated[SecretStr, AfterValidator(_redis_url)] | None = Field(
        default=None, validation_alias="REDIS_URL"
    )
    """The Redis or Valkey that holds the queues: redis://host:port/number. Default: embedded."""

    port: int | None = Field(default=None, ge=0, le=65535, validation_alias="PORT")
    """The port of the web process, 0 to 65535 (0: any free one). Default: 8000, or the next free one."""

    executors: Path = Path("config/executors.toml")
    """The file of the executors. Default: config/executors.toml."""

    webhooks: Path = Path("config/webhooks.toml")
    """The file of the webhooks. Default: config/webhooks.toml, which need not be there."""

    alerts: Path = Path("config/alerts.toml")
    """The file that says who is told of what. Default: config/alerts.toml, which need not be there."""

    home: Path = Path(".tradewire")
    """The folder of the embedded servers and of services.json. Default: .tradewire."""

    api_token: Annotated[SecretStr, AfterValidator(_token)] | None = None
    """The token that HTTP requests must carry, and rq-dashboard's password. Default: `up` makes one."""

    api_rate: Annotated[int, Field(ge=1, le=1_000_000)] = 6000
    """Requests over HTTP a minute and token; signals may come ten times as often. Default: 6000."""

    log: Literal["console", "json"] = "console"
    """How log lines look: console (for people) or json (for machines). Default: console."""

    live: str | None = None
    """I accept real orders on account <number>: the sentence that mode live needs. Several: separated by ;"""

    exchange_url: Annotated[str, AfterValidator(_exchange_url)] | None = None
    """Where the paper exchange listens, for executors without base_url. Default: what `up` started."""

    source: str = "replay"
    """The source that the producer polls, by name; none switches it off. Default: replay."""

    source_file: str | None = None
    """What the source `file` reads: a path, or - for standard input. Default: none."""

    cadence_s: Annotated[float, AfterValidator(_delay)] = 5.0
    """Seconds from one bar of the exchange to the next, above 0. Default: 5."""

    delivery: Literal["queue", "direct"] = "queue"
    """How the producer has signals executed: queue (by the workers) or direct (by itself). Default: queue."""

    fallback: Literal["off", "direct"] = "off"
    """What the producer does when Redis stays away: off (wait) or direct (execute itself). Default: off."""

    fallback_after_s: Annotated[float, AfterValidator(_delay)] = 30.0
    """Seconds that Redis must be away before the fallback begins, above 0. Default: 30."""

    _env_file: Path | None = PrivateAttr(default=None)

    def environment(self) -> dict[str, str]:
        """Return the process's variables over those of the `.env` file that was read, without empty ones."""
        return {**self.file_environment(), **{name: value for name, value in os.environ.items() if value}}

    def file_environment(self) -> dict[str, str]:
        """Return the variables of the `.env` file that was read, without empty ones."""
        if self._env_file is None:
            return {}
        return {name: value for name, value in dotenv_values(self._env_file).items() if value}


def load_settings(env_file: str | Path | None = ".env") -> Settings:
    """Read the settings from the environment and, where it is silent, from *env_file*.

    Raises:
        ConfigInvalid: At least one variable is wrong; every one of them is listed.
    """
    settings, problems = readable_settings(env_file)
    if problems:
        raise ConfigInvalid(problems)
    return settings


def readable_settings(env_file: str | Path | None = ".env") -> tuple[Settings, list[Problem]]:
    """Read the settings, with the default in place of each variable that is wrong, and what is wrong with it.

    For a check that goes on to look for further problems; to run by, `load_settings` is right.
    """
    path = Path(env_file).absolute() if env_file is not None else None
    problems: list[Problem] = []
    try:
        settings = Settings(_env_file=path)
    except ValidationError as error:
        problems = problems_of(error, key=_variable_at, describe=_meaning_at, secret=_is_secret)
        wrong = {_field(fault["loc"]) for fault in error.errors(include_input=False)}
        defaults: dict[str, Any] = {field: Settings.model_fields[field].default for field in wrong}
        settings = Settings(_env_file=path, **defaults)
    settings._env_file = path  # noqa: SLF001 - ours: kept to read the executors' keys from the same file
    return settings, problems


def executor_keys(settings: Settings, executor_id: str) -> tuple[str, SecretStr] | None:
    """Return the API key and secret of an executor, from `<NAME>_API_KEY` and `<NAME>_API_SECRET`.

    None when either is not set. The environment wins over `.env`, each variable by itself.
    """
    environment = settings.environment()
    key_name, secret_name = key_names(executor_id)
    key, secret = environment.get(key_name), environment.get(secret_name)
    return (key, SecretStr(secret)) if key and secret else None


def key_names(executor_id: str) -> tuple[str, str]:
    """Return the names of the two variables that hold an executor's keys."""
    name = executor_id.upper().replace("-", "_")
    return f"{name}_API_KEY", f"{name}_API_SECRET"


def variable(field: str) -> str:
    """Return the name of the environment variable that sets *field* of `Settings`."""
    name = field.upper()
    return name if name in _UNPREFIXED else PREFIX + name


def unknown_variables(settings: Settings) -> list[str]:
    """Return the names of variables that look like ours and mean nothing, sorted."""
    known = {variable(field) for field in Settings.model_fields} | BETWEEN_PROCESSES
    ours = [name for name in settings.environment() if name.upper().startswith(PREFIX)]
    return sorted(name for name in ours if name.upper() not in known)


def _field(location: Location) -> str:
    return str(location[0]).lower().removeprefix(PREFIX.lower())


def _variable_at(location: Location) -> str:
    return variable(_field(location))


def _meaning_at(location: Location) -> str | None:
    field = Settings.model_fields.get(_field(location))
    return field.description if field else None


def _is_secret(location: Location) -> bool:
    return _field(location) in {"database_url", "redis_url", "api_token"}
