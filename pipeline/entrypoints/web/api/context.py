"""The objects that all routes of one web process share."""

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
    """The record, the queues, the settings and the tokens. Routes never call a broker, except for `/ready`."""

    settings: Settings
    executors: Executors
    record: Record
    intake: Intake
    dispatcher: Dispatcher
    dead_letters: DeadLetters
    readiness: Readiness
    gate: Gate
