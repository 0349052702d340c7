"""The commands `config diff`, `config accept`, `config forget` and `end`."""

import getpass
import sys
from collections.abc import Iterable
from dataclasses import asdict
from typing import Annotated

import typer

from config.checks.changes import Change
from pipeline.entrypoints.cli.asking import answering
from pipeline.entrypoints.cli.options import AsJson, By
from pipeline.entrypoints.cli.output import echo, echo_json
from pipeline.model.errors import ConfigInvalid, Problem
from pipeline.model.json_values import object_json
from pipeline.operations.end_execution import end_execution
from pipeline.startup import forget_executor, live_limits
from pipeline.startup.arguments import executor_of, id_of, not_in_file
from pipeline.startup.context import executors_for, open_record, open_to_change, settings_for_a_person
from pipeline.startup.settings_drift import SettingsComparison, compare

Executor = Annotated[str, typer.Argument(metavar="EXECUTOR", help="The executor of the account.")]
Why = Annotated[str, typer.Option(help="The reason, which is recorded.")]


def diff(
    executor: Annotated[str | None, typer.Argument(metavar="EXECUTOR", help="Compare only this executor.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Compare the file with the running processes and with the accepted limits: exit 0 when equal, 1 when not."""
    settings = settings_for_a_person("config", anywhere=True)
    executors = executors_for(settings)
    with open_record(settings) as record:
        found = compare(record, executors)
    if executor is not None:
        if executor not in found:
            raise ConfigInvalid([not_in_file(executors, executor)])
        found = {executor: found[executor]}
    stale = list(dict.fromkeys(str(process) for comparison in found.values() for process in comparison.stale))
    equal = all(comparison.equal for comparison in found.values())
    if as_json:
        body = {name: comparison.to_json() for name, comparison in found.items()}
        echo_json({"equal": equal, "restart": stale, "executors": body})
    else:
        for comparison in found.values():
            echo(*_lines(comparison))
        for process in stale:
            echo(f"restart {process}")
    raise typer.Exit(0 if equal else 1)


def accept(
    executor: Executor,
    *,
    sentence: Annotated[str | None, typer.Option(help="The sentence of mode live, with the account's number.")] = None,
    by: By = None,
) -> None:
    """Accept settings of a live executor that loosen its limits."""
    settings = settings_for_a_person("config")
    executors = executors_for(settings)
    live = executor_of(executors, executor)
    typed = sentence if sentence is not None else _typed("sentence", "--sentence")
    with open_to_change(settings, [executor]) as record:
        changes = live_limits.accept(record, live, sentence=typed, by=by or getpass.getuser())
    _echo_changes(changes)
    echo(f"accepted: the settings of {executor} as the file has them; restart its processes")


def forget(
    executor: Executor,
    *,
    why: Why,
    yes_forget: Annotated[str | None, typer.Option(metavar="NAME", help="The executor's name, to confirm.")] = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Forget an executor that was removed from the file while it had open work or positions. No broker is asked."""
    settings = settings_for_a_person("config")
    executors = executors_for(settings)
    # The executor's name must be typed again, because forgetting ends executions and cannot be undone.
    typed = yes_forget if yes_forget is not None else _typed("name of the executor to forget", "--yes-forget")
    if typed != executor:
        raise ConfigInvalid(
            [Problem(key="--yes-forget", message=f"{typed!r} is not {executor!r}: nothing was changed")]
        )
    with open_to_change(settings, [executor]) as record:
        done = forget_executor.forget(record, executors, executor, by=by or getpass.getuser(), why=why)
    if as_json:
        echo_json(asdict(done))
        return
    echo(f"forgotten: {executor}; {done.ended} executions that waited were skipped")
    if done.dead:
        echo(f"{done.dead} dead letters are left ({done.buried} new): tradewire dead list --executor {executor}")
    for order in done.orders:
        echo(f"left at the broker, and not followed: {order}")
    for position in done.positions:
        echo(f"left in the account, and not closed: {position}")


def end(
    execution_id: Annotated[str, typer.Argument(metavar="EXECUTION", help="The execution's id.")],
    *,
    why: Why,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """End an execution that is queued or held: it is skipped, and the next execution of its symbol goes on."""
    which = id_of(execution_id, "EXECUTION")
    with open_to_change(settings_for_a_person("end")) as record:
        ended = end_execution(record, which, by=by or getpass.getuser(), why=why)
    if as_json:
        shown = {name: value for name, value in vars(ended).items() if name != "seq"}
        echo_json(object_json(shown))
    else:
        echo(f"ended {ended.execution_id}: {ended.symbol} at {ended.executor_id}")


def _lines(comparison: SettingsComparison) -> Iterable[str]:
    if comparison.file_hash is None:
        yield f"{comparison.executor_id}: not in the file"
    else:
        yield f"{comparison.executor_id}: the file has {comparison.file_hash[:8]}"
    for process in comparison.processes:
        yield f"  {process} uses {'the same' if process.current else process.settings_hash[:8]}"
        if not process.current and process.changes is not None:
            yield from (f"    {change}" for change in process.changes)
    if not comparison.processes:
        yield "  no process uses it"
    if comparison.accepted:
        yield "  changes since the settings were accepted for real money:"
        yield from (f"    {change}" for change in comparison.accepted)


def _echo_changes(changes: Iterable[Change]) -> None:
    for change in changes:
        echo(f"looser: {change}")


def _typed(what: str, option: str) -> str:
    # Without a terminal there is no person to ask, and a prompt would block a script.
    if sys.stdin is None or not sys.stdin.isatty():
        raise ConfigInvalid([Problem(key=option, message=f"is missing: the {what}")])
    with answering():
        return str(typer.prompt(f"Type the {what}"))
