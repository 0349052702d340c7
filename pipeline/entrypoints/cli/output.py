"""Print lines for a person, or JSON for a program."""

import sys
from typing import Any

import typer

from pipeline.model.texts import json_text, printable


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
