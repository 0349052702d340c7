"""The switches by hand: pause, resume, reduce, halt."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from config.schema.settings import Settings
from pipeline.accounts.losses import LossLimit, Use
from pipeline.accounts.switches import Switches, SwitchStatus
from pipeline.model.errors import ConfigInvalid
from pipeline.model.switches import Switch, SwitchKind, reason_of
from pipeline.startup.context import executors_for, open_record, settings_for_a_person
from pipeline.startup.executor_names import me, names_of
from pipeline.views.account_schemas import SwitchStatusView

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
    _turn(SwitchKind.PAUSED, executor, every=every, why=why, by=by, as_json=as_json)


def reduce(
    executor: Which = None, *, every: All = False, why: Why = None, by: By = None, as_json: AsJson = False
) -> None:
    """Skip entries and cancel those that work, until `resume`; exits go."""
    _turn(SwitchKind.REDUCING, executor, every=every, why=why, by=by, as_json=as_json)


def halt(
    executor: Which = None, *, every: All = False, why: Why = None, by: By = None, as_json: AsJson = False
) -> None:
    """Stop: as `reduce`; only a person lifts it."""
    _turn(SwitchKind.HALTED, executor, every=every, why=why, by=by, as_json=as_json)


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


def _turn(
    kind: SwitchKind, executor: str | None, *, every: bool, why: str | None, by: str | None, as_json: bool
) -> None:
    settings = settings_for_a_person(kind.value)
    names = names_of(settings, executor, every=every)
    with open_record(settings) as record:
        switches = Switches(record)
        stands = [switches.turn(name, kind, by=by or me(), why=why) for name in names]
    print_stands(stands, as_json=as_json)


def print_stands(stands: list[SwitchStatus], *, as_json: bool) -> None:
    """Print what stands, and what was lifted."""
    if as_json:
        typer.echo(json.dumps([SwitchStatusView.of(stand).to_json() for stand in stands], indent=2))
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
