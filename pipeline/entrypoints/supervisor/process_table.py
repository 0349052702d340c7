"""List the processes that `up` runs, as plain data."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches

from pipeline.entrypoints.supervisor.servers.addresses import LOOPBACK
from pipeline.entrypoints.supervisor.servers.spawn import RUN_MODULE, guard_command
from pipeline.model.errors import ConfigInvalid, Problem

#: The services that a process may need: the migrated record in PostgreSQL, and Redis.
RECORD, QUEUES = "record", "queues"

_TRADEWIRE = (*RUN_MODULE, "pipeline.entrypoints.cli")


@dataclass(frozen=True, kw_only=True)
class ProcessLine:
    """One process: its name and its command."""

    name: str
    command: Sequence[str]
    #: The name of its group in `--without` and in messages: `argo` for `argo.2`.
    group: str
    needs: frozenset[str] = frozenset()
    environment: Mapping[str, str] = field(default_factory=dict)
    #: The address at which its health route answers; None for a process without one.
    url: str | None = None
    #: Whether it is an embedded server: it reports its address when it is ready, and is stopped after the others.
    server: bool = False


def server_lines(home: str, *, valkey: bool, postgres: bool, user: str | None = None) -> list[ProcessLine]:
    """Return the processes of the embedded servers that are needed. Each is a guard, which runs its server.

    When this process runs as root, PostgreSQL runs as *user*.
    """
    lines = []
    if postgres:
        flags = ["--home", f"{home}/postgres", *(["--user", user] if user else [])]
        lines.append(_server("postgres", guard_command("postgres", *flags)))
    if valkey:
        lines.append(_server("valkey", guard_command("valkey", "--home", f"{home}/valkey")))
    return lines


def process_lines(
    executors: Mapping[str, int], *, web_port: int, dashboard_port: int, exchange_port: int | None
) -> list[ProcessLine]:
    """Return the processes in the order of their start. *executors* maps each executor to its number of workers."""
    both = frozenset({RECORD, QUEUES})
    lines = []
    if exchange_port is not None:
        lines.append(_line("exchange", "exchange", "--port", str(exchange_port), url=_url(exchange_port)))
    for executor, number in executors.items():
        names = [executor] if number == 1 else [f"{executor}.{one}" for one in range(1, number + 1)]
        lines += [_line(name, "work", executor, group=executor, needs=both) for name in names]
    lines += [
        _line("producer", "produce", needs=both),
        _line("keeper", "keep", needs=both),
        _line("tracker", "track", needs=frozenset({RECORD})),
        _line("web", "serve", needs=both, environment={"PORT": str(web_port)}, url=_url(web_port)),
        ProcessLine(
            name="rq_dashboard",
            group="rq_dashboard",
            command=(*RUN_MODULE, "pipeline.entrypoints.rq_dashboard"),
            needs=frozenset({QUEUES}),
            environment={"PORT": str(dashboard_port)},
            url=_url(dashboard_port),
        ),
    ]
    return lines


def leave_out(lines: Iterable[ProcessLine], names: Collection[str]) -> list[ProcessLine]:
    """Return *lines* without the processes or groups in *names*.

    Raises:
        ConfigInvalid: A name is unknown; the message lists the known ones.
    """
    lines = list(lines)
    known = {line.name: None for line in lines} | {line.group: None for line in lines}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ConfigInvalid([Problem(key="--without", message=_no_such(name, known)) for name in unknown])
    return [line for line in lines if line.name not in names and line.group not in names]


def _server(name: str, command: Sequence[str]) -> ProcessLine:
    return ProcessLine(name=name, group=name, command=command, server=True)


def _line(
    name: str,
    *arguments: str,
    group: str | None = None,
    needs: frozenset[str] = frozenset(),
    environment: Mapping[str, str] | None = None,
    url: str | None = None,
) -> ProcessLine:
    return ProcessLine(
        name=name,
        group=group or name,
        command=(*_TRADEWIRE, *arguments),
        needs=needs,
        environment=environment or {},
        url=url,
    )


def _url(port: int) -> str:
    return f"http://{LOOPBACK}:{port}"


def _no_such(name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name, known, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"there is no process {name!r}; there are {', '.join(known)}{hint}"
