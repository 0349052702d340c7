"""Put the web application together out of its rooms."""

from __future__ import annotations

from fastapi import FastAPI

from pipeline.web import health, signals
from pipeline.web.context import WebContext
from pipeline.web.errors import add_handlers


def make_app(context: WebContext) -> FastAPI:
    """Return the application."""
    app = FastAPI(
        title="tradewire",
        summary="A trading signal goes in; at every account it ends in an order id or in a reason.",
        docs_url="/docs",
        redoc_url=None,
    )
    add_handlers(app)
    for room in (health, signals):
        app.include_router(room.router(context))
    return app
