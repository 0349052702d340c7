"""Ask the person before a command does what cannot be undone at once."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated

import typer

from pipeline.entrypoints.cli.output import echo
from pipeline.model.errors import ConfigInvalid, Problem

_UNCHANGED = "nothing was changed"

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
    with answering():
        confirmed = typer.confirm(question)
    if not confirmed:
        echo(_UNCHANGED)
        raise typer.Exit(1)


@contextmanager
def answering() -> Iterator[None]:
    """Let a Ctrl-C at a question end the command with exit 130, as it does everywhere else; typer would exit with 1."""
    try:
        yield
    except typer.Abort as abort:
        # The other cause is the end of the input.
        if not isinstance(abort.__context__, KeyboardInterrupt):
            raise
        echo("", _UNCHANGED)
        raise KeyboardInterrupt from None
