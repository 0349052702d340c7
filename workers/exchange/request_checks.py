"""Refuse requests from pages of other sites, and bodies that are not JSON or are too long."""

from collections.abc import Iterable

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipeline.startup.request_origin import OwnRequestsOnly

#: In bytes. The longest bodies are those with which a test sets its prices or its faults.
LARGEST_BODY = 1024 * 1024


def with_checks(app: ASGIApp, *, hosts: Iterable[str]) -> ASGIApp:
    """Return *app* behind all checks. *hosts* are names of this server besides this machine's own."""
    return OwnRequestsOnly(_JsonBodies(app), hosts=hosts, refuse=lambda why: JSONResponse({"message": why}, 403))


class _JsonBodies:
    """ASGI middleware: reads each body, and passes on only JSON of a bounded length."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = b""
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            if len(body) > LARGEST_BODY:
                refused = JSONResponse({"message": f"a body has at most {LARGEST_BODY} bytes"}, 413)
                await refused(scope, receive, send)
                return
            if not message.get("more_body", False):
                break
        kind = Headers(scope=scope).get("content-type", "").partition(";")[0].strip().lower()
        # A browser lets a page of another site send a form without a preflight request, but not JSON.
        if body and kind != "application/json":
            await JSONResponse({"message": "the content type must be application/json"}, 415)(scope, receive, send)
            return
        await self._app(scope, _again(body, receive), send)


def _again(body: bytes, receive: Receive) -> Receive:
    """Return a *receive* that begins with the *body* that was read already."""
    first: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def received() -> Message:
        return first.pop() if first else await receive()

    return received
