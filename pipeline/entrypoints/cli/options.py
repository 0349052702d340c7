"""The options that several commands share."""

from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
By = Annotated[str | None, typer.Option(help="Who; your login name by default.")]
ByMachine = Annotated[str | None, typer.Option(help="Who; your login name and machine by default.")]
Since = Annotated[
    str | None, typer.Option("--since", metavar="T", help="Only from then on: RFC 3339, or 90s, 15m, 2h, 3d ago.")
]
