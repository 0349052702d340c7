"""What the web process stands on, for tests that serve it themselves."""

from __future__ import annotations

from pathlib import Path

from pydantic import SecretStr

from config.executors import load_executors
from config.settings import Settings
from pipeline.dead_letters import DeadLetters
from pipeline.intake import Intake
from pipeline.queues.bell import Bell
from pipeline.queues.server import connect
from pipeline.relay import Relay
from pipeline.store.record import Record
from pipeline.web.auth import Gate
from pipeline.web.context import WebContext
from pipeline.web.readiness import Readiness

LOAD = Path(__file__).parents[1] / "config/executors.load.toml"
TOKEN = "open-sesame"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


def web_context(
    record: Record,
    redis_url: str,
    *,
    executors: Path = LOAD,
    readiness: Readiness | None = None,
    per_minute: int = 6000,
) -> WebContext:
    """Return the context of a web process at these servers."""
    settings = Settings(executors=executors)
    loaded = load_executors(executors, settings=settings)
    return WebContext(
        settings=settings,
        executors=loaded,
        record=record,
        intake=Intake(record, loaded, by="test"),
        relay=Relay(Bell(connect(redis_url))),
        letters=DeadLetters(record),
        readiness=readiness or Readiness(record, redis_url=redis_url, settings=settings, executors=loaded),
        gate=Gate(record, SecretStr(TOKEN), per_minute=per_minute),
    )
