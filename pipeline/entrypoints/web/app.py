"""Assemble the web application from its routes."""

from importlib.metadata import version

from fastapi import FastAPI

from config.webhooks import load_webhooks
from pipeline.entrypoints.web.api import (
    books,
    event_list,
    events,
    executions,
    health,
    history,
    metrics,
    operating,
    orders,
    signals,
    trading,
    webhooks,
)
from pipeline.entrypoints.web.api.address_limits import AddressLimits
from pipeline.entrypoints.web.api.context import WebContext
from pipeline.entrypoints.web.api.errors import add_handlers, answer
from pipeline.entrypoints.web.api.limits import RequestLimits
from pipeline.entrypoints.web.api.peer import ForwardedSenders
from pipeline.entrypoints.web.page import actions, docs_page, login, routes, rq
from pipeline.entrypoints.web.page.not_found import add_not_found
from pipeline.startup.request_origin import OwnRequestsOnly

_DESCRIPTION = """
Send a token in the header `Authorization: Bearer <token>`. TRADEWIRE_API_TOKEN has every scope; `tradewire token add`
makes other tokens, with the scopes `read`, `signal` and `operate`. Every refusal is `{"error": {"code", "message"}}`.
Money, prices and quantities are strings; times are RFC 3339 in UTC. A list returns `next_cursor`; send it as `cursor`
to get the next page.
"""

_TAGS = [
    {"name": "signals", "description": "Send signals, and list the recorded ones."},
    {"name": "webhooks", "description": "Receive alerts from TradingView and others, and list the deliveries."},
    {"name": "trading", "description": "Send a signal and wait for its outcome; show whether each account trades."},
    {"name": "executions", "description": "The outcome of each signal at each executor, and counts and rates."},
    {"name": "books", "description": "Positions, closed trades, profit, and differences between accounts and record."},
    {"name": "operating", "description": "Switches and dead letters: the decisions of a person."},
    {"name": "orders", "description": "The open orders; cancel one, or close a position, by hand."},
    {"name": "live", "description": "Read the events in their order, after an id."},
    {"name": "metrics", "description": "Metrics for Prometheus."},
    {"name": "health", "description": "Check whether this process and its servers answer. No token is needed."},
]


def make_app(context: WebContext, *, host: str = "") -> FastAPI:
    """Return the application. *host* is the host name or address that the server listens on."""
    app = FastAPI(
        title="tradewire",
        summary="A trading signal goes in; at every account it ends in an order id or in a reason.",
        description=_DESCRIPTION,
        version=version("tradewire"),
        openapi_tags=_TAGS,
        # `docs_page` serves the description.
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
    )
    add_handlers(app)
    add_not_found(app)
    app.add_middleware(RequestLimits)
    hosts = (host, *context.settings.allowed_hosts)
    app.add_middleware(OwnRequestsOnly, hosts=hosts, refuse=lambda sentence: answer(403, "forbidden", sentence))
    named = load_webhooks(context.settings, executors=tuple(context.executors))
    app.add_middleware(AddressLimits, gate=context.gate, webhooks=tuple(named))
    app.add_middleware(ForwardedSenders, trusted=context.settings.trusted_proxies)
    api = (
        health,
        signals,
        history,
        executions,
        books,
        trading,
        operating,
        orders,
        metrics,
        webhooks,
        event_list,
        events,
    )
    for module in (docs_page, *api, login, actions, rq, routes):
        app.include_router(module.router(context))
    return app
