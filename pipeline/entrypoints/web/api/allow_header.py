"""Say which methods a path takes."""

from __future__ import annotations

from fastapi import Request
from starlette.routing import Match

_METHODS = ("DELETE", "GET", "PATCH", "POST", "PUT")


def allowed(request: Request) -> str:
    """Return the methods that some route takes at the request's path, as the header `Allow` lists them."""
    took = {method for method in _METHODS if _takes(request, method)}
    return ", ".join(sorted(took | {"OPTIONS"} | ({"HEAD"} if "GET" in took else set())))


def _takes(request: Request, method: str) -> bool:
    # The first route of a path knows only its own methods.
    scope = {**request.scope, "method": method}
    return any(route.matches(scope)[0] is Match.FULL for route in request.app.router.routes)
