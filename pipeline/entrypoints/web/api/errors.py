"""Say over HTTP what went wrong: one shape for every refusal, and never a traceback."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from pipeline.entrypoints.web.api.allow_header import allowed
from pipeline.model.errors import NotPossible, RecordUnavailable
from pipeline.model.reasons import storable

log = structlog.get_logger(__name__)

_SENTENCES = {404: "there is no such page", 405: "this page does not take that method"}
_CODES = {404: "not_found", 405: "method_not_allowed", 413: "too_large", 422: "invalid_request"}


_UNREADABLE = 400
_WRONG_METHOD = 405


class ErrorBody(BaseModel):
    """A code for programs and a sentence for people."""

    code: str
    message: str


class ErrorAnswer(BaseModel):
    """What every refusal looks like."""

    error: ErrorBody


class ApiError(Exception):
    """A request that is refused, with the answer it gets."""

    def __init__(self, status: int, code: str, message: str, *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.headers = headers


def answer(status: int, code: str, message: str, *, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Return the answer to a refused request."""
    # A message may quote what was sent, and JSON text may hold what no encoding does.
    body = {"error": {"code": code, "message": storable(message)}}
    return JSONResponse(body, status_code=status, headers=dict(headers or {}))


def add_handlers(app: FastAPI) -> None:
    """Give every error its answer."""

    @app.exception_handler(ApiError)
    def refused(_: Request, error: ApiError) -> JSONResponse:
        return answer(error.status, error.code, str(error), headers=error.headers)

    @app.exception_handler(RecordUnavailable)
    @app.exception_handler(NotPossible)
    def away(_: Request, error: Exception) -> JSONResponse:
        return answer(503, "record_unavailable", str(error), headers={"Retry-After": "1"})

    @app.exception_handler(RequestValidationError)
    def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        faults = (f"{'.'.join(str(part) for part in each['loc'][1:])}: {each['msg']}" for each in error.errors())
        return answer(422, "invalid_request", "; ".join(faults))

    @app.exception_handler(HTTPException)
    def unrouted(request: Request, error: HTTPException) -> Response:
        if error.status_code == _WRONG_METHOD:
            return _other_methods(request)
        # What the framework cannot read is 400 with it, and 422 with us: a body that is not understood.
        status = 422 if error.status_code == _UNREADABLE else error.status_code
        message = _SENTENCES.get(status, str(error.detail))
        return answer(status, _CODES.get(status, "refused"), message, headers=error.headers)

    @app.exception_handler(Exception)
    def failed(request: Request, error: Exception) -> JSONResponse:
        # The cause is for the log: an answer never tells how we are built. The address may hold a webhook's secret.
        route = request.scope.get("route")
        log.error("request.failed", path=getattr(route, "path", "?"), exc_info=error)
        return answer(500, "internal_error", "tradewire itself failed on this request; its log has the details")


def _other_methods(request: Request) -> Response:
    """Say which methods there are; that is all that OPTIONS asks. No other origin may use them from a browser."""
    headers = {"Allow": allowed(request)}
    if request.method == "OPTIONS":
        return Response(status_code=204, headers=headers)
    return answer(_WRONG_METHOD, _CODES[_WRONG_METHOD], _SENTENCES[_WRONG_METHOD], headers=headers)


#: The answers that every route may give, for OpenAPI.
COMMON: dict[int | str, dict[str, Any]] = {
    401: {"model": ErrorAnswer, "description": "The token is missing or wrong."},
    403: {"model": ErrorAnswer, "description": "The token does not have the scope."},
    405: {"model": ErrorAnswer, "description": "The page does not take this method."},
    413: {"model": ErrorAnswer, "description": "The body is too large."},
    422: {"model": ErrorAnswer, "description": "The request is not understood; the message says why."},
    429: {"model": ErrorAnswer, "description": "Too many requests of this token in a minute."},
    503: {"model": ErrorAnswer, "description": "PostgreSQL is away: ask again."},
}
