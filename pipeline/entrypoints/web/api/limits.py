"""Limit the length of every request's body before a route reads it."""

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipeline.entrypoints.web.api.errors import answer

#: Bytes. A signal has a few hundred; a longer body is refused.
LARGEST_BODY = 64 * 1024

_MESSAGE = f"a request's body has at most {LARGEST_BODY} bytes"


class RequestLimits:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse a body that is too long: by its announced length, or else while it is received."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # A webhook records every delivery that it refuses, so it checks the limit itself when it reads the body.
        if _announced(scope) > LARGEST_BODY and not scope["path"].startswith("/webhooks/"):
            await answer(413, "too_large", _MESSAGE)(scope, receive, send)
            return
        await self._app(scope, _counted(receive), send)


def _announced(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            # Read at most twenty digits: no length has more, and more digits would only cost time.
            return int(value[:20])
    return 0


# Counts the bytes that arrive, because a request need not announce its length.
def _counted(receive: Receive) -> Receive:
    received = 0

    async def count() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > LARGEST_BODY:
            raise HTTPException(413, _MESSAGE)
        return message

    return count
