"""Refuse requests from pages of other sites: all servers of ours check Host and Origin in the same way.

A browser adds the user's login to a request, whichever page makes it. Two headers, which no page can change, identify
that page: `Origin` in every write, and `Host`, which holds the page's own host name if that name resolves to this
machine.
"""

from collections.abc import Callable, Iterable, Mapping
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from config.schema.addresses import is_loopback, normal_host

VARIABLE = "TRADEWIRE_ALLOWED_HOSTS"

_READS = frozenset({"GET", "HEAD", "OPTIONS"})
_PORT_OF = {"http": 80, "https": 443}
_LONGEST_SHOWN = 80


class OwnRequestsOnly:
    """ASGI middleware: passes on requests in which `fault` finds no fault, and answers the others with *refuse*."""

    def __init__(self, app: ASGIApp, *, hosts: Iterable[str], refuse: Callable[[str], ASGIApp]) -> None:
        """Allow *hosts* (names or addresses) besides this machine's own; *refuse* turns a reason into an answer."""
        self._app = app
        self._hosts = frozenset(map(normal_host, hosts)) - {""}
        self._refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check a request, or the beginning of a WebSocket, which counts as a write."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        headers, reached = Headers(scope=scope), (scope.get("server") or ("", None))[0]
        found = fault(scope.get("method", "WEBSOCKET"), headers, hosts=self._hosts | {normal_host(reached)})
        if found is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._refuse(found)(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008, "reason": ""})


def fault(method: str, headers: Mapping[str, str], *, hosts: Iterable[str]) -> str | None:
    """Return one sentence that says why a request is refused; None when it is allowed. *hosts* are normalised names.

    A read is checked only for its `Host`. A write is also checked for `Origin` and `Sec-Fetch-Site`, if it has them:
    only browsers send these.
    """
    given = headers.get("host")
    host, port = _name_and_port(f"//{given}") if given is not None else ("", None)
    if given is not None and not (is_loopback(host) or (host and host in hosts)):
        shown = given[:_LONGEST_SHOWN].encode("unicode_escape").decode()
        return f"the host {shown!r} is not a name of this server; if it is one, add it to {VARIABLE}"
    if method in _READS:
        return None
    origin, site = headers.get("origin"), headers.get("sec-fetch-site", "same-origin")
    own = origin is None or (given is not None and _is_own(origin, host, port))
    return None if own and site == "same-origin" else "this request came from a page of another origin"


def _is_own(origin: str, host: str, port: int | None) -> bool:
    named, number = _name_and_port(origin)
    usual = _PORT_OF.get(urlsplit(origin).scheme) if named else None
    # Behind a proxy that ends TLS the scheme is not known here, so a Host without a port may mean port 80 or 443.
    return usual is not None and named == host and (number or usual) in ({port} if port else set(_PORT_OF.values()))


def _name_and_port(address: str) -> tuple[str, int | None]:
    """Return the normalised host and the port of *address*; an empty host if it is no address or has other parts."""
    try:
        parts = urlsplit(address)
        extra = parts.path or parts.query or parts.fragment or "@" in parts.netloc
        return ("", None) if extra else (normal_host(parts.hostname or ""), parts.port)
    except ValueError:
        return "", None
