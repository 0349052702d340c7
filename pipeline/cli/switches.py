"""The switches by hand: pause, resume, reduce, halt."""

from __future__ import annotations

import getpass
import json
import socket
import tomllib
from typing import Annotated

import typer

from config.settings import Settings
from pipeline.cli.context import executors_for, open_record, settings_for_a_person
from pipeline.errors import ConfigInvalid, Problem
from pipeline.switches import Stand, Switches
from workers.rules.losses import LossLimit, Use
from workers.rules.switches import Kind, Switch, reason_of

Which = Annotated[str | None, typer.Argument(metavar="EXECUTOR", help="The executor whose account is meant.")]
All = Annotated[bool, typer.Option("--all", help="Every executor of the file.")]
Why = Annotated[str | None, typer.Option(help="Why; it is kept, and entries that are skipped say it.")]
By = Annotated[str | None, typer.Option(help="Who; the login name and machine by default.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (pause, resume, reduce, halt):
        app.command()(command)


def pause(
    executor: Which = None, *, every: All = False, why: Why = None, by: By = None, as_json: AsJson = False
) -> None:
    """Hold entries until `resume`; exits go."""
    _turn(Kind.PAUSED, executor, every=every, why=why, by=by, as_json=as_json)


def reduce(
    executor: Which = None, *, every: All = False, why: Why = None, by: By = None, as_json: AsJson = False
) -> None:
    """Skip entries and cancel those that work, until `resume`; exits go."""
    _turn(Kind.REDUCING, executor, every=every, why=why, by=by, as_json=as_json)


def halt(
    executor: Which = None, *, every: All = False, why: Why = None, by: By = None, as_json: AsJson = False
) -> None:
    """Stop: as `reduce`; only a person lifts it."""
    _turn(Kind.HALTED, executor, every=every, why=why, by=by, as_json=as_json)


def resume(
    executor: Which = None, *, every: All = False, why: Why = None, by: By = None, as_json: AsJson = False
) -> None:
    """Lift every switch of the account; after a limit's halt only with --why."""
    settings = settings_for_a_person("resume")
    names = names_of(settings, executor, every=every)
    with open_record(settings) as record:
        switches = Switches(record)
        stands = [switches.resume(name, by=by or me(), why=why) for name in names]
        notes = [note for name in names for note in _still_over(switches, settings, name)]
    print_stands(stands, as_json=as_json)
    for note in notes:
        typer.echo(note, err=as_json)


def _turn(kind: Kind, executor: str | None, *, every: bool, why: str | None, by: str | None, as_json: bool) -> None:
    settings = settings_for_a_person(kind.value)
    names = names_of(settings, executor, every=every)
    with open_record(settings) as record:
        switches = Switches(record)
        stands = [switches.turn(name, kind, by=by or me(), why=why) for name in names]
    print_stands(stands, as_json=as_json)


def names_of(settings: Settings, executor: str | None, *, every: bool) -> list[str]:
    """Return whom the command means. A file whose figures are wrong must not keep anybody from stopping.

    Raises:
        ConfigInvalid: nobody of that name is in the file, or it cannot be read.
    """
    try:
        tables = tomllib.loads(settings.executors.read_text("utf-8")).get("executors", {})
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigInvalid([Problem(key="TRADEWIRE_EXECUTORS", message=f"{settings.executors}: {error}")]) from None
    if every == (executor is not None):
        raise ConfigInvalid([Problem(key="EXECUTOR", message="name one executor, or --all")])
    if executor is not None and executor not in tables:
        message = f"{executor!r} is not in {settings.executors}; there is {', '.join(tables)}"
        raise ConfigInvalid([Problem(key="EXECUTOR", message=message)])
    return list(tables) if executor is None else [executor]


def me() -> str:
    """Return who turns a switch: the login name and the machine."""
    return f"{getpass.getuser()}@{socket.gethostname()}"


def print_stands(stands: list[Stand], *, as_json: bool) -> None:
    """Print what stands, and what was lifted."""
    if as_json:
        typer.echo(json.dumps([stand.to_json() for stand in stands], indent=2))
    for stand in [] if as_json else stands:
        for switch in stand.lifted:
            typer.echo(f"{stand.executor_id}: lifted {_said(switch)}")
        for switch in stand.switches:
            typer.echo(f"{stand.executor_id}: {_said(switch)}")
        if not stand.switches:
            typer.echo(f"{stand.executor_id}: nothing stands; entries go")


def _said(switch: Switch) -> str:
    closing = ", closing everything" if switch.flatten else ""
    return f"{switch.kind.value}{closing}  {reason_of(switch)}"


def _still_over(switches: Switches, settings: Settings, executor_id: str) -> list[str]:
    """Say what the ladder goes on to do by itself: lifting a halt does not bring the money back."""
    try:
        executor = executors_for(settings)[executor_id]
    except ConfigInvalid:
        return []
    return [_note(executor_id, use) for use in switches.over(executor)]


def _note(executor_id: str, use: Use) -> str:
    over = ", or the day is over" if use.limit is LossLimit.DAILY_LOSS else ""
    return (
        f"{executor_id}: {use.limit} is still at {use.percent:.1f} % of its limit (lost {use.lost:.2f} of "
        f"{use.allowed:.2f}): entries are skipped as reducing until it is below 70 %{over}. The same breach does not "
        f"halt again. If what it is counted from is wrong: `tradewire baseline {executor_id}`."
    )
