"""`tradewire dead`: list, show, requeue and discard dead letters."""

import getpass
from typing import Annotated
from uuid import UUID

import typer

from pipeline.entrypoints.cli.executions import print_life
from pipeline.entrypoints.cli.options import AsJson, By
from pipeline.entrypoints.cli.output import echo, echo_hint, echo_json
from pipeline.operations.dead_letters import DeadLetters
from pipeline.startup.arguments import check_name, id_of
from pipeline.startup.context import open_record, open_to_change, settings_for_a_person
from pipeline.views.history import signal_history
from pipeline.views.schemas import DeadLetterView

app = typer.Typer(
    no_args_is_help=True, help="Dead letters, the executions that need you: list, show, requeue or discard them."
)

_KEY = "EXECUTION_ID"
Which = Annotated[str, typer.Argument(metavar=_KEY, help="An execution's id, or `all`.")]
Why = Annotated[str, typer.Option(help="The reason, which the history keeps.")]


@app.command("list")
def list_(
    *, executor: Annotated[str | None, typer.Option(help="Only of this executor.")] = None, as_json: AsJson = False
) -> None:
    """List the open dead letters, oldest first."""
    settings = settings_for_a_person("dead", anywhere=True)
    with open_record(settings) as record:
        dead_letters = DeadLetters(record).open(executor)
    if not dead_letters:
        check_name(settings, executor)
    if as_json:
        echo_json([DeadLetterView.model_validate(dead_letter).to_json() for dead_letter in dead_letters])
    elif not dead_letters:
        echo("no dead letters")
    for dead_letter in [] if as_json else dead_letters:
        echo(
            f"{dead_letter.execution_id}  {dead_letter.opened_at:%Y-%m-%d %H:%M:%S}  {dead_letter.executor_id}  "
            f"{dead_letter.action.value} {dead_letter.symbol}  {dead_letter.reason}"
        )
    if dead_letters and not as_json:
        echo_hint("`tradewire dead show ID` shows the whole history of one.")


@app.command()
def show(
    execution_id: Annotated[str, typer.Argument(metavar=_KEY, help="The execution's id.")], *, as_json: AsJson = False
) -> None:
    """Show the whole history of a dead letter."""
    with open_record(settings_for_a_person("dead", anywhere=True)) as record:
        print_life(signal_history(record, id_of(execution_id, _KEY)).to_json(), as_json=as_json)


@app.command()
def requeue(
    execution_id: Which,
    *,
    why: Why = "requeued by hand",
    by: By = None,
    accept_age: Annotated[bool, typer.Option("--accept-age", help="Send an entry even if it is too old.")] = False,
) -> None:
    """Queue a dead letter, or all of them, again. An order that may exist is looked up before anything is sent."""
    with open_to_change(settings_for_a_person("dead")) as record:
        dead_letters = DeadLetters(record)
        for which in _ids(execution_id, dead_letters):
            dead_letters.requeue(which, by=by or getpass.getuser(), why=why, accept_age=accept_age)
            echo(f"requeued {which}")


@app.command()
def discard(execution_id: Which, *, why: Why = "discarded by hand", by: By = None) -> None:
    """Close a dead letter, or all of them, for good."""
    with open_to_change(settings_for_a_person("dead")) as record:
        dead_letters = DeadLetters(record)
        for which in _ids(execution_id, dead_letters):
            dead_letters.discard(which, by=by or getpass.getuser(), why=why)
            echo(f"discarded {which}")


def _ids(text: str, dead_letters: DeadLetters) -> list[UUID]:
    if text != "all":
        return [id_of(text, _KEY)]
    # `all` is read once, so a dead letter that is opened meanwhile is not included.
    ids = [dead_letter.execution_id for dead_letter in dead_letters.open()]
    if not ids:
        echo("no dead letters")
    return ids
