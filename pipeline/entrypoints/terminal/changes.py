"""Follow the state changes of executions for a person: filtered, one line each, also across outages of PostgreSQL."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from rich.text import Text

from pipeline.model.errors import RecordUnavailable
from pipeline.model.states import State
from pipeline.model.texts import printable
from pipeline.store.record import Record
from pipeline.store.statements import sql
from pipeline.views.feed_change import FeedChange
from pipeline.views.live_feed import changes_after, is_news, last_change, line_of

_READ_EVERY_S = 0.2
_RETRY_EVERY_S = 0.5

_STYLES = {
    State.FILLED: "green",
    State.ACCEPTED: "green",
    State.PARTIALLY_FILLED: "green",
    State.SKIPPED: "dim",
    State.HELD: "yellow",
    State.UNKNOWN: "bold yellow",
    State.REJECTED: "red",
    State.DEAD: "bold red",
}


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A filter of state changes. Without a state, a reason or *every*, decisions and first holds pass."""

    executor_id: str | None = None
    symbol: str | None = None
    state: State | None = None
    reason: str | None = None
    every: bool = False

    def shows(self, row: FeedChange) -> bool:
        """Return whether *row* passes the filter."""
        if self.executor_id not in (None, row.executor_id) or self.symbol not in (None, row.symbol):
            return False
        if self.state not in (None, row.to_state) or self.reason not in (None, row.reason_code):
            return False
        return self.every or self.state is not None or self.reason is not None or is_news(row)


def follow(
    record: Record, stop: threading.Event, *, since: datetime | None, say: Callable[[str], None]
) -> Iterator[FeedChange]:
    """Yield every state change after *since*, or from now on, in order and once each, until *stop* is set.

    *say* gets a sentence when PostgreSQL goes away and when it is back. The changes that were missed follow then.
    """
    after: int | None = None
    away = False
    while not stop.is_set():
        try:
            if after is None:
                after = last_change(record) if since is None else _before(record, since)
            rows = changes_after(record, after)
        except RecordUnavailable as error:
            if not away:
                say(f"PostgreSQL is away, waiting for it: {error}")
            away = True
            stop.wait(_RETRY_EVERY_S)
            continue
        if away:
            say("PostgreSQL is back")
        away = False
        for row in rows:
            after = row.history_id
            yield row
        # After a read with rows, read again at once: one read has a limit, so there may be more.
        stop.wait(0.0 if rows else _READ_EVERY_S)


def line(row: FeedChange) -> Text:
    """Return the line of a state change, in the colour of the new state."""
    # As a Text, because a string's square brackets would be read as markup.
    return Text(printable(line_of(row)), style=_STYLES.get(row.to_state, ""))


def _before(record: Record, since: datetime) -> int:
    return record.maybe(int, sql("history", "last_move_before"), {"since": since}) or 0
