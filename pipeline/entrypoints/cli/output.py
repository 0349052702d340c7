"""Print lines for a person, or JSON for a program."""

from typing import Any

import typer

from pipeline.model.texts import json_text, printable


def echo(*lines: str, err: bool = False) -> None:
    """Print each of *lines* on a line of its own, with control characters escaped."""
    for line in lines:
        typer.echo(printable(line), err=err)


def echo_json(value: Any, *, indent: int | None = 2) -> None:
    """Print *value* as JSON on several lines; on one line if *indent* is None."""
    typer.echo(json_text(value, indent=indent))
