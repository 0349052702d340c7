"""`/metrics`: the metrics for Prometheus."""

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST

from pipeline.entrypoints.web.api.auth import opened_by
from pipeline.entrypoints.web.api.context import WebContext
from pipeline.entrypoints.web.api.errors import COMMON
from pipeline.monitoring.metrics.exposition import Exposition
from pipeline.operations.tokens import Scope


def router(context: WebContext) -> APIRouter:
    """Return the route. Give Prometheus a token with the scope read: `tradewire token add`."""
    routes = APIRouter(tags=["metrics"])
    exposition = Exposition(context.record, context.executors, depth=context.dispatcher.depth)

    @routes.get(
        "/metrics",
        dependencies=[opened_by(context.gate, Scope.READ)],
        response_class=Response,
        responses=COMMON | {200: {"content": {"text/plain": {}}, "description": "Prometheus' text format."}},
    )
    def metrics() -> Response:
        """Show every metric.

        While PostgreSQL is away, `tradewire_record_up` is 0, and within 5 s only the main token works.
        """
        return Response(exposition.text(), media_type=CONTENT_TYPE_LATEST)

    return routes
