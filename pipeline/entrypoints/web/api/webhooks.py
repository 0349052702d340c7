"""`POST /webhooks/…`: record alerts of TradingView and others; answer after the commit, without waiting for brokers."""

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
from pipeline.entrypoints.web.api.parameters import Digits, Limit, Name, Since
from pipeline.entrypoints.web.api.peer import peer_of, sender_of
from pipeline.intake.webhooks.message import RefusalCode
from pipeline.intake.webhooks.receiver import WebhookReceiver, WebhookRequest
from pipeline.model.errors import InvalidSignal, SourceIdConflict
from pipeline.operations.guesses import Guesses
from pipeline.operations.tokens import MAIN, Scope
from pipeline.views.history_schemas import DeliveryPage
from pipeline.views.lists import deliveries
from pipeline.views.schemas import RecordedView

# Seconds until the answer 503, after which TradingView sends the alert again. Without an answer in 3 s, it does not.
_ANSWER_WITHIN_S = 2.5

_STATUSES: dict[str, int] = {
    RefusalCode.UNKNOWN_WEBHOOK: 404,
    RefusalCode.UNAUTHORIZED: 401,
    RefusalCode.ADDRESS_REFUSED: 403,
    RefusalCode.TOO_LARGE: 413,
    # TradingView does not send an alert again after 429.
    RefusalCode.TOO_MANY: 503,
}
_AGAIN = "It is perhaps not recorded: send it again."
_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"model": RecordedView, "description": "The alert was sent again; this is the first record."},
    401: {"model": ErrorAnswer, "description": "The secret is missing or wrong."},
    403: {"model": ErrorAnswer, "description": "The webhook does not accept the sender's address."},
    404: {"model": ErrorAnswer, "description": "There is no such webhook."},
    405: COMMON[405],
    409: {"model": ErrorAnswer, "description": "The id in the body was used for another signal."},
    413: {"model": ErrorAnswer, "description": "The body is too large."},
    422: {"model": ErrorAnswer, "description": "It is not a signal; the message explains what to change in the alert."},
    503: {"model": ErrorAnswer, "description": _AGAIN},
}
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "An alert as its sender writes it; the content type is not read.",
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
        ConfigInvalid: webhooks.toml, or the secret of a webhook, is wrong.
    """
    receiver = _receiver(context)

    @asynccontextmanager
    async def close_receiver(_: Any) -> AsyncIterator[None]:
        yield
        await anyio.to_thread.run_sync(receiver.close)

    routes = APIRouter(tags=["webhooks"], lifespan=close_receiver)
    _add_receivers(routes, context, receiver)
    _add_list(routes, context)
    return routes


def _add_receivers(routes: APIRouter, context: WebContext, receiver: WebhookReceiver) -> None:
    posts: dict[str, Any] = {"status_code": 201, "response_model": RecordedView}
    posts |= {"responses": _ANSWERS, "openapi_extra": _BODY}

    # A slash at the end is accepted too, because senders of alerts do not follow redirections.
    @routes.post("/webhooks/{name}/", include_in_schema=False, **posts)
    @routes.post("/webhooks/{name}", **posts)
    async def deliver(name: WebhookName, request: Request) -> JSONResponse:
        """Receive an alert. The secret is in the body as `"secret"`, or is the bearer token."""
        return await _receive(context, receiver, name, request)

    @routes.post("/webhooks/{name}/{secret}/", include_in_schema=False, **posts)
    @routes.post("/webhooks/{name}/{secret}", **posts)
    async def deliver_with_secret(name: WebhookName, secret: Secret, request: Request) -> JSONResponse:
        """Receive an alert of a sender that can set neither headers nor the body."""
        return await _receive(context, receiver, name, request, secret)


def _add_list(routes: APIRouter, context: WebContext) -> None:
    @routes.get("/api/v1/webhooks/deliveries", responses=COMMON, dependencies=[opened_by(context.gate, Scope.READ)])
    def delivered(
        *,
        refused: Annotated[bool, Query(description="Only those that were refused.")] = False,
        webhook: Name = None,
        since: Since = None,
        limit: Limit = 50,
        cursor: Annotated[
            int | None, Digits, Query(ge=1, le=2**62, description="`next_cursor` of the page before.")
        ] = None,
    ) -> DeliveryPage:
        """List the deliveries to webhooks, newest first, each with its signal or with the reason for its refusal."""
        record = context.record
        return deliveries(record, refused=refused, webhook=webhook, since=since, before=cursor, limit=limit)


def _receiver(context: WebContext) -> WebhookReceiver:
    webhooks = load_webhooks(context.settings, executors=tuple(context.executors))
    for webhook in webhooks.values():
        register_secret(webhook.secret)

    def is_main(token: str) -> bool:
        _, holder = context.gate.known(token)
        return holder is not None and holder.name == MAIN

    def busy(name: str) -> bool:
        return context.gate.count(f"webhook {name}", scope=Scope.SIGNAL) is not None

    # The limit of the API's tokens is another one: a guesser who reaches only webhooks must not stop logins.
    guesses = Guesses()
    return WebhookReceiver(context.record, context.intake, webhooks, is_main=is_main, busy=busy, guesses=guesses)


# A delivery that takes longer than the limit goes on after the answer 503. The sender repeats it, which does no harm:
# it is the same signal.
async def _receive(
    context: WebContext, receiver: WebhookReceiver, name: str, request: Request, secret: str | None = None
) -> JSONResponse:
    delivery = WebhookRequest(
        name=name,
        body=await _body(request),
        secrets=tuple(given for given in (secret, _bearer(request)) if given),
        address=sender_of(request),
        peer=peer_of(request),
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
    return JSONResponse(RecordedView.model_validate(recorded).to_json(), status_code=200 if recorded.duplicate else 201)


# Returns None for a body that is too long: the delivery is recorded without its body.
async def _body(request: Request) -> bytes | None:
    try:
        return await request.body()
    except HTTPException:
        return None


def _bearer(request: Request) -> str | None:
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else None
