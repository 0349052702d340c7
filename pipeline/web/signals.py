"""`POST /api/v1/signals`: record a signal and answer after the commit, before the broker."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse

from pipeline.errors import InvalidSignal, RecordUnavailable, SourceIdConflict
from pipeline.intake import Intake
from pipeline.shapes import recorded_json
from pipeline.sources.strict_json import NotJson, decode
from pipeline.tokens import Scope
from pipeline.web.auth import holder_of, opened_by
from pipeline.web.context import WebContext
from pipeline.web.errors import COMMON, ErrorAnswer, answer

# A signal has a few hundred bytes.
_LARGEST_BODY = 64 * 1024


def router(context: WebContext) -> APIRouter:
    """Return the route."""
    routes = APIRouter(tags=["signals"])

    @routes.post(
        "/api/v1/signals",
        status_code=201,
        dependencies=[opened_by(context.gate, Scope.SIGNAL)],
        responses=COMMON
        | {
            200: {"description": "It was recorded before; the first record again."},
            409: {"model": ErrorAnswer, "description": "The source_id was used for another signal."},
            413: {"model": ErrorAnswer, "description": "The body is too large."},
        },
    )
    async def record_signal(request: Request) -> JSONResponse:
        """Record one signal: the JSON object that `tradewire signal send` reads. Answers after the commit."""
        body = await _read(request)
        if body is None:
            return answer(413, "too_large", f"a signal has at most {_LARGEST_BODY} bytes")
        return await run_in_threadpool(_record, context, body, holder_of(request).name)

    return routes


def _record(context: WebContext, body: bytes, source: str) -> JSONResponse:
    """Record what came; 503 when it could not be committed, never an answer that promises more than is kept."""
    try:
        recorded = context.intake.record(_signal_of(context.intake, body, source), source=source)
    except SourceIdConflict as error:
        return answer(409, error.code, str(error))
    except InvalidSignal as error:
        return answer(422, error.code, str(error))
    except RecordUnavailable as error:
        return answer(503, "record_unavailable", str(error))
    if not recorded.duplicate:
        context.relay.ring(recorded.executions)
    return JSONResponse(recorded_json(recorded), status_code=200 if recorded.duplicate else 201)


def _signal_of(intake: Intake, body: bytes, source: str) -> dict[str, Any]:
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
        intake.refuse(body.decode("utf-8", "replace"), source=source, code="invalid_json", message=message)
        raise InvalidSignal("invalid_json", message)
    return value | {"source": source}


async def _read(request: Request) -> bytes | None:
    """Read the body, but not more than a signal may have: None when it is longer."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LARGEST_BODY:
            return None
    return bytes(body)
