"""Close the position in a symbol at a person's request, whichever strategy opened it. The worker sends the exit."""

from decimal import Decimal
from typing import Any
from uuid import uuid4

from pipeline.intake.intake import Intake, Recorded
from pipeline.model.signals import Action, Intent
from pipeline.model.sources import HAND, HAND_CLOSE, OWN

_ALL = Decimal(100)


def record_close(
    intake: Intake,
    executor_id: str,
    symbol: str,
    *,
    percent: Decimal | None = None,
    limit: Decimal | None = None,
    source_id: str | None = None,
) -> Recorded:
    """Record an exit of the account's position in *symbol*. The history says by whom and why *intake* was made.

    Args:
        intake: The intake of the person who asks.
        executor_id: The executor of the account.
        symbol: The symbol in any form.
        percent: The part of the position at the time of the decision; None: all of it.
        limit: The worst price that the person accepts; None: a market order.
        source_id: The person's own id: the same id again returns the first record. None: every call is a new close.

    Raises:
        InvalidSignal: the symbol, the percentage or the price is not one, or the executor is not configured.
        SourceIdConflict: *source_id* was used for another close.
        RecordUnavailable: PostgreSQL is away; perhaps nothing was recorded.
    """
    raw: dict[str, Any] = {
        "source_id": f"{HAND_CLOSE}{source_id or uuid4()}",
        "symbol": symbol,
        # The side is that of the position when the worker reads it.
        "action": Action.FLAT,
        "intent": Intent.CLOSE,
        "executors": [executor_id],
        "entry_price": limit,
        "close_percent": None if percent == _ALL else percent,
    }
    return intake.record_own(raw, cause=HAND.removeprefix(OWN))
