"""What the routes stand on: one value per web process."""

from __future__ import annotations

from dataclasses import dataclass

from config.executors import Executors
from config.settings import Settings
from pipeline.dead_letters import DeadLetters
from pipeline.intake import Intake
from pipeline.relay import Relay
from pipeline.store.record import Record
from pipeline.web.auth import Gate
from pipeline.web.readiness import Readiness


@dataclass(frozen=True, kw_only=True)
class WebContext:
    """The parts that routes use. Routes talk to no broker."""

    settings: Settings
    executors: Executors
    record: Record
    intake: Intake
    relay: Relay
    letters: DeadLetters
    readiness: Readiness
    gate: Gate
