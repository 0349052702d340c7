"""Answer an unknown address: a page for a browser, JSON for a program."""

from fastapi import FastAPI, Request, Response

from pipeline.entrypoints.web.api.errors import answer
from pipeline.entrypoints.web.page.rendering import page

_NOT_FOUND = 404
_MESSAGE = "there is no such page"


def add_not_found(app: FastAPI) -> None:
    """Add the answer to addresses that no route has."""

    @app.exception_handler(_NOT_FOUND)
    def not_found(request: Request, _: Exception) -> Response:
        if "text/html" in request.headers.get("Accept", ""):
            return page("refused.html", status=_NOT_FOUND, message=_MESSAGE)
        return answer(_NOT_FOUND, "not_found", _MESSAGE)
