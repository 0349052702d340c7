"""The words that open a gate, and the comparison before: config diff, accept and forget; and `tradewire end`."""

from __future__ import annotations

import getpass
import json
import sys
from collections.abc import Iterable
from dataclasses import asdict
from typing import Annotated, NoReturn
from uuid import UUID

import typer

from config.checks.changes import Change
from config.schema.executor import Executors
from pipeline.model.errors import ConfigInvalid, Problem
from pipeline.operations.end_execution import end_execution
from pipeline.startup import forget_executor, live_limits
from pipeline.startup.context import executors_for, open_record, settings_for_a_person
from pipeline.startup.settings_drift import Compared, compare

Executor = Annotated[str, typer.Argument(metavar="EXECUTOR")]
Why = Annotated[str, typer.Option(help="Why; it is kept.")]
By = Annotated[str | None, typer.Option(help="Who; the login name by default.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def add_to(app: typer.Typer, *, config: typer.Typer) -> None:
    """Add the commands."""
    app.command()(end)
    for command in (diff, accept, forget):
        config.command()(command)


def diff(
    executor: Annotated[str | None, typer.Argument(metavar="EXECUTOR", help="Only this one.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Compare the file with what runs and with what was last accepted: exit 0 equal, 1 when something differs."""
    settings = settings_for_a_person("config")
    executors = executors_for(settings)
    with open_record(settings) as record:
        found = compare(record, executors)
    if executor is not None:
        if executor not in found:
            _no_such(executor, executors)
        found = {executor: found[executor]}
    stale = list(dict.fromkeys(str(process) for compared in found.values() for process in compared.stale))
    equal = all(compared.equal for compared in found.values())
    if as_json:
        body = {name: compared.to_json() for name, compared in found.items()}
        typer.echo(json.dumps({"equal": equal, "restart": stale, "executors": body}, indent=2))
    else:
        for compared in found.values():
            typer.echo("\n".join(_told(compared)))
        for process in stale:
            typer.echo(f"restart {process}")
    raise typer.Exit(0 if equal else 1)


def accept(
    executor: Executor,
    *,
    sentence: Annotated[str | None, typer.Option(help="The sentence of mode live, for its account.")] = None,
    by: By = None,
) -> None:
    """Accept what the file loosens for a live executor."""
    settings = settings_for_a_person("config")
    executors = executors_for(settings)
    if executor not in executors:
        _no_such(executor, executors)
    said = sentence if sentence is not None else _typed("sentence", "--sentence")
    with open_record(settings) as record:
        changes = live_limits.accept(record, executors[executor], sentence=said, by=by or getpass.getuser())
    _echo_changes(changes)
    typer.echo(f"accepted: the settings of {executor} as the file has them; restart its processes")


def forget(
    executor: Executor,
    *,
    why: Why,
    yes_forget: Annotated[str | None, typer.Option(metavar="NAME", help="The executor's name, once more.")] = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Let an executor go that left the file with open work or positions; nothing is asked of its broker."""
    settings = settings_for_a_person("config")
    executors = executors_for(settings)
    typed = yes_forget if yes_forget is not None else _typed("name of the executor to forget", "--yes-forget")
    if typed != executor:
        raise ConfigInvalid([Problem(key="--yes-forget", message=f"{typed!r} is not {executor!r}; nothing was done")])
    with open_record(settings) as record:
        gone = forget_executor.forget(record, executors, executor, by=by or getpass.getuser(), why=why)
    if as_json:
        typer.echo(json.dumps(asdict(gone), indent=2))
        return
    typer.echo(f"forgotten: {executor}; {gone.ended} executions that waited were skipped")
    if gone.dead:
        typer.echo(f"{gone.dead} dead letters are left ({gone.buried} new): tradewire dead list --executor {executor}")
    for order in gone.orders:
        typer.echo(f"left at the broker, followed by nobody: {order}")
    for position in gone.positions:
        typer.echo(f"left in the account, closed by nobody: {position}")


def end(
    execution_id: Annotated[str, typer.Argument(metavar="EXECUTION")],
    *,
    why: Why,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """End an execution that is queued or held; it is skipped, and what waits for its symbol goes on."""
    try:
        which = UUID(execution_id)
    except ValueError:
        raise ConfigInvalid([Problem(key="EXECUTION", message=f"{execution_id!r} is not an id")]) from None
    with open_record(settings_for_a_person("end")) as record:
        ended = end_execution(record, which, by=by or getpass.getuser(), why=why)
    if as_json:
        typer.echo(json.dumps({name: str(value) for name, value in asdict(ended).items()}, indent=2))
    else:
        typer.echo(f"ended {ended.execution_id}: {ended.symbol} at {ended.executor_id}")


def _told(compared: Compared) -> Iterable[str]:
    """Tell one executor for a person."""
    if compared.file_hash is None:
        yield f"{compared.executor_id}: not in the file"
    else:
        yield f"{compared.executor_id}: the file has {compared.file_hash[:8]}"
    for process in compared.processes:
        yield f"  {process} uses {'the same' if process.current else process.settings_hash[:8]}"
        if not process.current and process.changes is not None:
            yield from (f"    {change}" for change in process.changes)
    if not compared.processes:
        yield "  no process uses it"
    if compared.accepted:
        yield "  since it was last accepted for real money:"
        yield from (f"    {change}" for change in compared.accepted)


def _echo_changes(changes: Iterable[Change]) -> None:
    for change in changes:
        typer.echo(f"looser: {change}")


def _typed(what: str, option: str) -> str:
    """Ask a person at a terminal."""
    if not sys.stdin.isatty():
        raise ConfigInvalid([Problem(key=option, message=f"is missing: the {what}")])
    return str(typer.prompt(f"Type the {what}"))


def _no_such(executor: str, executors: Executors) -> NoReturn:
    message = f"{executor!r} is not in {executors.path}; there is {', '.join(executors)}"
    raise ConfigInvalid([Problem(key="EXECUTOR", message=message)])
