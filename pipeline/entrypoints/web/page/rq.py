"""Show rq-dashboard below `/rq`, behind the page's own login."""

from typing import Any

from a2wsgi import WSGIMiddleware
from fastapi import FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Receive, Send
from starlette.types import Scope as Asked

from pipeline.entrypoints.rq_dashboard import make_app
from pipeline.entrypoints.web.api.auth import Gate
from pipeline.entrypoints.web.api.context import WebContext
from pipeline.entrypoints.web.page.access import LoginNeeded, PageRefused, admit, go_to
from pipeline.entrypoints.web.page.rendering import page
from pipeline.model.errors import NotMigrated, RecordUnavailable
from pipeline.operations.tokens import Scope

PATH = "/rq"
_READING = frozenset({"GET", "HEAD", "OPTIONS"})


def add_dashboard(app: FastAPI, context: WebContext) -> None:
    """Mount the dashboard of the Redis that the queues are in."""
    if context.settings.redis_url is not None:
        # Flask's type of an application is looser than the bridge's.
        dashboard: Any = make_app(context.settings.redis_url.get_secret_value(), None)
        app.mount(PATH, _SessionGuard(context.gate, WSGIMiddleware(dashboard)))


# The dashboard itself checks that a POST comes from its own page, by the origin that the browser sends.
class _SessionGuard:
    def __init__(self, gate: Gate, inside: WSGIMiddleware) -> None:
        self._gate = gate
        self._inside: ASGIApp = inside  # type: ignore[assignment]

    async def __call__(self, asked: Asked, receive: Receive, send: Send) -> None:
        """Refuse the request, or pass it on to the dashboard."""
        if asked["type"] != "http":
            return
        refusal = await run_in_threadpool(self._refusal, Request(asked))
        await (self._inside if refusal is None else refusal)(asked, receive, send)

    def _refusal(self, request: Request) -> Response | None:
        try:
            admit(self._gate, request, Scope.READ if request.method in _READING else Scope.OPERATE)
        except LoginNeeded:
            return go_to(f"/login?next={PATH}/")
        except PageRefused as error:
            return page("refused.html", status=error.status, message=str(error))
        except (RecordUnavailable, NotMigrated) as error:
            return page("refused.html", status=503, message=str(error))
        return None
