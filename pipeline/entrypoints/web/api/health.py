"""`/health` and `/ready`: does this process answer, and does everything else?"""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from pipeline.entrypoints.doctor.findings import CheckStatus, findings_json, worst
from pipeline.entrypoints.web.api.context import WebContext


def router(context: WebContext) -> APIRouter:
    """Return the routes. They need no token: whoever watches processes has none."""
    routes = APIRouter(tags=["health"])

    @routes.get("/health")
    def health() -> dict[str, str]:
        """Say that this process answers; /ready says whether everything else does."""
        return {"status": "ok"}

    @routes.get("/ready", responses={503: {"description": "A part is away; the body says which."}})
    def ready() -> JSONResponse:
        """Say which part is away: 200 when none is, else 503."""
        findings = context.readiness.look()
        status = 503 if worst(findings) is CheckStatus.CRITICAL else 200
        return JSONResponse(findings_json(findings), status_code=status)

    return routes
