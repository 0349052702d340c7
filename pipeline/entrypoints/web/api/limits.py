"""What holds for every request before a route sees it: how long it may be, and what HEAD means."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipeline.entrypoints.web.api.errors import answer

#: Bytes. A signal has a few hundred; nothing that we take is as long.
LARGEST_BODY = 64 * 1024

_SAYS = f"a request's body has at most {LARGEST_BODY} bytes"


class RequestLimits:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse a body that is too long, at the latest when it has become so; answer HEAD as GET without a body."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # A webhook keeps what it refuses, also this: it meets the limit when it reads.
        if _announced(scope) > LARGEST_BODY and not scope["path"].startswith("/webhooks/"):
            await answer(413, "too_large", _SAYS)(scope, receive, send)
            return
        if scope["method"] == "HEAD":
            scope, send = {**scope, "method": "GET"}, _without_body(send)
        await self._app(scope, _counted(receive), send)


def _announced(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            # Digits without end are a length that no body has.
            return int(value[:20])
    return 0


def _counted(receive: Receive) -> Receive:
    """Count what is received, since a length need not be announced."""
    received = 0

    async def count() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > LARGEST_BODY:
            raise HTTPException(413, _SAYS)
        return message

    return count


def _without_body(send: Send) -> Send:
    """Send the head, and end: also where the body of a GET would never end."""
    over = False

    async def head(message: Message) -> None:
        nonlocal over
        if over:
            return
        if message["type"] == "http.response.body":
            over = True
            message = {"type": "http.response.body", "body": b"", "more_body": False}
        await send(message)

    return head
