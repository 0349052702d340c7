"""`POST /api/v1/signals`: record a signal and answer after the commit, before the broker."""

from __future__ import annotations

import secrets
from typing import Any

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from pydantic import SecretStr

from pipeline.errors import InvalidSignal, RecordUnavailable, SourceIdConflict
from pipeline.intake import Intake
from pipeline.relay import Relay
from pipeline.shapes import recorded_json
from pipeline.sources.strict_json import NotJson, decode

#: The source of what comes in here; a sender's own word for itself is not taken.
SOURCE = "api"

# A signal has a few hundred bytes.
_LARGEST_BODY = 64 * 1024


def router(intake: Intake, relay: Relay, *, token: SecretStr) -> APIRouter:
    """Return the route; every request must carry `Authorization: Bearer <token>`."""
    routes = APIRouter()

    @routes.post(
        "/api/v1/signals",
        status_code=201,
        responses={
            200: {"description": "It was recorded before; the first record again."},
            401: {"description": "The token is missing or wrong."},
            409: {"description": "The source_id was used for another signal."},
            413: {"description": "The body is too large."},
            422: {"description": "It is not a signal."},
            503: {"description": "It could not be recorded: send it again."},
        },
    )
    async def record_signal(request: Request) -> JSONResponse:
        """Record one signal: the JSON object that `tradewire signal send` reads."""
        if not _bears(request, token):
            return _error(401, "unauthorized", "send the token as `Authorization: Bearer <token>`")
        body = await _read(request)
        if body is None:
            return _error(413, "too_large", f"a signal has at most {_LARGEST_BODY} bytes")
        return await run_in_threadpool(_record, intake, relay, body)

    return routes


def _record(intake: Intake, relay: Relay, body: bytes) -> JSONResponse:
    """Record what came; 503 when it could not be committed, never an answer that promises more than is kept."""
    try:
        recorded = intake.record(_signal_of(intake, body), source=SOURCE)
    except SourceIdConflict as error:
        return _error(409, error.code, str(error))
    except InvalidSignal as error:
        return _error(422, error.code, str(error))
    except RecordUnavailable as error:
        return _error(503, "record_unavailable", str(error))
    if not recorded.duplicate:
        relay.ring(recorded.executions)
    return JSONResponse(recorded_json(recorded), status_code=200 if recorded.duplicate else 201)


def _signal_of(intake: Intake, body: bytes) -> dict[str, Any]:
    """Return the one object that the body holds, under our name for the sender.

    Raises:
        InvalidSignal: it holds none, or several; it was kept as a refusal.
        RecordUnavailable: it holds none, and the refusal could not be kept.
    """
    try:
        elements = decode(body.decode("utf-8").strip())
        problem = elements[0].error if len(elements) == 1 else "one request carries one signal"
        value = elements[0].value if len(elements) == 1 else None
    except (NotJson, UnicodeDecodeError) as error:
        problem, value = (str(error) if isinstance(error, NotJson) else "not UTF-8"), None
    if value is None:
        message = problem or "not a signal"
        intake.refuse(body.decode("utf-8", "replace"), source=SOURCE, code="invalid_json", message=message)
        raise InvalidSignal("invalid_json", message)
    return value | {"source": SOURCE}


async def _read(request: Request) -> bytes | None:
    """Read the body, but not more than a signal may have: None when it is longer."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LARGEST_BODY:
            return None
    return bytes(body)


def _bears(request: Request, token: SecretStr) -> bool:
    """Compare in constant time, so that the answer's time tells nothing of the token."""
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    matches = secrets.compare_digest(given.strip().encode(), token.get_secret_value().encode())
    return scheme.lower() == "bearer" and matches


def _error(status: int, code: str, message: str) -> JSONResponse:
    return JSONResponse({"error": {"code": code, "message": message}}, status_code=status)
