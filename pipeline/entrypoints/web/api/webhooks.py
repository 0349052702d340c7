"""`POST /webhooks/…`: take what TradingView and others deliver, and answer after the commit, before the broker."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import anyio
from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from config.logs import register_secret
from config.webhooks import load_webhooks
from pipeline.entrypoints.web.api.auth import opened_by
from pipeline.entrypoints.web.api.context import WebContext
from pipeline.entrypoints.web.api.errors import COMMON, ErrorAnswer, answer
from pipeline.entrypoints.web.api.parameters import Limit, Name, Since
from pipeline.intake.webhooks.deliveries import deliveries
from pipeline.intake.webhooks.message import RefusalCode
from pipeline.intake.webhooks.receiver import WebhookReceiver, WebhookRequest
from pipeline.model.errors import InvalidSignal, SourceIdConflict
from pipeline.operations.tokens import MAIN, Scope
from pipeline.views.history_schemas import DeliveryPage
from pipeline.views.json_shapes import recorded_json
from pipeline.views.schemas import RecordedView

# TradingView gives up after 3 s, and sends nothing again after that; after a 503 it does.
_ANSWER_WITHIN_S = 2.5

_STATUSES: dict[str, int] = {
    RefusalCode.UNKNOWN_WEBHOOK: 404,
    RefusalCode.UNAUTHORIZED: 401,
    RefusalCode.ADDRESS_REFUSED: 403,
    RefusalCode.TOO_LARGE: 413,
    # 429 would be final to TradingView.
    RefusalCode.TOO_MANY: 503,
}
_AGAIN = "Nothing is sure to be recorded: send it again."
_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"model": RecordedView, "description": "A re-send: the first record again."},
    401: {"model": ErrorAnswer, "description": "The secret is missing or wrong."},
    403: {"model": ErrorAnswer, "description": "The sender's address is not among the webhook's."},
    404: {"model": ErrorAnswer, "description": "There is no such webhook."},
    405: COMMON[405],
    409: {"model": ErrorAnswer, "description": "The id in the body was used for another signal."},
    413: {"model": ErrorAnswer, "description": "The body is too large."},
    422: {"model": ErrorAnswer, "description": "It is no signal; the message says what to change in the alert."},
    503: {"model": ErrorAnswer, "description": _AGAIN},
}
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "An alert as its sender has it; the content type is not asked.",
        "content": {
            "application/json": {
                "schema": {"type": "object"},
                "examples": {
                    "tradingview": {
                        "summary": "TradingView, a strategy's alert",
                        "value": {
                            "secret": "the webhook's secret",
                            "ticker": "NASDAQ:AAPL",
                            "action": "buy",
                            "market_position": "long",
                            "prev_market_position": "flat",
                            "contracts": "10",
                            "price": "190.10",
                            "timenow": "2026-01-30T14:31:07Z",
                        },
                    },
                    "traderspost": {
                        "summary": "TradersPost",
                        "value": {
                            "ticker": "AMD",
                            "action": "buy",
                            "signalPrice": 143.12,
                            "quantity": 1,
                            "takeProfit": {"percent": 10},
                            "stopLoss": {"type": "stop", "percent": 5},
                        },
                    },
                },
            },
            "text/plain": {"schema": {"type": "string"}, "example": "buy 10 NASDAQ:AAPL at 190.10 stop 185"},
        },
    }
}

WebhookName = Annotated[str, Path(max_length=200, description="The webhook's name, like `tradingview`.")]
Secret = Annotated[str, Path(max_length=300, description="The webhook's secret, for senders without headers.")]


def router(context: WebContext) -> APIRouter:
    """Return the routes.

    Raises:
        ConfigInvalid: the file of the webhooks, or one of their secrets, is wrong.
    """
    receiver = _receiver(context)

    @asynccontextmanager
    async def open_door(_: Any) -> AsyncIterator[None]:
        yield
        await anyio.to_thread.run_sync(receiver.close)

    routes = APIRouter(tags=["webhooks"], lifespan=open_door)
    _add_doors(routes, context, receiver)
    _add_list(routes, context)
    return routes


def _add_doors(routes: APIRouter, context: WebContext, receiver: WebhookReceiver) -> None:
    posts: dict[str, Any] = {"status_code": 201, "response_model": RecordedView}
    posts |= {"responses": _ANSWERS, "openapi_extra": _BODY}

    # With a slash at the end too: a redirection is nothing that a sender of alerts follows.
    @routes.post("/webhooks/{name}/", include_in_schema=False, **posts)
    @routes.post("/webhooks/{name}", **posts)
    async def deliver(name: WebhookName, request: Request) -> JSONResponse:
        """Take an alert; the secret is in the body, as `"secret"`, or the bearer token."""
        return await _receive(context, receiver, name, request)

    @routes.post("/webhooks/{name}/{secret}/", include_in_schema=False, **posts)
    @routes.post("/webhooks/{name}/{secret}", **posts)
    async def deliver_with_secret(name: WebhookName, secret: Secret, request: Request) -> JSONResponse:
        """Take an alert of a sender that can set neither headers nor the body."""
        return await _receive(context, receiver, name, request, secret)


def _add_list(routes: APIRouter, context: WebContext) -> None:
    @routes.get(
        "/api/v1/webhooks/deliveries",
        responses=COMMON,
        dependencies=[opened_by(context.gate, Scope.READ)],
    )
    def delivered(
        *,
        refused: Annotated[bool, Query(description="Only those that were refused.")] = False,
        webhook: Name = None,
        since: Since = None,
        limit: Limit = 50,
        cursor: Annotated[int | None, Query(ge=1, le=2**62, description="`next_cursor` of the page before.")] = None,
    ) -> DeliveryPage:
        """List what was delivered to webhooks, newest first: which signal it became, or why it was refused."""
        items, more = deliveries(
            context.record, refused=refused, webhook=webhook, since=since, before=cursor, limit=limit
        )
        return DeliveryPage.model_validate(
            {"items": items, "limit": limit, "has_more": more is not None, "next_cursor": more}
        )


def _receiver(context: WebContext) -> WebhookReceiver:
    webhooks = load_webhooks(context.settings, executors=tuple(context.executors))
    for webhook in webhooks.values():
        register_secret(webhook.secret)

    def is_main(token: str) -> bool:
        _, holder = context.gate.known(token)
        return holder is not None and holder.name == MAIN

    def busy(name: str) -> bool:
        return context.gate.count(f"webhook {name}", scope=Scope.SIGNAL) is not None

    return WebhookReceiver(context.record, context.intake, webhooks, is_main=is_main, busy=busy)


async def _receive(
    context: WebContext, receiver: WebhookReceiver, name: str, request: Request, secret: str | None = None
) -> JSONResponse:
    """Answer in time: what takes longer goes on, and the sender is told to send it again, which does no harm."""
    delivery = WebhookRequest(
        name=name,
        body=await _body(request),
        secrets=tuple(given for given in (secret, _bearer(request)) if given),
        address=None if request.client is None else request.client.host,
    )
    try:
        with anyio.fail_after(_ANSWER_WITHIN_S):
            return await anyio.to_thread.run_sync(_take, context, receiver, delivery, abandon_on_cancel=True)
    except TimeoutError:
        return answer(503, "record_unavailable", f"PostgreSQL is slow. {_AGAIN}", headers={"Retry-After": "1"})


def _take(context: WebContext, receiver: WebhookReceiver, delivery: WebhookRequest) -> JSONResponse:
    try:
        taken = receiver.receive(delivery)
    except SourceIdConflict as error:
        return answer(409, error.code, str(error))
    except InvalidSignal as error:
        status = _STATUSES.get(error.code, 422)
        headers = {401: {"WWW-Authenticate": "Bearer"}, 503: {"Retry-After": "5"}}.get(status)
        return answer(status, str(error.code), str(error), headers=headers)
    recorded = taken.recorded
    if not recorded.duplicate:
        context.dispatcher.enqueue(recorded.executions)
    return JSONResponse(recorded_json(recorded), status_code=200 if recorded.duplicate else 201)


async def _body(request: Request) -> bytes | None:
    """Return the body; None when it is too long, which is a delivery to be kept too."""
    try:
        return await request.body()
    except HTTPException:
        return None


def _bearer(request: Request) -> str | None:
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else None
