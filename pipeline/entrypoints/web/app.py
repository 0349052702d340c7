"""Put the web application together out of its rooms."""

from __future__ import annotations

from importlib.metadata import version

from fastapi import FastAPI

from pipeline.entrypoints.web.api import (
    events,
    executions,
    health,
    history,
    metrics,
    operating,
    signals,
    trading,
    webhooks,
)
from pipeline.entrypoints.web.api.context import WebContext
from pipeline.entrypoints.web.api.errors import add_handlers
from pipeline.entrypoints.web.api.limits import RequestLimits
from pipeline.entrypoints.web.page import actions, docs_page, login, routes
from pipeline.entrypoints.web.page.rq import add_dashboard

_DESCRIPTION = """
A token goes in the header `Authorization: Bearer <token>`: TRADEWIRE_API_TOKEN opens everything; `tradewire token add`
makes others, with the scopes `read`, `signal` and `operate`. Every refusal is `{"error": {"code", "message"}}`. Money,
prices and quantities are strings, times RFC 3339 in UTC. A list answers `next_cursor`; give it back as `cursor` for
the next page.
"""

_TAGS = [
    {"name": "signals", "description": "Send signals; see what came in."},
    {"name": "webhooks", "description": "Where alerts of TradingView and others come in, and what became of them."},
    {"name": "trading", "description": "Send a signal and wait for what becomes of it; what executors are doing."},
    {"name": "executions", "description": "What became of each signal at each executor, and rates over all."},
    {"name": "operating", "description": "What a person does: switches and dead letters."},
    {"name": "live", "description": "What moves, as it moves: server-sent events."},
    {"name": "metrics", "description": "For Prometheus."},
    {"name": "health", "description": "For whoever watches processes; without a token."},
]


def make_app(context: WebContext) -> FastAPI:
    """Return the application."""
    app = FastAPI(
        title="tradewire",
        summary="A trading signal goes in; at every account it ends in an order id or in a reason.",
        description=_DESCRIPTION,
        version=version("tradewire"),
        openapi_tags=_TAGS,
        docs_url=None,
        redoc_url=None,
    )
    add_handlers(app)
    app.add_middleware(RequestLimits)
    for room in (
        health,
        docs_page,
        signals,
        history,
        executions,
        trading,
        operating,
        metrics,
        webhooks,
        events,
        login,
        actions,
        routes,
    ):
        app.include_router(room.router(context))
    add_dashboard(app, context)
    return app
