"""Load what every command needs: settings, addresses and executors. Problems are raised as `ConfigInvalid`."""

import logging
import signal
import threading
from datetime import datetime

from pydantic import SecretStr

from config.executors import load_executors
from config.logs import configure_logs, register_secret
from config.schema.executor import Executors
from config.schema.settings import Settings, executor_keys, load_settings
from config.services import effective
from pipeline.model.errors import ConfigInvalid, Problem
from pipeline.model.times import moment_of
from pipeline.startup.arguments import parsed
from pipeline.store.record import Record


def settings_for(process: str, *, level: int = logging.INFO) -> Settings:
    """Return the settings in force, completed by a running `up`, and set up logging.

    Raises:
        ConfigInvalid: with every problem.
    """
    settings = effective(load_settings())
    configure_logs(settings.log, process=process, level=level)
    # From here on every log line masks these.
    for secret in (settings.database_url, settings.redis_url, settings.api_token):
        register_secret(secret)
    return settings


def settings_for_a_person(command: str) -> Settings:
    """Return the settings in force for a command whose output is for people: only errors are logged.

    Raises:
        ConfigInvalid: with every problem.
    """
    settings = settings_for(command, level=logging.ERROR)
    # The command itself prints which server is away.
    logging.getLogger("pipeline.model.outages").setLevel(logging.CRITICAL)
    return settings


def executors_for(settings: Settings) -> Executors:
    """Return the executors, and register their secrets, which every log line then masks.

    Raises:
        ConfigInvalid: with every problem of the file.
    """
    executors = load_executors(settings.executors, settings=settings)
    for executor_id in executors:
        keys = executor_keys(settings, executor_id)
        if keys is not None:
            # The first one is the key's id, which is no secret.
            register_secret(keys[1])
    return executors


def database_url(settings: Settings) -> str:
    """Return the address of PostgreSQL.

    Raises:
        ConfigInvalid: the address is not known.
    """
    return _address(settings.database_url, "DATABASE_URL", "PostgreSQL")


def redis_url(settings: Settings) -> str:
    """Return the address of Redis.

    Raises:
        ConfigInvalid: the address is not known.
    """
    return _address(settings.redis_url, "REDIS_URL", "Redis")


def open_record(settings: Settings) -> Record:
    """Return the record for a command that a person waits for: it retries for 3 seconds."""
    return Record(database_url(settings), connections=2, retry_for_s=3.0)


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


def _address(address: SecretStr | None, variable: str, server: str) -> str:
    if address is None:
        message = f"no address of {server} is known: run `tradewire up`, or set {variable}"
        raise ConfigInvalid([Problem(key=variable, message=message)])
    return address.get_secret_value()
