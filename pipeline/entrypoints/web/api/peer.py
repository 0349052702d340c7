"""Keep two addresses of a request apart: the peer, by which limits count, and the sender that a trusted proxy names."""

from collections.abc import Iterable

from fastapi import Request
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

_PEER = "tradewire.peer"


class ForwardedSenders:
    """ASGI middleware: the client and the scheme of a request from a trusted proxy are those that the proxy forwards.

    `peer_of` still returns the address of the proxy.
    """

    def __init__(self, app: ASGIApp, *, trusted: Iterable[str]) -> None:
        """Believe `X-Forwarded-For` and `X-Forwarded-Proto` of the addresses and networks in *trusted*."""
        # uvicorn's types of an application are stricter than Starlette's.
        self._forwarded = ProxyHeadersMiddleware(app, list(trusted))  # type: ignore[arg-type]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Remember the peer, then read the headers."""
        client = scope.get("client")
        scope[_PEER] = client[0] if client else None
        await self._forwarded(scope, receive, send)  # type: ignore[arg-type]


def peer_of(request: Request) -> str | None:
    """Return the address at the other end of the connection. No header changes it."""
    address: str | None = request.scope[_PEER]
    return address


def sender_of(request: Request) -> str | None:
    """Return the address that sent the request: the forwarded one behind a trusted proxy, else that of the peer."""
    return None if request.client is None else request.client.host
