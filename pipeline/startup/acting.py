"""Print which home and accounts a command acts on, before it changes anything."""

import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from config.logs import masked
from config.schema.settings import Settings
from config.schema.toml_tables import parsed_toml
from config.services import running_services
from pipeline.model.errors import ConfigInvalid

_UNKNOWN = "mode unknown"


def name_accounts(settings: Settings, names: Iterable[str] | None = None) -> None:
    """Print the home and the accounts *names* (None: all in the file) to standard error.

    In place of the home, print DATABASE_URL if it is set to another record than that of the home's running `up`.
    """
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
    if address is not None and not _is_of_home(settings, address):
        return f"record {masked(address)}"
    how = ", the last started one" if settings.last_started else ""
    return f"home {settings.home.absolute()}{how}"


def _is_of_home(settings: Settings, address: str) -> bool:
    # `config env` exports the address of the record together with the home.
    with suppress(ConfigInvalid):
        services = running_services(settings.home)
        if services is not None and services.database_url is not None:
            return services.database_url.get_secret_value() == address
    return False


def _tables(settings: Settings) -> Mapping[str, Any]:
    # A command that stops an account must work even if the file is wrong, or is another user's.
    try:
        tables = parsed_toml(settings.executors).get("executors", {})
    except ConfigInvalid:
        return {}
    return tables if isinstance(tables, dict) else {}
