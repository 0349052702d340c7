"""Print lines for a person, or JSON for a program."""

import io
import os
import sys
from pathlib import Path
from typing import Any

import typer

from pipeline.model.texts import json_text, printable


class ClosedOutput(io.TextIOWrapper):
    """Takes the place of an output that was closed before the start. The command works, but its lines are lost."""

    lost = False

    def write(self, text: str) -> int:
        """Note that a text is lost."""
        self.lost = self.lost or bool(text)
        return super().write(text)


def replace_closed_outputs() -> ClosedOutput | None:
    """Give the command the outputs that its caller has closed; return what takes the place of standard output.

    Without it, the first file or connection that is opened would get the number of the closed output.
    """
    if sys.stderr is None:
        sys.stderr = ClosedOutput(Path(os.devnull).open("wb"))  # noqa: SIM115 -- open until the end
    if sys.stdout is not None:
        return None
    replaced = ClosedOutput(Path(os.devnull).open("wb"))  # noqa: SIM115 -- open until the end
    sys.stdout = replaced
    return replaced


def echo(*lines: str, err: bool = False) -> None:
    """Print each of *lines* on a line of its own, with control characters escaped."""
    for line in lines:
        typer.echo(printable(line), err=err)


def echo_hint(line: str) -> None:
    """Print *line* if a person reads the output at a terminal; a program that reads a pipe gets no hints."""
    if sys.stdout.isatty():
        echo("", line)


def echo_json(value: Any, *, indent: int | None = 2) -> None:
    """Print *value* as JSON on several lines; on one line if *indent* is None."""
    typer.echo(json_text(value, indent=indent))


def echo_lines(text: str) -> None:
    """Print *text*, whole lines in which unprintable characters are escaped already."""
    typer.echo(text, nl=False)
