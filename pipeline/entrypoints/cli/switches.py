"""The commands that set switches: pause, resume, reduce, halt."""

from typing import Annotated

import typer

from config.schema.settings import Settings
from pipeline.accounts.losses import LossLimit, Use
from pipeline.accounts.switches import Switches, SwitchStatus
from pipeline.entrypoints.cli.options import AsJson, ByMachine
from pipeline.entrypoints.cli.output import echo, echo_json
from pipeline.model.errors import ConfigInvalid, Problem
from pipeline.model.switches import Switch, SwitchKind, reason_of
from pipeline.startup.arguments import me, names_of
from pipeline.startup.context import executors_for, names_to_stop, open_to_change, settings_for_a_person
from pipeline.views.account_schemas import SwitchStatusView

# A list, so that a second name is refused with a sentence and not as an unexpected argument.
Names = Annotated[list[str] | None, typer.Argument(metavar="EXECUTOR", help="The executor of the account.")]
All = Annotated[bool, typer.Option("--all", help="All executors of the file.")]
Why = Annotated[str | None, typer.Option(help="The reason, which is recorded, also with every entry that is skipped.")]


def pause(
    executor: Names = None, *, every: All = False, why: Why = None, by: ByMachine = None, as_json: AsJson = False
) -> None:
    """Pause: entries wait until `resume`, exits are sent."""
    _turn(SwitchKind.PAUSED, executor, every=every, why=why, by=by, as_json=as_json)


def reduce(
    executor: Names = None, *, every: All = False, why: Why = None, by: ByMachine = None, as_json: AsJson = False
) -> None:
    """Closing only, until `resume`: entries are skipped, working entries are canceled, exits are sent."""
    _turn(SwitchKind.REDUCING, executor, every=every, why=why, by=by, as_json=as_json)


def halt(
    executor: Names = None, *, every: All = False, why: Why = None, by: ByMachine = None, as_json: AsJson = False
) -> None:
    """Halt: like `reduce`, until a person lifts it."""
    _turn(SwitchKind.HALTED, executor, every=every, why=why, by=by, as_json=as_json)


def resume(
    executor: Names = None, *, every: All = False, why: Why = None, by: ByMachine = None, as_json: AsJson = False
) -> None:
    """Lift every switch of the account. A halt by a limit needs --why."""
    settings = settings_for_a_person("resume")
    names = names_of(settings, one_of(executor), every=every)
    with open_to_change(settings, names) as record:
        switches = Switches(record)
        statuses = [switches.resume(name, by=by or me(), why=why) for name in names]
        notes = [note for name in names for note in _still_over(switches, settings, name)]
    print_statuses(statuses, as_json=as_json)
    for note in notes:
        echo(note, err=as_json)  # Notes must not mix with the JSON.


def _turn(
    kind: SwitchKind, executor: list[str] | None, *, every: bool, why: str | None, by: str | None, as_json: bool
) -> None:
    settings = settings_for_a_person(kind.value, anywhere=True)
    names = names_to_stop(settings, one_of(executor), every=every)
    with open_to_change(settings, names) as record:
        switches = Switches(record)
        statuses = [switches.turn(name, kind, by=by or me(), why=why) for name in names]
    print_statuses(statuses, as_json=as_json)


def one_of(names: list[str] | None) -> str | None:
    """Return the only one of *names*; None without a name.

    Raises:
        ConfigInvalid: there are several.
    """
    if names is not None and len(names) > 1:
        raise ConfigInvalid([Problem(key="EXECUTOR", message="name one executor, or --all")])
    return names[0] if names else None


def print_statuses(statuses: list[SwitchStatus], *, as_json: bool) -> None:
    """Print the switches that are on, and those that were just lifted."""
    if as_json:
        echo_json([SwitchStatusView.of(status).to_json() for status in statuses])
    for status in [] if as_json else statuses:
        for switch in status.lifted:
            echo(f"{status.executor_id}: lifted {_line(switch)}")
        for switch in status.switches:
            echo(f"{status.executor_id}: {_line(switch)}")
        if not status.switches:
            echo(f"{status.executor_id}: trading: no switch is on")


def _line(switch: Switch) -> str:
    closing = ", closing everything" if switch.flatten else ""
    return f"{switch.kind.value}{closing}{reason_after(switch.kind.value, str(reason_of(switch)))}"


def reason_after(kind: str, reason: str) -> str:
    """Return *reason* as it follows the word *kind*: without that word again."""
    code, _, figures = reason.partition(" ")
    return f" {figures}" if code == kind else f"  {reason}"


def _still_over(switches: Switches, settings: Settings, executor_id: str) -> list[str]:
    # A note explains that entries are still skipped after a halt was lifted, because a limit is still exceeded.
    try:
        executor = executors_for(settings)[executor_id]
    except ConfigInvalid:
        return []  # Lifting a switch must work with a wrong file too.
    return [_note(executor_id, use) for use in switches.over(executor)]


def _note(executor_id: str, use: Use) -> str:
    over = ", or the day is over" if use.limit is LossLimit.DAILY_LOSS else ""
    return (
        f"{executor_id}: {use.limit} is still at {use.percent:.1f} % of its limit (lost {use.lost:.2f} of "
        f"{use.allowed:.2f}): the account stays closing only until it is below 70 %{over}. The same breach does not "
        f"halt it again. If the figures are wrong, correct them: `tradewire baseline {executor_id}`."
    )
