"""Show the configuration to a reader: every value that applies and its origin, without secrets."""

import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from datetime import time
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr

from config.logs import MASK, masked
from config.schema.executor import Executors
from config.schema.fields import plain, value_text
from config.schema.settings import Settings, key_names, variable
from config.services import Services
from pipeline.model.errors import Problem

#: One shown value: `{"value": …, "origin": "file" | "default" | "pack NAME" | "environment" | ".env" | "running up"}`.
Shown = dict[str, Any]

_VARIABLES = {
    "DATABASE_URL": "database_url",
    "REDIS_URL": "redis_url",
    "TRADEWIRE_EXCHANGE_URL": "exchange_url",
    "TRADEWIRE_EXCHANGE_TOKEN": "exchange_token",
    "TRADEWIRE_API_TOKEN": "api_token",
    "TRADEWIRE_WEB_URL": "web_url",
    "TRADEWIRE_RQ_DASHBOARD_URL": "rq_dashboard_url",
}


def shown_settings(settings: Settings, *, completed: Settings | None = None) -> dict[str, Shown]:
    """Return the environment's settings by variable. *completed* are the settings completed by a running `up`."""
    completed = completed or settings
    shown = {}
    for field in Settings.model_fields:
        name, value = variable(field), getattr(completed, field)
        origin = _origin(name, settings)
        if origin == "default" and value != getattr(settings, field):
            origin = "running up"
        shown[name] = {"value": _environment_value(value), "origin": origin}
    return shown


def shown_executors(executors: Executors, settings: Settings) -> dict[str, dict[str, Shown]]:
    """Return the values of every executor by key, such as `limits.entry_age_s`, and the two variables of its API key.

    If a rule pack overrules a value of the file, the entry also has the file's value under `"file"`.
    """
    environment = settings.environment()
    shown = {}
    for executor_id, executor in executors.items():
        keys = {
            name: {"value": MASK if name in environment else None, "origin": _origin(name, settings)}
            for name in key_names(executor_id)
        }
        values = dict(_shown_keys(executor))
        for key, in_file in executors.overruled.get(executor_id, {}).items():
            values[key] = {"value": values[key]["value"], "origin": f"pack {executor.pack}"}
            if in_file is not None:
                values[key]["file"] = in_file
        shown[executor_id] = {**values, **keys}
    return shown


def shown_problems(problems: Sequence[Problem]) -> list[dict[str, str]]:
    """Return *problems* as JSON."""
    return [{"key": problem.key, "message": problem.message} for problem in problems]


def shown_text(shown: Mapping[str, Shown], *, prefix: str = "") -> list[str]:
    """Return one line per value, `key = value  (origin)`, with the origins aligned."""
    pairs = [(f"{prefix}{key} = {value_text(held['value'])}", _where(held)) for key, held in shown.items()]
    width = max((len(left) for left, _ in pairs), default=0)
    return [f"{left.ljust(width)}  ({origin})" for left, origin in pairs]


def service_variables(services: Services, home: Path) -> dict[str, str]:
    """Return the variables with which a shell reaches the `up` in *home* from any folder. Secrets are not masked."""
    revealed = services.revealed()
    found = {name: str(revealed[field]) for name, field in _VARIABLES.items() if revealed[field] is not None}
    return {"TRADEWIRE_HOME": str(home.absolute()), **found}


def export_lines(variables: Mapping[str, str]) -> list[str]:
    """Return *variables* as lines for `eval "$(tradewire config env)"`, quoted for any POSIX shell."""
    return [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]


def _where(held: Shown) -> str:
    return f"{held['origin']}; the file says {value_text(held['file'])}" if "file" in held else str(held["origin"])


def _origin(name: str, settings: Settings) -> str:
    if os.environ.get(name):
        return "environment"
    return ".env" if name in settings.file_environment() else "default"


def _environment_value(value: object) -> object:
    if isinstance(value, SecretStr):
        text = value.get_secret_value()
        # Of an address, only the password is masked.
        return masked(text) if "://" in text else MASK
    return str(value) if isinstance(value, Path) else _json(value)


def _shown_keys(section: BaseModel, prefix: str = "", *, in_file: bool = True) -> Iterator[tuple[str, Shown]]:
    for name, field in type(section).model_fields.items():
        value, description = getattr(section, name), field.description
        is_set = in_file and name in section.model_fields_set
        if name == "id":
            continue
        if isinstance(value, BaseModel):
            yield from _shown_keys(value, f"{prefix}{name}.", in_file=is_set)
            continue
        key = f"{prefix}{name}"
        if isinstance(value, Mapping) and value:
            for group, symbols in value.items():
                yield f"{key}.{group}", {"value": list(symbols), "origin": "file"}
            continue
        # Of the keys whose default is None, only limits have "Default: off" in their description.
        off = value is None and (is_set or "Default: off" in " ".join((description or "").split()))
        yield key, {"value": "off" if off else _json(value), "origin": "file" if is_set else "default"}


def _json(value: object) -> object:
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, time):
        return value.isoformat("minutes")
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping) and not value:
        return None
    return list(value) if isinstance(value, tuple) else value
