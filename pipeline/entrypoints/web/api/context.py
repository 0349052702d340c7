"""What the routes stand on: one value per web process."""

from __future__ import annotations

from dataclasses import dataclass

from config.schema.executor import Executors
from config.schema.settings import Settings
from pipeline.entrypoints.web.api.auth import Gate
from pipeline.entrypoints.web.api.readiness import Readiness
from pipeline.intake.intake import Intake
from pipeline.operations.dead_letters import DeadLetters
from pipeline.queues.dispatcher import Dispatcher
from pipeline.store.record import Record


@dataclass(frozen=True, kw_only=True)
class WebContext:
    """The parts that routes use. Routes talk to no broker."""

    settings: Settings
    executors: Executors
    record: Record
    intake: Intake
    dispatcher: Dispatcher
    letters: DeadLetters
    readiness: Readiness
    gate: Gate
