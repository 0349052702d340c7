"""A change of an execution's state, as the live feed reads it."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from pipeline.model.reasons import sentence
from pipeline.model.signals import Action
from pipeline.model.states import State


@dataclass(frozen=True, kw_only=True)
class FeedChange:
    """A change of an execution's state, with the execution and its newest order."""

    #: State changes are numbered in the order of their recording.
    history_id: int
    at: datetime
    from_state: State | None
    to_state: State
    reason_code: str | None
    reason_facts: dict[str, Any]
    execution_id: UUID
    executor_id: str
    symbol: str
    action: Action
    created_at: datetime
    signal_id: UUID
    confidence: Decimal | None
    order_id: str | None
    filled_quantity: Decimal | None
    filled_average_price: Decimal | None
    #: Whether the execution is held for the first time.
    first_hold: bool

    @property
    def reason(self) -> str | None:
        """Return the reason's code and figures as one text; None without a reason."""
        return sentence(self.reason_code, self.reason_facts) if self.reason_code else None
