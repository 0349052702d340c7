"""Ask the person before a command does what cannot be undone at once."""

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from pipeline.entrypoints.cli.output import echo
from pipeline.model.errors import ConfigInvalid, Problem

Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


def ask(question: str, lines: Sequence[str], *, yes: bool) -> None:
    """Print *lines*; ask *question* unless *yes* is set. After another answer than yes, end the command with exit 1.

    Raises:
        ConfigInvalid: *yes* is not set and there is no terminal to ask on.
    """
    echo(*lines)
    if yes:
        return
    if sys.stdin is None or not sys.stdin.isatty():
        raise ConfigInvalid([Problem(key="--yes", message="is missing: there is no terminal to ask on")])
    if not typer.confirm(question):
        echo("nothing was changed")
        raise typer.Exit(1)
