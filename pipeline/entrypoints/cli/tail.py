"""`tradewire tail`: print decisions as they are made."""

import sys
from typing import Annotated

import typer
from rich.console import Console

from pipeline.entrypoints.cli.executions import state_named
from pipeline.entrypoints.cli.options import Since
from pipeline.entrypoints.cli.output import echo, echo_json
from pipeline.entrypoints.terminal.changes import Wanted, follow, line
from pipeline.model.errors import ConfigInvalid, Problem
from pipeline.model.reason_catalogue import CATALOGUE
from pipeline.startup.arguments import check_name, symbol_of
from pipeline.startup.context import database_url, settings_for_a_person, since, stop_on_signals
from pipeline.store.record import Record
from pipeline.views.live_feed import change_json


def tail(
    *,
    executor: Annotated[str | None, typer.Option(help="Only of this executor.")] = None,
    symbol: Annotated[str | None, typer.Option(help="Only of this symbol.")] = None,
    status: Annotated[str | None, typer.Option(help="Only changes to this state.")] = None,
    reason: Annotated[str | None, typer.Option(help="Only state changes with this reason code.")] = None,
    after: Since = None,
    every: Annotated[
        bool, typer.Option("--all", help="Print every state change, not only decisions and first holds.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON for every state change.")] = False,
) -> None:
    """Print decisions, and entries that begin to wait, as it happens, until Ctrl-C."""
    wanted = Wanted(
        executor_id=executor,
        symbol=symbol_of(symbol),
        state=None if status is None else state_named(status),
        reason=_reason(reason),
        every=every or as_json,  # Programs get every state change and filter by themselves.
    )
    begins = since(after)
    console = Console(highlight=False, soft_wrap=True)
    settings = settings_for_a_person("tail", anywhere=True)
    if after is None:
        check_name(settings, executor)
    stop = stop_on_signals()
    with Record(database_url(settings), connections=1, retry_for_s=0.5) as record:  # `follow` tries again.
        for row in follow(record, stop, since=begins, say=lambda text: echo(f"tradewire: {text}", err=True)):
            if not wanted.shows(row):
                continue
            if as_json:
                echo_json(change_json(row), indent=None)
            else:
                console.print(line(row))
            sys.stdout.flush()  # A pipe would hold the line back until its buffer is full.


def _reason(text: str | None) -> str | None:
    if text is None or text in CATALOGUE:
        return text
    raise ConfigInvalid(
        [Problem(key="--reason", message=f"{text!r} is not a reason code; `tradewire reasons` lists them")]
    )
