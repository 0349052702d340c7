"""The states of an execution and the moves between them, once, as data.

PostgreSQL mirrors both: the enum ``execution_state`` and the table ``allowed_move``, which the history
trigger consults. ``tests/integration/test_states.py`` compares them.
"""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType


class State(StrEnum):
    """Where an execution stands. The `#:` line says what is true."""

    #: Recorded, waiting for its executor.
    QUEUED = "queued"
    #: Waiting on purpose until `due_at`: broker away, paused, rate budget, market closed.
    HELD = "held"
    #: A worker has the lease.
    SUBMITTING = "submitting"
    #: The broker may or may not have the order.
    UNKNOWN = "unknown"
    #: The broker has the order; `order_id` is recorded.
    ACCEPTED = "accepted"
    #: Some of the order is filled.
    PARTIALLY_FILLED = "partially_filled"
    #: The broker's last word: all of it is filled.
    FILLED = "filled"
    #: The broker's last word: canceled, perhaps after a partial fill.
    CANCELED = "canceled"
    #: The broker's last word: its time in force ran out.
    EXPIRED = "expired"
    #: The broker's last word: it refused the order.
    REJECTED = "rejected"
    #: One of our rules said no; the reason code says which.
    SKIPPED = "skipped"
    #: Attempts or time ran out, or the answer made no sense. A person moves it on.
    DEAD = "dead"
    #: A person closed a dead letter, and said why.
    DISCARDED = "discarded"


_BROKER = frozenset(
    {State.ACCEPTED, State.PARTIALLY_FILLED, State.FILLED, State.CANCELED, State.EXPIRED, State.REJECTED}
)

#: States in which nothing is decided yet; they block later executions of the same executor and symbol.
UNDECIDED = frozenset({State.QUEUED, State.HELD, State.SUBMITTING, State.UNKNOWN})

#: States in which the broker holds a working order.
WORKING = frozenset({State.ACCEPTED, State.PARTIALLY_FILLED})

#: States from which only a late word of the broker (or a person) moves an execution.
ENDED = frozenset(State) - UNDECIDED - WORKING - {State.DEAD}

MOVES = MappingProxyType(
    {
        State.QUEUED: frozenset({State.SUBMITTING, State.SKIPPED}),
        State.HELD: frozenset({State.SUBMITTING, State.SKIPPED}),
        # A fast market fills before we read the answer, so any word of the broker may come first.
        State.SUBMITTING: _BROKER | {State.UNKNOWN, State.HELD, State.SKIPPED, State.QUEUED, State.DEAD},
        State.UNKNOWN: _BROKER | {State.HELD, State.SKIPPED, State.DEAD},
        State.ACCEPTED: (_BROKER | {State.DEAD}) - {State.ACCEPTED},
        State.PARTIALLY_FILLED: frozenset({State.FILLED, State.CANCELED, State.EXPIRED}),
        # Real venues report a fill after a cancel; an end state still follows the broker's word.
        State.FILLED: frozenset(),
        State.CANCELED: frozenset({State.PARTIALLY_FILLED, State.FILLED}),
        State.EXPIRED: frozenset({State.PARTIALLY_FILLED, State.FILLED}),
        State.REJECTED: frozenset({State.ACCEPTED, State.PARTIALLY_FILLED, State.FILLED}),
        # A late order: the broker holds what we had given up.
        State.SKIPPED: _BROKER,
        State.DEAD: _BROKER | {State.QUEUED, State.DISCARDED},
        State.DISCARDED: _BROKER,
    }
)


def may_move(old: State, new: State) -> bool:
    """Say whether the table allows the move from *old* to *new*."""
    return new in MOVES[old]
