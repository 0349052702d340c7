"""Answer errors over HTTP: one shape for every refusal, and never a traceback."""

from collections.abc import Mapping
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from pipeline.model.errors import MissingRights, NotMigrated, NotPossible, RecordFull, RecordUnavailable
from pipeline.model.reasons import storable

log = structlog.get_logger(__name__)

_SENTENCES = {404: "there is no such page", 405: "this address does not accept that method"}
_CODES = {404: "not_found", 405: "method_not_allowed", 413: "too_large", 422: "invalid_request"}
_UNREADABLE = 400
_AWAY = "PostgreSQL cannot be reached: try again"


class ErrorBody(BaseModel):
    """A code for programs and a sentence for people."""

    code: str
    message: str


class ErrorAnswer(BaseModel):
    """The answer to every refused request."""

    error: ErrorBody


class ApiError(Exception):
    """A request is refused, with this answer."""

    def __init__(self, status: int, code: str, message: str, *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.headers = headers


def answer(status: int, code: str, message: str, *, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Return the answer to a refused request."""
    # A message may quote the request, and JSON text may contain characters that cannot be encoded.
    body = {"error": {"code": code, "message": storable(message)}}
    return JSONResponse(body, status_code=status, headers=dict(headers or {}))


def sentence_of(error: Exception) -> str:
    """Return the part of *error* that a client may know, and log the rest.

    The error of PostgreSQL may name its host, or a part of its login.
    """
    if not isinstance(error, RecordUnavailable):
        return str(error)
    log.warning("request.record_away", error=str(error))
    # The sentence of these classes is fixed.
    return str(type(error)()) if isinstance(error, RecordFull | MissingRights | NotMigrated) else _AWAY


def add_handlers(app: FastAPI) -> None:
    """Add an answer for every error."""

    @app.exception_handler(ApiError)
    def refused(_: Request, error: ApiError) -> JSONResponse:
        return answer(error.status, error.code, str(error), headers=error.headers)

    @app.exception_handler(RecordUnavailable)
    @app.exception_handler(NotPossible)
    def away(_: Request, error: Exception) -> JSONResponse:
        return answer(503, "record_unavailable", sentence_of(error), headers={"Retry-After": "1"})

    @app.exception_handler(RequestValidationError)
    def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        faults = (f"{'.'.join(str(part) for part in each['loc'][1:])}: {each['msg']}" for each in error.errors())
        return answer(422, "invalid_request", "; ".join(faults))

    @app.exception_handler(HTTPException)
    def unrouted(_: Request, error: HTTPException) -> JSONResponse:
        # The framework answers 400 to a body that it cannot read. Here every body that is not understood is 422.
        status = 422 if error.status_code == _UNREADABLE else error.status_code
        message = _SENTENCES.get(status, str(error.detail))
        return answer(status, _CODES.get(status, "refused"), message, headers=error.headers)

    @app.exception_handler(ClientDisconnect)
    def gone(_: Request, __: Exception) -> JSONResponse:
        # The client has gone and does not read this answer. Nothing was done, since the request was not complete.
        return answer(400, "refused", "the request ended before its body")

    @app.exception_handler(Exception)
    def failed(request: Request, error: Exception) -> JSONResponse:
        # The cause goes into the log only. The path is the route's, since the address may contain a webhook's secret.
        route = request.scope.get("route")
        log.error("request.failed", path=getattr(route, "path", "?"), exc_info=error)
        return answer(500, "internal_error", "tradewire failed on this request; its log has the details")


#: The answers that every route may give, for OpenAPI.
COMMON: dict[int | str, dict[str, Any]] = {
    401: {"model": ErrorAnswer, "description": "The token is missing or wrong."},
    403: {"model": ErrorAnswer, "description": "The token does not have the scope."},
    405: {"model": ErrorAnswer, "description": "The page does not accept this method."},
    413: {"model": ErrorAnswer, "description": "The body is too large."},
    422: {"model": ErrorAnswer, "description": "The request is not understood; the message explains why."},
    429: {"model": ErrorAnswer, "description": "The token or the address has used up its requests of this minute."},
    503: {"model": ErrorAnswer, "description": "PostgreSQL is away: try again."},
}
