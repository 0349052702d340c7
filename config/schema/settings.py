"""Read the environment and the file `.env` into one frozen `Settings`."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, PrivateAttr, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from config.schema.addresses import host_names, networks
from config.schema.env_file import variables_of
from config.schema.problems import Location, problems_of
from config.schema.setting_values import (
    database_address,
    delay,
    exchange_address,
    plain_number,
    redis_address,
    token,
)
from pipeline.model.errors import ConfigInvalid, Problem

PREFIX = "TRADEWIRE_"

#: Variables that tradewire's processes set for each other or print. They are not settings, but known:
#: `unknown_variables` does not report them.
BETWEEN_PROCESSES = frozenset(
    PREFIX + name for name in ("CRASH_AFTER", "CRASH_AT", "LIFELINE", "NONCE", "RQ_DASHBOARD_URL", "WEB_URL")
)

_UNPREFIXED = ("DATABASE_URL", "DATABASE_DIRECT_URL", "REDIS_URL", "PORT")


class Settings(BaseSettings):
    """The settings from the environment. Frozen; its repr hides secrets."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        populate_by_name=True,
        use_attribute_docstrings=True,
    )

    database_url: Annotated[SecretStr, AfterValidator(database_address)] | None = Field(
        default=None, validation_alias="DATABASE_URL"
    )
    """The PostgreSQL database of the record: postgresql://user:password@host:port/name. Default: embedded."""

    database_direct_url: Annotated[SecretStr, AfterValidator(database_address)] | None = Field(
        default=None, validation_alias="DATABASE_DIRECT_URL"
    )
    """The address of the same database past a pooler, for backup and restore. Default: that of DATABASE_URL."""

    redis_url: Annotated[SecretStr, AfterValidator(redis_address)] | None = Field(
        default=None, validation_alias="REDIS_URL"
    )
    """The Redis or Valkey server of the queues: redis://host:port/number. Default: embedded."""

    port: int | None = Field(default=None, ge=0, le=65535, validation_alias="PORT")
    """The port of the web process, 0 to 65535 (0: any free port). Default: 8000, or the next free port."""

    executors: Path = Path("config/executors.toml")
    """The file of the executors. Default: config/executors.toml."""

    webhooks: Path = Path("config/webhooks.toml")
    """The file of the webhooks. Default: config/webhooks.toml, which may be missing."""

    alerts: Path = Path("config/alerts.toml")
    """The file of the alerts. Default: config/alerts.toml, which may be missing."""

    home: Path = Path(".tradewire")
    """The folder of the embedded servers and of services.json. Default: .tradewire."""

    api_token: Annotated[SecretStr, AfterValidator(token)] | None = None
    """The token of HTTP requests, and the password of rq-dashboard. Default: `up` creates one."""

    api_rate: Annotated[int, Field(ge=1, le=1_000_000)] = 6000
    """HTTP requests that each token may send in a minute. Signals are counted separately, up to ten times this number.
    Default: 6000."""

    allowed_hosts: Annotated[tuple[str, ...], NoDecode, BeforeValidator(host_names)] = ()
    """The names by which browsers, webhooks and tunnels reach a server of ours, separated by commas, without ports.
    This machine's own names and the address that a server listens on need not be listed. Default: none."""

    trusted_proxies: Annotated[tuple[str, ...], NoDecode, BeforeValidator(networks)] = ("127.0.0.1",)
    """The addresses or networks of proxies whose headers `X-Forwarded-For` and `X-Forwarded-Proto` are believed,
    separated by commas, or none. No limit for wrong tokens depends on them. Default: 127.0.0.1."""

    log: Literal["console", "json"] = "console"
    """The form of log lines: console (for people) or json (for machines). Default: console."""

    live: str | None = None
    """The sentence that mode live requires: I accept real orders on account <number>. Several are separated by ;"""

    exchange_url: Annotated[str, AfterValidator(exchange_address)] | None = None
    """The address of the paper exchange, for executors without base_url. Default: the exchange that `up` started."""

    exchange_token: Annotated[SecretStr, AfterValidator(token)] | None = None
    """The token of the paper exchange's admin routes, with which tests and drills control it. Default: `up` creates
    one, and `tradewire exchange` shows the one that it creates."""

    events_secret: Annotated[SecretStr, AfterValidator(token)] | None = None
    """The secret with which the events are signed that the keeper posts to `url` of `[events]` in alerts.toml: 16
    characters or more. Default: none."""

    source: str = "replay"
    """The source of signals that the producer reads, by name; none switches it off. Default: replay."""

    source_file: str | None = None
    """The path that the source `file` reads, or - for standard input. Default: none."""

    cadence_s: Annotated[float, AfterValidator(delay)] = 5.0
    """Seconds from one bar of the paper exchange to the next, above 0. Default: 5."""

    delivery: Literal["queue", "direct"] = "queue"
    """How the producer executes signals: through the queue and the workers (queue), or in its own process (direct).
    Default: queue."""

    fallback: Literal["off", "direct"] = "off"
    """The behaviour of the producer while Redis stays away: it waits (off), or executes signals itself (direct).
    Default: off."""

    fallback_after_s: Annotated[float, AfterValidator(delay)] = 30.0
    """Seconds for which Redis is away before the fallback begins, above 0. Default: 30."""

    _numbers = field_validator("port", "api_rate", "cadence_s", "fallback_after_s", mode="before")(plain_number)
    _env_file: Path | None = PrivateAttr(default=None)
    _in_file: dict[str, str] = PrivateAttr(default_factory=dict)
    _last_started: bool = PrivateAttr(default=False)

    @property
    def last_started(self) -> bool:
        """Return whether the home was found only because `up` was started there last."""
        return self._last_started

    @property
    def folder(self) -> Path:
        """Return the folder of the `.env` file. Relative paths start from it."""
        return self._env_file.parent if self._env_file is not None else Path.cwd()

    def with_paths(self, paths: Mapping[str, Path], *, last_started: bool = False) -> Self:
        """Return a copy with other *paths*.

        A path that the environment did not set does not count as set by it in the copy, so its file may be missing.
        """
        copy = self.model_copy(update=dict(paths))
        copy.model_fields_set.difference_update(paths.keys() - self.model_fields_set)
        copy._last_started = last_started  # noqa: SLF001 - the copy is of this class
        return copy

    def environment(self) -> dict[str, str]:
        """Return the variables of `.env` and of the process, without empty ones. Those of the process win."""
        return {**self.file_environment(), **{name: value for name, value in os.environ.items() if value}}

    def file_environment(self) -> dict[str, str]:
        """Return the variables of the `.env` file that was read, without empty ones."""
        return dict(self._in_file)


