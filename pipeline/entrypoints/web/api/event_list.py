"""`GET /api/v1/events?since=`: the events after an id, as the receiver of events gets them."""

from typing import Annotated
from urllib.parse import parse_qsl

from fastapi import APIRouter, Query
from fastapi.routing import APIRoute
from starlette.routing import Match
from starlette.types import Scope as RequestScope

from pipeline.entrypoints.web.api.auth import opened_by
from pipeline.entrypoints.web.api.context import WebContext
from pipeline.entrypoints.web.api.errors import COMMON, ApiError
from pipeline.entrypoints.web.api.parameters import Digits, Limit
from pipeline.operations.event_feed import published_feed
from pipeline.operations.tokens import Scope
from pipeline.views.event_schemas import EventView
from pipeline.views.events import events_after

_BIGINT = 2**63 - 1


class _WithSince(APIRoute):
    """A route for requests with the parameter `since`. Others at its address are for the stream of state changes."""

    def matches(self, scope: RequestScope) -> tuple[Match, RequestScope]:
        """Return whether the request is for this route."""
        query = parse_qsl(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)
        return super().matches(scope) if any(name == "since" for name, _ in query) else (Match.NONE, {})


def router(context: WebContext) -> APIRouter:
    """Return the route."""
    opened = [opened_by(context.gate, Scope.READ)]
    routes = APIRouter(tags=["live"], dependencies=opened, responses=COMMON, route_class=_WithSince)

    @routes.get("/api/v1/events")
    def events(
        *,
        since: Annotated[
            int, Digits, Query(ge=0, le=_BIGINT, description="The `event_id` of the last event that you have, or 0.")
        ],
        limit: Limit = 100,
    ) -> list[EventView]:
        """List the events after `since` in their order: decisions, states of orders, fills, switches, findings.

        When the list is empty, ask again later with the same `since`. Without `since`, the same address is a stream of
        server-sent events.
        """
        newest = published_feed(context.record).published
        if since > newest:
            message = f"since: no event has this number yet, so it is from another record; the newest is {newest}"
            raise ApiError(422, "invalid_request", message)
        return events_after(context.record, since, limit=limit)

    return routes
