"""Show on which home and accounts a command acts, before it changes anything."""

import sys
import tomllib
from collections.abc import Iterable, Mapping
from typing import Any

from config.logs import masked
from config.schema.settings import Settings


def name_accounts(settings: Settings, names: Iterable[str] | None = None) -> None:
    """Print home, accounts and modes to standard error. *names* are the accounts; None for all of the file."""
    tables = _tables(settings)
    chosen = tables if names is None else names
    accounts = ", ".join(f"{name} ({_mode(tables, name)})" for name in chosen) or "no account"
    sys.stderr.write(f"{_place(settings)}: {accounts}\n")


def _place(settings: Settings) -> str:
    address = settings.environment().get("DATABASE_URL")
    if address is not None:
        return f"record {masked(address)}"
    how = ", the last started one" if settings.last_started else ""
    return f"home {settings.home.absolute()}{how}"


def _tables(settings: Settings) -> Mapping[str, Any]:
    # A command that stops an account must work with a wrong file too.
    try:
        tables = tomllib.loads(settings.executors.read_text("utf-8")).get("executors", {})
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError):
        return {}
    return tables if isinstance(tables, dict) else {}


def _mode(tables: Mapping[str, Any], name: str) -> str:
    table = tables.get(name)
    mode = table.get("mode") if isinstance(table, dict) else None
    return str(mode) if mode is not None else "mode unknown"
