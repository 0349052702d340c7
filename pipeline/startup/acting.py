"""Print which home and accounts a command acts on, before it changes anything."""

import sys
import tomllib
from collections.abc import Iterable, Mapping
from typing import Any

from config.logs import masked
from config.schema.settings import Settings

_UNKNOWN = "mode unknown"


def name_accounts(settings: Settings, names: Iterable[str] | None = None) -> None:
    """Print the home (or DATABASE_URL, if set) and the accounts *names* (None: all in the file) to standard error."""
    known = modes(settings)
    chosen = known if names is None else names
    accounts = ", ".join(f"{name} ({known.get(name, _UNKNOWN)})" for name in chosen) or "no account"
    sys.stderr.write(f"{_place(settings)}: {accounts}\n")


def modes(settings: Settings) -> dict[str, str]:
    """Return the mode of each account in the file, even if other parts of the file are wrong."""
    tables = _tables(settings)
    return {
        name: str(table.get("mode", _UNKNOWN)) if isinstance(table, dict) else _UNKNOWN
        for name, table in tables.items()
    }


def _place(settings: Settings) -> str:
    address = settings.environment().get("DATABASE_URL")
    if address is not None:
        return f"record {masked(address)}"
    how = ", the last started one" if settings.last_started else ""
    return f"home {settings.home.absolute()}{how}"


def _tables(settings: Settings) -> Mapping[str, Any]:
    # A command that stops an account must work even if the file is wrong.
    try:
        tables = tomllib.loads(settings.executors.read_text("utf-8")).get("executors", {})
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError):
        return {}
    return tables if isinstance(tables, dict) else {}
