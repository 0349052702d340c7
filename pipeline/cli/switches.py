"""The switches by hand: pause, resume, reduce, halt, flatten."""

from __future__ import annotations

import getpass
import json
import socket
import tomllib
from functools import partial
from typing import Annotated

import typer

from config.settings import Settings
from pipeline.cli.context import executors_for, open_record, settings_for_a_person
from pipeline.errors import ConfigInvalid, Problem
from pipeline.flatten.progress import Progress, wait_for_flat
from pipeline.store.record import Record
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
    for command in (pause, resume, reduce, halt, flatten):
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
    names = _names(settings, executor, every=every)
    with open_record(settings) as record:
        switches = Switches(record)
        stands = [switches.resume(name, by=by or _me(), why=why) for name in names]
        notes = [note for name in names for note in _still_over(switches, settings, name)]
    _print(stands, as_json=as_json)
    for note in notes:
        typer.echo(note, err=as_json)


def flatten(
    executor: Which = None,
    *,
    every: All = False,
    why: Why = None,
    by: By = None,
    wait: Annotated[float, typer.Option(min=0, metavar="SECONDS", help="Wait so long until it is flat.")] = 60.0,
    as_json: AsJson = False,
) -> None:
    """Halt, cancel everything, close everything, and again until flat; exit 0 when flat, 1 when something is left."""
    settings = settings_for_a_person("flatten")
    names = _names(settings, executor, every=every)
    with open_record(settings) as record:
        switches = Switches(record)
        stands = [switches.turn(name, Kind.HALTED, flatten=True, by=by or _me(), why=why) for name in names]
        if not as_json:
            _print(stands, as_json=False)
        left = {name: _watch(record, name, wait_s=wait, quiet=as_json) for name in names}
    if as_json:
        bodies = [stand.to_json() | {"progress": left[stand.executor_id].to_json()} for stand in stands]
        typer.echo(json.dumps(bodies, indent=2))
    raise typer.Exit(0 if all(progress.flat for progress in left.values()) else 1)


def _turn(kind: Kind, executor: str | None, *, every: bool, why: str | None, by: str | None, as_json: bool) -> None:
    settings = settings_for_a_person(kind.value)
    names = _names(settings, executor, every=every)
    with open_record(settings) as record:
        switches = Switches(record)
        stands = [switches.turn(name, kind, by=by or _me(), why=why) for name in names]
    _print(stands, as_json=as_json)


def _names(settings: Settings, executor: str | None, *, every: bool) -> list[str]:
    """Return whom the command means. A file whose figures are wrong must not keep anybody from stopping."""
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


def _me() -> str:
    return f"{getpass.getuser()}@{socket.gethostname()}"


def _print(stands: list[Stand], *, as_json: bool) -> None:
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


def _watch(record: Record, executor_id: str, *, wait_s: float, quiet: bool) -> Progress:
    say = (lambda _: None) if quiet else partial(_say, executor_id)
    return wait_for_flat(record, executor_id, wait_s=wait_s, say=say)


def _say(executor_id: str, progress: Progress) -> None:
    for line in progress.lines():
        typer.echo(f"{executor_id}: {line}")
