"""`tradewire mcp`: a server through which an assistant reads the record."""

import logging
from typing import Annotated

import typer

from pipeline.startup.context import settings_for


def mcp(
    *,
    allow_operate: Annotated[
        bool,
        typer.Option(
            "--allow-operate",
            help="Also offer requeue, discard, pause, resume, halt, cancel_order and close_position. Some trade; each "
            "records who and why.",
        ),
    ] = False,
) -> None:
    """Serve the Model Context Protocol on standard input and output. It only reads, unless --allow-operate is given."""
    # Standard output carries the protocol, so the log goes to standard error.
    settings_for("mcp", level=logging.WARNING, anywhere=True)
    from pipeline.entrypoints.mcp.server import make_server  # noqa: PLC0415 -- loads the SDK

    make_server(allow_operate=allow_operate).run("stdio")
