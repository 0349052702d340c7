"""Load what every command needs: settings, addresses and executors. Problems are raised as `ConfigInvalid`."""

import logging
import os
import signal
import threading
from collections.abc import Iterable
from datetime import datetime

from pydantic import SecretStr

from config.executors import load_executors
from config.logs import configure_logs, register_secret
from config.places import elsewhere, located_settings, require_home
from config.schema.executor import Executors
from config.schema.ownership import ownership_problem
from config.schema.settings import Settings, executor_keys, variable
from config.services import effective
from pipeline.model.errors import ConfigInvalid, Problem
from pipeline.model.times import moment_of
from pipeline.startup.acting import name_accounts
from pipeline.startup.arguments import names_of, parsed
from pipeline.store.record import Record
from pipeline.store.statements import sql


def settings_for(process: str, *, level: int = logging.INFO, anywhere: bool = False) -> Settings:
    """Return the settings, completed with those of a running `up`, and set up logging.

    With *anywhere*, the command finds the last started home from any folder. Only commands that read or that stop an
    account may do so. For a command that trades or changes the record, the user must name the home.

    Raises:
        ConfigInvalid: settings are wrong; it lists every problem.
    """
    settings = effective(located_settings(anywhere=anywhere))
    configure_logs(settings.log, process=process, level=level)
    # From here on every log line masks these.
    addresses = (settings.database_url, settings.database_direct_url, settings.redis_url)
    for secret in (*addresses, settings.api_token, settings.exchange_token, settings.events_secret):
        register_secret(secret)
    return settings


def settings_for_a_person(command: str, *, anywhere: bool = False) -> Settings:
    """Return the settings for a command whose output is for people: only errors are logged.

    For *anywhere* see `settings_for`.

    Raises:
        ConfigInvalid: settings are wrong; it lists every problem.
    """
    settings = settings_for(command, level=logging.ERROR, anywhere=anywhere)
    if not anywhere:
        require_home(settings)
    # The command itself prints which server is away, and whose books cannot be computed.
    for name in ("pipeline.model.outages", "pipeline.store.failures", "pipeline.accounts.books.settle"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return settings


def executors_for(settings: Settings) -> Executors:
    """Return the executors, and register their secrets, so that every log line masks them.

    Raises:
        ConfigInvalid: the file is wrong; it lists every problem.
    """
    executors = load_executors(settings.executors, settings=settings)
    for executor_id in executors:
        keys = executor_keys(settings, executor_id)
        if keys is not None:
            register_secret(keys[1])
            # The key id alone gives no access, but must not be logged either. At the paper exchange it may be the
            # executor's own name, which logs need.
            register_secret(keys[0] if keys[0] != executor_id else None)
    return executors


def database_url(settings: Settings) -> str:
    """Return the address of PostgreSQL.

    Raises:
        ConfigInvalid: the address is not known.
    """
    return _address(settings, "database_url", "PostgreSQL")


def direct_database_url(settings: Settings) -> str:
    """Return the address of PostgreSQL that bypasses a connection pooler; without a pooler, the usual address.

    Raises:
        ConfigInvalid: the address is not known.
    """
    direct = settings.database_direct_url
    return database_url(settings) if direct is None else direct.get_secret_value()


def redis_url(settings: Settings) -> str:
    """Return the address of Redis.

    Raises:
        ConfigInvalid: the address is not known.
    """
    return _address(settings, "redis_url", "Redis")


def open_record(settings: Settings) -> Record:
    """Return the record for a command for which a person waits: while PostgreSQL is away, it retries for 3 seconds."""
    return Record(database_url(settings), connections=2, retry_for_s=3.0)


def open_to_change(settings: Settings, names: Iterable[str] | None = None) -> Record:
    """Return the record for a command that changes something, and print which home and accounts the command acts on."""
    name_accounts(settings, names)
    return open_record(settings)


def names_to_stop(settings: Settings, executor: str | None, *, every: bool) -> list[str]:
    """Return the names like `names_of`, for a command that stops accounts.

    If the file is missing or is another user's, one executor that the record knows can still be stopped.

    Raises:
        ConfigInvalid: as for `names_of`, or the address of PostgreSQL is not known.
        RecordUnavailable: PostgreSQL is away, and the file cannot be used.
    """
    path = settings.executors
    if executor is not None and not every and (ownership_problem(path) is not None or not os.access(path, os.R_OK)):
        with open_record(settings) as record:
            if record.do(sql("removed_executors", "known"), {"executor_id": executor}):
                return [executor]
    return names_of(settings, executor, every=every)


def stop_on_signals() -> threading.Event:
    """Return an event that SIGTERM and SIGINT set."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop


def since(text: str | None) -> datetime | None:
    """Read `--since`: RFC 3339, or a span like 90s, 15m, 2h, 3d.

    Raises:
        ConfigInvalid: it is neither.
    """
    return parsed("--since", text, moment_of)


def _address(settings: Settings, field: str, server: str) -> str:
    address: SecretStr | None = getattr(settings, field)
    if address is None:
        name = variable(field)
        message = f"nothing runs in {settings.home.absolute()}: run `tradewire up`, or set {name} to a {server} server"
        raise ConfigInvalid([Problem(key=name, message=message + elsewhere(settings))])
    return address.get_secret_value()
