"""Publish events: give them the ids by which other programs follow them, and record the last one that was delivered."""

from dataclasses import dataclass

from psycopg import Connection
from psycopg.rows import DictRow

from pipeline.store.query import execute, fetch_maybe, fetch_one
from pipeline.store.record import Record
from pipeline.store.statements import sql

# The events that one transaction publishes.
_BATCH = 1000


@dataclass(frozen=True, kw_only=True)
class EventFeed:
    """How far events are published and delivered."""

    #: The newest id; 0 before the first event.
    published: int
    #: The newest event that the receiver took; None if no receiver was set up yet.
    delivered: int | None
    #: Why the receiver did not take the next events; None if it did.
    problem: str | None


def publish(record: Record) -> int:
    """Give ids to the oldest events without one; return 0 if there were none.

    Any process may do so at any time: a lock makes them wait for each other. An event is published after all that have
    smaller ids, and the events of an execution in their order.

    Raises:
        RecordUnavailable: PostgreSQL is away.
    """
    return record.run(_publish)


def published_feed(record: Record) -> EventFeed:
    """Publish the recorded events, and return the feed's position. Raises as `publish`."""

    def unit(connection: Connection[DictRow]) -> EventFeed:
        _publish(connection)
        return fetch_one(connection, EventFeed, sql("events", "feed"))

    return record.run(unit)


def deliver_after(record: Record, since: int | None) -> int:
    """Make *since* the last delivered event (None: the newest published one), and return its id.

    Raises:
        RecordUnavailable: PostgreSQL is away.
    """
    return record.one(int, sql("events", "deliver_after"), {"since": since})


def _publish(connection: Connection[DictRow]) -> int:
    if fetch_maybe(connection, int, sql("events", "lock_unpublished")) is None:
        return 0
    return execute(connection, sql("events", "publish"), {"limit": _BATCH})
