"""`POST /api/v1/signals`: record a signal, and answer after the commit without waiting for the broker."""

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool

from pipeline.entrypoints.web.api.auth import holder_of, opened_by
from pipeline.entrypoints.web.api.context import WebContext
from pipeline.entrypoints.web.api.errors import COMMON, ErrorAnswer
from pipeline.entrypoints.web.api.signal_body import SIGNAL_BODY, receive
from pipeline.operations.tokens import Scope
from pipeline.views.schemas import RecordedView


def router(context: WebContext) -> APIRouter:
    """Return the route."""
    routes = APIRouter(tags=["signals"])

    @routes.post(
        "/api/v1/signals",
        status_code=201,
        response_description="It is recorded.",
        dependencies=[opened_by(context.gate, Scope.SIGNAL)],
        responses=COMMON
        | {
            200: {"model": RecordedView, "description": "It had been recorded before; this is the first record."},
            409: {"model": ErrorAnswer, "description": "The source_id was used for another signal."},
        },
        openapi_extra=SIGNAL_BODY,
    )
    async def record_signal(request: Request, response: Response) -> RecordedView:
        """Record one signal: the JSON object that `tradewire signal send` reads. The answer comes after the commit.

        After 503 the signal is perhaps not recorded: send it again. The same `source_id` never makes a second order.
        """
        recorded = await run_in_threadpool(receive, context, await request.body(), holder_of(request))
        response.status_code = 200 if recorded.duplicate else 201
        return RecordedView.model_validate(recorded)

    return routes
