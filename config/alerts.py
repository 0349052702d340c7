"""Read alerts.toml, and the addresses of its channels from the environment, into frozen settings."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, ValidationError

from config.schema.addresses import is_loopback, receiver_address
from config.schema.fields import Section
from config.schema.keys import model_problems
from config.schema.settings import Settings, variable
from config.schema.toml_tables import parsed_toml
from pipeline.model.errors import ConfigInvalid, Problem

#: The variable that holds the address of the dead man's switch.
DEADMAN = "ALERTS_DEADMAN_URL"

_VARIABLE = re.compile(r"ALERTS_[A-Z0-9_]{1,40}")
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://\S+", re.IGNORECASE)


def _variable(value: str) -> str:
    if not _VARIABLE.fullmatch(value) or value == DEADMAN:
        message = "the name of a variable like ALERTS_MAIN is expected; its address belongs in the environment"
        raise ValueError(message)
    return value


class ExecutionRateAlert(Section):
    """The alert that too few of the decided executions become orders."""

    below_percent: Annotated[int, Field(ge=0, le=100)] = 90
    """The alert is raised when fewer than this percentage of the executions that were decided and not skipped have an
    order id. 0 switches the alert off. Default: 90."""

    minimum: Annotated[int, Field(ge=1)] = 10
    """The smallest number of executions, decided and not skipped, with which the alert is raised. Default: 10."""

    window_s: Annotated[int, Field(ge=60, le=86400)] = 900
    """The length of the period up to now that is counted, in seconds, 60 to 86400. Default: 900."""


class EventSettings(Section):
    """The receiver of events."""

    url: Annotated[str, AfterValidator(receiver_address)] | None = None
    """The address to which the keeper posts every event, signed with TRADEWIRE_EVENTS_SECRET: https://, or http:// on
    this machine. Default: none."""


class AlertSettings(Section):
    """The file alerts.toml."""

    alerts: Literal["on", "none"] = "on"
    """Alerts are sent (on), or only listed (none), even for accounts of real money. Default: on."""

    channels: tuple[Annotated[str, AfterValidator(_variable)], ...] = ()
    """The variables that hold the channels' addresses. Each channel is used when those before it fail.
    Default: none."""

    group_s: Annotated[int, Field(ge=1, le=3600)] = 30
    """The shortest time between two messages, in seconds, 1 to 3600. Alerts of that time share a message.
    Default: 30."""

    proxies: Literal["environment", "off"] = "environment"
    """Messages go through the proxies that HTTP_PROXY and HTTPS_PROXY name (environment), or through none (off).
    Default: environment."""

    fills: Literal["each", "day", "off"] = "off"
    """The channels also get messages about orders that ended: each, grouped like alerts (each), or those of a day when
    the account's day is over (day). Default: off."""

    execution_rate: ExecutionRateAlert = ExecutionRateAlert()
    """The alert that too few of the decided executions become orders."""

    events: EventSettings = EventSettings()
    """The receiver of events."""


@dataclass(frozen=True, kw_only=True)
class Alerts:
    """The settings of the alerts, and the addresses of their channels. Addresses hold tokens and are secret."""

    settings: AlertSettings
    #: Addresses by the variable's name, in the order in which they are tried.
    channels: Mapping[str, SecretStr]
    deadman: SecretStr | None
    #: The secret with which events are signed; None without a receiver of events.
    events_secret: SecretStr | None = None

    @property
    def silent(self) -> bool:
        """Return whether the settings switch alerts off."""
        return self.settings.alerts == "none"


def fingerprint(address: SecretStr) -> str:
    """Return a hash of *address*, by which addresses can be compared without being shown."""
    return sha256(address.get_secret_value().encode()).hexdigest()[:16]


def load_alerts(settings: Settings) -> Alerts:
    """Return the settings of the alerts. If TRADEWIRE_ALERTS is not set and there is no file, there are no channels.

    Raises:
        ConfigInvalid: The file or a variable has problems; the error lists all of them.
    """
    path = settings.alerts
    absent = not path.exists() and "alerts" not in settings.model_fields_set
    read = AlertSettings() if absent else _read(parsed_toml(path, named_by="TRADEWIRE_ALERTS"))
    problems, channels, environment = list[Problem](), dict[str, SecretStr](), settings.environment()
    for name in () if read.alerts == "none" else read.channels:
        address = environment.get(name)
        if address is None:
            problems.append(Problem(key=name, message=f"is not set, and {path} names it as a channel"))
        elif not _ADDRESS.fullmatch(address):
            problems.append(
                Problem(key=name, message="is not an address that apprise reads, like slack://… or mailto://…")
            )
        else:
            channels[name] = SecretStr(address)
    deadman = environment.get(DEADMAN)
    if deadman is not None and not _pingable(deadman):
        problems.append(
            Problem(key=DEADMAN, message="must begin with https://; http:// is allowed for this machine only")
        )
    problems += _missing(read, settings, path)
    if problems:
        raise ConfigInvalid(problems)
    return Alerts(
        settings=read,
        channels=channels,
        deadman=None if deadman is None else SecretStr(deadman),
        events_secret=settings.events_secret if read.events.url is not None else None,
    )


def _missing(read: AlertSettings, settings: Settings, path: Path) -> list[Problem]:
    """Return a problem for each setting that needs another one which is not there."""
    problems = []
    if read.events.url is not None and settings.events_secret is None:
        message = f"is not set, and {path} has a receiver of events: they are signed with it, so that it can trust them"
        problems.append(Problem(key=variable("events_secret"), message=message))
    if read.fills != "off" and (read.alerts == "none" or not read.channels):
        message = f'"{read.fills}" needs a channel, and {path} has none that is used'
        problems.append(Problem(key="fills", message=message))
    return problems


def _read(parsed: dict[str, Any]) -> AlertSettings:
    given = parsed.get("channels")
    try:
        return AlertSettings.model_validate(parsed | ({"channels": tuple(given)} if isinstance(given, list) else {}))
    except ValidationError as error:
        problems = model_problems(
            error,
            AlertSettings,
            key=lambda location: ".".join(map(str, location)),
            # An address that was written here by mistake must not appear in a log.
            secret=lambda location: location[:1] in {("channels",), ("events",)},
        )
        raise ConfigInvalid(problems) from None


def _pingable(address: str) -> bool:
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname))
