"""Decide which processes `up` runs and on which ports they listen, before anything is started."""

import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import SecretStr

from config.executors import load_executors
from config.schema.executor import ExecutorSettings
from config.schema.settings import Settings, variable
from config.services import FILES_IN_FORCE, Services, read_services
from pipeline.entrypoints.supervisor.process_table import ProcessLine, leave_out, process_lines, server_lines
from pipeline.entrypoints.supervisor.servers.addresses import LOOPBACK, Reservations
from pipeline.entrypoints.supervisor.servers.sockets import check_characters
from pipeline.model.errors import ConfigInvalid, Problem
from pipeline.model.plugins import installed_plugins
from pipeline.startup.listening import NONCE

WEB_PORT, EXCHANGE_PORT, DASHBOARD_PORT = 8000, 8100, 9181

#: The source that produces no signals.
NO_SOURCE = "none"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything that is known before the first process is started."""

    home: Path
    #: The embedded servers that are needed.
    servers: list[ProcessLine]
    #: All other processes, in the order in which they are started.
    processes: list[ProcessLine]
    #: The environment of every child, without the servers' addresses.
    environment: dict[str, str]
    #: The content of services.json, as far as it is known.
    services: Services
    #: Sentences about choices that a person should know of, like a port that was taken.
    remarks: list[str]
    executors: list[str]
    #: Held for as long as the plan exists, so that no other process gets the ports.
    reservations: Reservations = field(default_factory=Reservations)


def make_plan(settings: Settings, *, source: str | None, without: Sequence[str], user: str | None = None) -> Plan:
    """Choose ports, tokens and processes, without the processes or groups in *without*.

    *source* overrules the source in the settings. When this process runs as root, PostgreSQL runs as *user*.

    Raises:
        ConfigInvalid: The executors file, the source or a name in *without* is wrong, PORT is set and taken, or an
            embedded server cannot use the home's path.
    """
    executors = load_executors(settings.executors, settings=settings)
    source = _source(source or settings.source)
    home = settings.home.resolve()
    if settings.database_url is None or settings.redis_url is None:
        check_characters(home)
    ports = _Ports(settings, exchange=_needs_exchange(settings, executors, source), web="web" not in without)
    numbers = {name: executor.concurrency for name, executor in executors.items()}
    lines = process_lines(numbers, web_port=ports.web, dashboard_port=ports.dashboard, exchange_port=ports.exchange)
    services = _services(settings, home, ports)
    return Plan(
        home=home,
        servers=server_lines(
            str(home), valkey=settings.redis_url is None, postgres=settings.database_url is None, user=user
        ),
        processes=leave_out(lines, without),
        environment=_environment(settings, home, source, services),
        services=services,
        remarks=ports.remarks,
        executors=list(executors),
        reservations=ports.reservations,
    )


class _Ports:
    """The ports of all processes, each chosen once; None for a process that is not needed."""

    def __init__(self, settings: Settings, *, exchange: bool, web: bool) -> None:
        self.remarks: list[str] = []
        self.reservations = Reservations()
        self.web = self._take("web", WEB_PORT if settings.port is None else settings.port)
        # A proxy sends requests with secrets to the port that was set, also if another program listens there.
        if web and settings.port not in (None, 0, self.web):
            self.reservations.release()
            message = f"another program listens on {settings.port}: end it, or set PORT to a free port"
            raise ConfigInvalid([Problem(key="PORT", message=message)])
        self.exchange = self._take("the exchange", EXCHANGE_PORT) if exchange else None
        self.dashboard = self._take("rq-dashboard", DASHBOARD_PORT)

    def _take(self, what: str, wanted: int) -> int:
        port = self.reservations.take(wanted)
        if wanted not in (0, port):
            self.remarks.append(f"port {wanted} is taken: {what} listens on {port}")
        return port


def _services(settings: Settings, home: Path, ports: _Ports) -> Services:
    return Services(
        database_url=settings.database_url,
        redis_url=settings.redis_url,
        exchange_url=_url(ports.exchange) if ports.exchange else settings.exchange_url,
        web_url=_url(ports.web),
        rq_dashboard_url=_url(ports.dashboard),
        exchange_token=settings.exchange_token or _token(home, "exchange_token"),
        api_token=settings.api_token or _token(home, "api_token"),
        folder=settings.folder,
        **_files(settings),
    )


def _files(settings: Settings) -> dict[str, Path]:
    """Return the configuration files that exist: the webhooks file and the alerts file are optional."""
    return {name: path for name in FILES_IN_FORCE if (path := getattr(settings, name).absolute()).exists()}


def _needs_exchange(settings: Settings, executors: Mapping[str, ExecutorSettings], source: str) -> bool:
    if settings.exchange_url is not None:
        return False
    # The replay reads its bars from the exchange that plays them.
    return source == "replay" or any(
        executor.mode == "exchange" and executor.base_url is None for executor in executors.values()
    )


def _source(name: str) -> str:
    known = [NO_SOURCE, *sorted(installed_plugins("tradewire.sources"))]
    if name not in known:
        raise ConfigInvalid([Problem(key="--source", message=f"there is no source {name!r}: {', '.join(known)}")])
    return name


def _token(home: Path, name: Literal["api_token", "exchange_token"]) -> SecretStr:
    before: SecretStr | None = getattr(read_services(home), name, None)
    return before or SecretStr(secrets.token_urlsafe(32))


def _url(port: int) -> str:
    return f"http://{LOOPBACK}:{port}"


def _environment(settings: Settings, home: Path, source: str, services: Services) -> dict[str, str]:
    # Each child gets a PORT of its own.
    inherited = {key: value for key, value in os.environ.items() if key != "PORT"}
    ours = {
        "PYTHONUNBUFFERED": "1",
        NONCE: secrets.token_hex(8),
        "TRADEWIRE_HOME": str(home),
        **{variable(name): str(path) for name, path in _files(settings).items()},
        "TRADEWIRE_SOURCE": source,
        # `up` recognises errors in the children's logs by their JSON.
        "TRADEWIRE_LOG": "json",
    }
    if services.api_token is not None:
        ours["TRADEWIRE_API_TOKEN"] = services.api_token.get_secret_value()
    if services.exchange_token is not None:
        ours["TRADEWIRE_EXCHANGE_TOKEN"] = services.exchange_token.get_secret_value()
    if services.exchange_url is not None:
        ours["TRADEWIRE_EXCHANGE_URL"] = services.exchange_url
    return {**inherited, **ours}