def load_settings(env_file: str | Path | None = ".env") -> Settings:
    """Read the settings from the environment, and those that it does not set from *env_file*.

    Raises:
        ConfigInvalid: A variable is wrong; the error lists every one that is.
    """
    settings, problems = readable_settings(env_file)
    if problems:
        raise ConfigInvalid(problems)
    return settings


def readable_settings(env_file: str | Path | None = ".env") -> tuple[Settings, list[Problem]]:
    """Return the settings, with the default in place of each wrong variable, and the problems.

    This is for checks that look for further problems after these. Processes use `load_settings`.
    """
    path = Path(env_file).absolute() if env_file is not None else None
    in_file, problems = variables_of(path) if path is not None else ({}, [])
    if problems:
        path = None
    values = _values_of(in_file)
    try:
        settings = Settings(**values)
    except ValidationError as error:
        problems += problems_of(error, key=_variable_at, describe=_meaning_at, secret=_is_secret)
        wrong = {_field(fault["loc"]) for fault in error.errors(include_input=False)}
        defaults: dict[str, Any] = {field: Settings.model_fields[field].default for field in wrong}
        settings = Settings(**values | defaults)
    settings._env_file, settings._in_file = path, in_file  # noqa: SLF001 - the executors' keys are among the variables
    return settings, problems


def executor_keys(settings: Settings, executor_id: str) -> tuple[str, SecretStr] | None:
    """Return the API key and secret of an executor, from `<NAME>_API_KEY` and `<NAME>_API_SECRET`.

    Returns None when one of them is not set. A variable of the environment overrides the same one of `.env`.
    """
    environment = settings.environment()
    key_name, secret_name = key_names(executor_id)
    key, secret = environment.get(key_name), environment.get(secret_name)
    return (key, SecretStr(secret)) if key and secret else None


def key_names(executor_id: str) -> tuple[str, str]:
    """Return the names of the two variables of an executor's API key and secret."""
    name = executor_id.upper().replace("-", "_")
    return f"{name}_API_KEY", f"{name}_API_SECRET"


def variable(field: str) -> str:
    """Return the name of the environment variable that sets *field* of `Settings`."""
    name = field.upper()
    return name if name in _UNPREFIXED else PREFIX + name


def unknown_variables(settings: Settings) -> list[str]:
    """Return the names that begin with TRADEWIRE_ and are not variables of tradewire, sorted."""
    known = {variable(field) for field in Settings.model_fields} | BETWEEN_PROCESSES
    ours = [name for name in settings.environment() if name.upper().startswith(PREFIX)]
    return sorted(name for name in ours if name.upper() not in known)


def _values_of(in_file: Mapping[str, str]) -> dict[str, Any]:
    """Return the values of the fields that *in_file* sets and the environment of the process does not."""
    given = {name.upper() for name, value in os.environ.items() if value}
    named = {name.upper(): value for name, value in in_file.items()}
    return {field: named[variable(field)] for field in Settings.model_fields if variable(field) in named.keys() - given}


def _field(location: Location) -> str:
    return str(location[0]).lower().removeprefix(PREFIX.lower())


def _variable_at(location: Location) -> str:
    return variable(_field(location))


def _meaning_at(location: Location) -> str | None:
    field = Settings.model_fields.get(_field(location))
    return field.description if field else None


def _is_secret(location: Location) -> bool:
    secrets = {"database_url", "database_direct_url", "redis_url", "api_token", "exchange_token", "events_secret"}
    return _field(location) in secrets
