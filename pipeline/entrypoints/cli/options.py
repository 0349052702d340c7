"""The options that several commands share."""

import math
import sys
from typing import Annotated, BinaryIO

import typer

from pipeline.model.errors import ConfigInvalid, Problem

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
By = Annotated[str | None, typer.Option(help="The person who does this. Default: your login name.")]
ByMachine = Annotated[str | None, typer.Option(help="The person who does this. Default: your login name and machine.")]
Since = Annotated[
    str | None, typer.Option("--since", metavar="T", help="Only from then on: RFC 3339, or 90s, 15m, 2h, 3d ago.")
]


def finite(number: float | None) -> float | None:
    """Refuse `inf`, and `nan` where the option has no bounds."""
    if number is not None and not math.isfinite(number):
        raise typer.BadParameter(f"{number} is not a finite number.")
    return number


def standard_input() -> BinaryIO:
    """Return standard input.

    Raises:
        ConfigInvalid: it is closed.
    """
    if sys.stdin is None:
        raise ConfigInvalid([Problem(key="-", message="standard input is closed")])
    return sys.stdin.buffer
