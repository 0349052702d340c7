"""Serve the web process: the health routes and the door for signals."""

from __future__ import annotations

import structlog
import uvicorn
from fastapi import APIRouter, FastAPI
from fastapi.responses import JSONResponse

from config.executors import Executors
from config.settings import Settings
from pipeline.doctor.findings import Status, findings_json, worst
from pipeline.errors import ConfigInvalid, Problem
from pipeline.heartbeats import Heartbeat
from pipeline.intake import Intake
from pipeline.queues.bell import Bell
from pipeline.queues.server import connect
from pipeline.relay import Relay
from pipeline.store.record import Record
from pipeline.web.readiness import Readiness
from pipeline.web.signals import router

log = structlog.get_logger(__name__)


def make_app(readiness: Readiness, signals: APIRouter) -> FastAPI:
    """Return the application."""
    app = FastAPI(title="tradewire", docs_url="/docs", redoc_url=None)
    app.include_router(signals)

    @app.get("/health")
    def health() -> dict[str, str]:
        """Say that this process answers; /ready says whether everything else does."""
        return {"status": "ok"}

    @app.get("/ready")
    def ready() -> JSONResponse:
        """Say which part is away: 200 when none is, else 503."""
        findings = readiness.look()
        return JSONResponse(findings_json(findings), status_code=503 if worst(findings) is Status.CRITICAL else 200)

    return app


def serve(settings: Settings, executors: Executors, *, host: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        ConfigInvalid: the record's or the queues' address is missing.
    """
    if settings.database_url is None or settings.redis_url is None or settings.api_token is None:
        message = "the web process needs DATABASE_URL, REDIS_URL and TRADEWIRE_API_TOKEN; `tradewire up` sets all three"
        raise ConfigInvalid([Problem(key="DATABASE_URL", message=message)])
    database_url = settings.database_url.get_secret_value()
    record = Record(database_url, connections=4, patience_s=0.5)
    readiness = Readiness(
        record, redis_url=settings.redis_url.get_secret_value(), settings=settings, executors=executors
    )
    heartbeat = Heartbeat(database_url, kind="web", name="web", executors=executors)
    signals = router(
        Intake(record, executors, by="web"),
        Relay(Bell(connect(settings.redis_url.get_secret_value()))),
        token=settings.api_token,
    )
    try:
        uvicorn.run(make_app(readiness, signals), host=host, port=port, log_config=None, access_log=False)
    finally:
        readiness.close()
        heartbeat.close()
        record.close()
