"""`/health` and `/ready`: whether this process and its servers answer."""

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from pipeline.entrypoints.doctor.findings import CheckStatus, findings_json, worst
from pipeline.entrypoints.web.api.context import WebContext
from pipeline.startup.listening import nonce_header


def router(context: WebContext) -> APIRouter:
    """Return the routes. They need no token: a process monitor has none."""
    routes = APIRouter(tags=["health"])

    @routes.get("/health")
    def health(response: Response) -> dict[str, str]:
        """Report that this process answers; `/ready` reports on everything else."""
        response.headers.update(nonce_header())
        return {"status": "ok"}

    @routes.get("/ready", responses={503: {"description": "A part does not answer; the body names it."}})
    def ready() -> JSONResponse:
        """Check PostgreSQL, Redis, the brokers and the processes: 200 when all answer, else 503."""
        findings = context.readiness.check()
        status = 503 if worst(findings) is CheckStatus.CRITICAL else 200
        return JSONResponse(findings_json(findings), status_code=status)

    return routes
