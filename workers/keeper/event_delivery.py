"""Send every event to its receiver, in order, and again until the receiver takes it."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from pipeline.model.backoff import Backoff
from pipeline.model.crash_points import reached
from pipeline.model.texts import json_text
from pipeline.operations.event_feed import deliver_after, published_feed
from pipeline.store.record import Record
from pipeline.store.statements import sql
from pipeline.views.events import events_after

log = structlog.get_logger(__name__)

#: The most events of one request.
MOST_EVENTS = 100
_BACKOFF = Backoff(first_s=1.0, longest_s=60.0)


@dataclass(kw_only=True)
class EventDelivery:
    """Delivers events from the one place in the feed up to which the receiver has them.

    While it does not take the next events, later ones wait, so all events arrive in their order. Two processes may do
    this at once: then the receiver gets the same events twice.
    """

    record: Record
    #: Posts a request's body, and returns why the receiver did not take it; None if it did.
    post: Callable[[bytes], str | None]
    backoff: Backoff = _BACKOFF
    _failures: int = field(default=0, init=False)
    _next_try_at: float = field(default=0.0, init=False)

    def run_once(self) -> int:
        """Send the next events if a try is due; return how many the receiver took.

        Raises:
            RecordUnavailable: PostgreSQL is away. Events that were sent meanwhile are sent again.
        """
        if time.monotonic() < self._next_try_at:
            return 0
        delivered = published_feed(self.record).delivered
        # A receiver that is set up for the first time gets the events from now on.
        after = deliver_after(self.record, None) if delivered is None else delivered
        events = events_after(self.record, after, limit=MOST_EVENTS)
        if not events:
            return 0
        problem = self.post(json_text([event.to_json() for event in events]).encode())
        reached("keeper.after_events")
        if problem is not None:
            self._note_failure(after, problem)
            return 0
        self.record.do(sql("events", "delivered"), {"after": after, "through": events[-1].event_id})
        self._note_success()
        return len(events)

    def _note_failure(self, after: int, problem: str) -> None:
        self._failures += 1
        self._next_try_at = time.monotonic() + self.backoff.after(self._failures)
        if self._failures == 1:
            log.warning("events.not_delivered", after=after, problem=problem)
        self.record.do(sql("events", "not_delivered"), {"after": after, "problem": problem})

    def _note_success(self) -> None:
        if self._failures:
            log.info("events.delivered_again", tries=self._failures)
        self._failures = 0
