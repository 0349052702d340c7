"""Refuse a signal whose source name is reserved, or whose time lies in the future."""

from datetime import datetime, timedelta

from pipeline.model.errors import InvalidSignal
from pipeline.model.signals import Signal
from pipeline.model.sources import OWN, is_own

#: A sender's clock may be ahead of the record's by this much. A time that is further ahead is a mistake.
CLOCK_TOLERANCE = timedelta(seconds=5)


def refuse_reserved_source(signal: Signal) -> None:
    """Raise InvalidSignal for a source name that only tradewire itself may use."""
    if is_own(signal.source):
        raise InvalidSignal("reserved_source", f"source: names that begin with {OWN} are tradewire's own")


def refuse_future(signal: Signal, now: datetime) -> None:
    """Raise InvalidSignal when the signal says that it was generated later than *now*, the time of the record's clock.

    This machine's own clock is not used: if it were behind, good signals would be refused. Our own orders are not
    checked: their time, if they have one, is that of a signal that was accepted.
    """
    if signal.generated_at is None or is_own(signal.source) or signal.generated_at <= now + CLOCK_TOLERANCE:
        return
    message = f"{signal.generated_at.isoformat()} is in the future (it is {now.isoformat()})"
    raise InvalidSignal("invalid_signal", f"generated_at: {message}")
