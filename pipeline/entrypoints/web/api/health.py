"""`/health` and `/ready`: whether this process and its servers answer."""

from typing import Any

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from pipeline.entrypoints.doctor.findings import CheckStatus, findings_json, worst
from pipeline.entrypoints.web.api.auth import may_read
from pipeline.entrypoints.web.api.context import WebContext
from pipeline.entrypoints.web.api.errors import ApiError
from pipeline.model.errors import RecordUnavailable
from pipeline.startup.listening import nonce_header

# Requests to `/ready` need no token, and wait while a server hangs. They must not take the threads of other requests.
_THREADS = 2


def router(context: WebContext) -> APIRouter:
    """Return the routes. They need no token: a process monitor has none."""
    routes = APIRouter(tags=["health"])
    threads = CapacityLimiter(_THREADS)

    @routes.get("/health")
    def health(response: Response) -> dict[str, str]:
        """Report that this process answers; `/ready` reports on everything else."""
        response.headers.update(nonce_header())
        return {"status": "ok"}

    @routes.get("/ready", responses={503: {"description": "A part does not answer."}})
    async def ready(request: Request) -> JSONResponse:
        """Check PostgreSQL, Redis, the brokers and the processes: 503 when a problem is critical, else 200.

        With a token or a login that has the scope `read`, the body names each part.
        """
        findings = await to_thread.run_sync(context.readiness.check, limiter=threads)
        is_ready = worst(findings) is not CheckStatus.CRITICAL
        body: dict[str, Any] = {"status": "ready" if is_ready else "not_ready"}
        if await _may_read(context, request):
            body = findings_json(findings)
        return JSONResponse(body, status_code=200 if is_ready else 503)

    return routes


async def _may_read(context: WebContext, request: Request) -> bool:
    try:
        return await may_read(context.gate, request)
    except (RecordUnavailable, ApiError):
        # The token cannot be checked now. A process monitor still gets the status code.
        return False
