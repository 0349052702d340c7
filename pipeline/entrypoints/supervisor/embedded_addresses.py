"""Find addresses of embedded servers in a shell, into which `config env` exported them."""

import os
from pathlib import Path

from config.left_over import ended_variables
from config.services import running_services
from config.started_homes import started_homes
from pipeline.entrypoints.supervisor.servers.postgres import embedded_database_url
from pipeline.entrypoints.supervisor.servers.valkey import is_embedded_redis_url
from pipeline.model.errors import ConfigInvalid, Problem


def refuse_ended_servers(home: Path) -> None:
    """Refuse variables of the shell that name an embedded server of an `up` that has ended, in *home* or elsewhere.

    Raises:
        ConfigInvalid: There are such variables; the message has the command that removes them.
    """
    for one in dict.fromkeys([home.resolve(), *started_homes()]):
        if (names := embedded_variables(one)) and not _may_run(one):
            raise ConfigInvalid([Problem(key=names[0], message=ended_variables(one, names))])


def embedded_variables(home: Path) -> list[str]:
    """Return the variables of the shell that name an embedded server of *home*."""
    database_url, redis_url = (os.environ.get(name, "") for name in ("DATABASE_URL", "REDIS_URL"))
    named = {
        "DATABASE_URL": database_url == embedded_database_url(home / "postgres"),
        "REDIS_URL": is_embedded_redis_url(home / "valkey", redis_url),
    }
    return [name for name, is_embedded in named.items() if is_embedded]


def _may_run(home: Path) -> bool:
    try:
        return running_services(home) is not None
    except ConfigInvalid:
        return True  # The code that needs the broken services.json reports it.
