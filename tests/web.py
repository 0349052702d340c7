"""Build the parts of the web process, for tests that serve it themselves."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import uvicorn
from pydantic import SecretStr

from config.executors import load_executors
from config.schema.settings import Settings
from pipeline.entrypoints.web.api.auth import Gate
from pipeline.entrypoints.web.api.context import WebContext
from pipeline.entrypoints.web.api.readiness import Readiness
from pipeline.entrypoints.web.app import make_app
from pipeline.intake.intake import Intake
from pipeline.operations.dead_letters import DeadLetters
from pipeline.queues.dispatcher import Dispatcher
from pipeline.queues.queue import ExecutionQueue
from pipeline.queues.redis_server import connect
from pipeline.startup.http_server import server_settings
from pipeline.store.record import Record
from tests.factories import until
from tests.waiting import patience

LOAD = Path(__file__).parents[1] / "config/executors.load.toml"
TOKEN = "open-sesame-open-sesame"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


def web_context(
    record: Record,
    redis_url: str,
    *,
    executors: Path = LOAD,
    readiness: Readiness | None = None,
    per_minute: int = 6000,
) -> WebContext:
    """Return the context of a web process with these servers."""
    settings = Settings(executors=executors, redis_url=SecretStr(redis_url))
    loaded = load_executors(executors, settings=settings)
    return WebContext(
        settings=settings,
        executors=loaded,
        record=record,
        intake=Intake(record, loaded, by="test"),
        dispatcher=Dispatcher(ExecutionQueue(connect(redis_url))),
        dead_letters=DeadLetters(record),
        readiness=readiness or Readiness(record, redis_url=redis_url, settings=settings, executors=loaded),
        gate=Gate(record, SecretStr(TOKEN), per_minute=per_minute),
    )


@contextmanager
def serving(context: WebContext) -> Iterator[httpx.Client]:
    """Serve the application over HTTP on a free port, and yield a client without a token."""
    server = uvicorn.Server(uvicorn.Config(make_app(context), port=0, timeout_graceful_shutdown=2, **server_settings()))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        until(lambda: server.started)
        port = server.servers[0].sockets[0].getsockname()[1]
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=patience(10)) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join(timeout=5)
        context.readiness.close()
