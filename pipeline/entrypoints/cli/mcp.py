"""`tradewire mcp`: let an assistant ask the record, over standard input and output."""

from __future__ import annotations

import logging
from typing import Annotated

import typer

from pipeline.startup.context import settings_for


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(mcp)


def mcp(
    *,
    allow_operate: Annotated[
        bool,
        typer.Option("--allow-operate", help="Offer requeue, discard, pause, resume and halt too, with who and why."),
    ] = False,
) -> None:
    """Serve the Model Context Protocol on standard input and output; read-only unless told otherwise."""
    # Standard output is the protocol's; the log goes to standard error.
    settings_for("mcp", level=logging.WARNING)
    from pipeline.entrypoints.mcp.server import make_server  # noqa: PLC0415 -- loads the SDK

    make_server(allow_operate=allow_operate).run("stdio")
