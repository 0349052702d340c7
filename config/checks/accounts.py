"""Check that each executor has a broker account of its own, and that TRADEWIRE_LIVE has the sentence for mode live."""

from collections.abc import Mapping
from typing import Any

from config.checks.env_file_mode import exposed_secrets
from config.schema.addresses import base_url_faults, normal_address
from config.schema.broker_hosts import URL_FOR, gets_keys, host_fault
from config.schema.settings import Settings, executor_keys, key_names
from pipeline.model.errors import Problem

#: The sentence that mode live requires in TRADEWIRE_LIVE for each account.
SENTENCE = "I accept real orders on account {account}"

Tables = Mapping[str, Mapping[str, Any]]


def account_problems(tables: Tables, settings: Settings) -> list[Problem]:
    """Return the problems with the accounts of *tables*, which hold the values as they are in the file.

    The tables are checked before the models validate them, so that another fault in a table does not hide one of these.
    A value of a wrong type is skipped here, because the models report it.
    """
    problems = [
        problem
        for executor_id, table in tables.items()
        for problem in [
            *_address_problems(executor_id, table, settings),
            *_key_problems(executor_id, table, settings),
            *_live_problems(executor_id, table, settings),
        ]
    ]
    if any(_text(table, "mode") == "live" for table in tables.values()):
        problems += exposed_secrets(settings)
    return problems + _shared_account_problems(tables, settings)


def sentences(live: str | None) -> frozenset[str]:
    """Return the sentences of TRADEWIRE_LIVE. They are separated by semicolons."""
    return frozenset(part.strip() for part in (live or "").split(";") if part.strip())


def _text(table: Mapping[str, Any], key: str) -> str | None:
    value = table.get(key)
    return value if isinstance(value, str) and value else None


def _address_problems(executor_id: str, table: Mapping[str, Any], settings: Settings) -> list[Problem]:
    mode, url = _text(table, "mode"), _text(table, "base_url")
    key, message = f"executors.{executor_id}.base_url", None
    if mode == "exchange" and "base_url" not in table and settings.exchange_url is not None:
        key, url = f"{key}_allowed", settings.exchange_url
    if url is None:
        if mode in URL_FOR and "base_url" not in table:
            message = f'is missing: mode {mode} needs an address like "{URL_FOR[mode]}"'
    elif mode is not None and not base_url_faults(url):
        # The models report an address that has faults itself.
        message = host_fault(mode, url, _text(table, "base_url_allowed"))
    return [] if message is None else [Problem(key=key, message=message)]


def _key_problems(executor_id: str, table: Mapping[str, Any], settings: Settings) -> list[Problem]:
    mode = _text(table, "mode")
    if mode not in URL_FOR:
        return []
    environment = settings.environment()
    return [
        Problem(
            key=name,
            message=f"is not set: executor {executor_id} in mode {mode} needs it in the environment or in .env",
        )
        for name in key_names(executor_id)
        if name not in environment
    ]


def _live_problems(executor_id: str, table: Mapping[str, Any], settings: Settings) -> list[Problem]:
    if _text(table, "mode") != "live":
        return []
    account = _text(table, "account")
    if account is None and "account" in table:
        return []
    if account is None:
        message = "is missing: mode live needs the number of the account that the executor may trade"
        return [Problem(key=f"executors.{executor_id}.account", message=message)]
    sentence = SENTENCE.format(account=account)
    if sentence in sentences(settings.live):
        return []
    message = f'must contain "{sentence}" for executor {executor_id}; several sentences are separated by ;'
    return [Problem(key="TRADEWIRE_LIVE", message=message)]


def _shared_account_problems(tables: Tables, settings: Settings) -> list[Problem]:
    problems = []
    by_key: dict[tuple[str, str], str] = {}
    by_number: dict[str, str] = {}
    for executor_id, table in tables.items():
        keys, number = executor_keys(settings, executor_id), _text(table, "account")
        url = _text(table, "base_url") or ""
        address = url if base_url_faults(url) else normal_address(url)
        if keys and not gets_keys(_text(table, "mode") or "", keys[1].get_secret_value()):
            keys = None
        other = by_key.setdefault((address, keys[0]), executor_id) if keys else executor_id
        if other != executor_id:
            message = f"is also the key of executor {other}; each account has one executor"
            problems.append(Problem(key=key_names(executor_id)[0], message=message))
        other = by_number.setdefault(number, executor_id) if number else executor_id
        if other != executor_id:
            message = f"is also the account of executor {other}; each account has one executor"
            problems.append(Problem(key=f"executors.{executor_id}.account", message=message))
    return problems
