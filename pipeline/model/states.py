"""Define the states of an execution, and the allowed changes between them, as data.

PostgreSQL has a copy of both: the enum `execution_state`, and the table `allowed_move`, which the history trigger
reads. `tests/integration/store/test_states.py` compares them.
"""

from enum import StrEnum
from types import MappingProxyType


class State(StrEnum):
    """The state of an execution. The comment above each describes it."""

    #: It is recorded and waits for a worker of its executor.
    QUEUED = "queued"
    #: It waits on purpose until `due_at`, for example because the broker is away or the market is closed.
    HELD = "held"
    #: A worker has claimed it and holds its lease.
    SUBMITTING = "submitting"
    #: The broker may or may not have the order.
    UNKNOWN = "unknown"
    #: The broker has the order; `order_id` is recorded.
    ACCEPTED = "accepted"
    #: The broker has the order, and a part of it is filled.
    PARTIALLY_FILLED = "partially_filled"
    #: The order has ended at the broker: all of it is filled.
    FILLED = "filled"
    #: The order has ended at the broker: it was canceled, perhaps after a partial fill.
    CANCELED = "canceled"
    #: The order has ended at the broker: its time in force ran out.
    EXPIRED = "expired"
    #: The broker refused the order.
    REJECTED = "rejected"
    #: A rule of tradewire refused it; the reason code names the rule.
    SKIPPED = "skipped"
    #: A dead letter, for example because attempts or time ran out, or an answer made no sense. A person has to decide.
    DEAD = "dead"
    #: A person closed the dead letter, with a reason.
    DISCARDED = "discarded"


_BROKER = frozenset(
    {State.ACCEPTED, State.PARTIALLY_FILLED, State.FILLED, State.CANCELED, State.EXPIRED, State.REJECTED}
)

#: States of an execution that is not decided yet. It blocks later executions of the same executor and symbol.
UNDECIDED = frozenset({State.QUEUED, State.HELD, State.SUBMITTING, State.UNKNOWN})

#: States in which the broker holds a working order.
WORKING = frozenset({State.ACCEPTED, State.PARTIALLY_FILLED})

#: States that only a late report of the broker changes.
ENDED = frozenset(State) - UNDECIDED - WORKING - {State.DEAD}

#: The states that may follow each state.
MOVES = MappingProxyType(
    {
        State.QUEUED: frozenset({State.SUBMITTING, State.SKIPPED}),
        State.HELD: frozenset({State.SUBMITTING, State.SKIPPED}),
        # An order may fill or end before the worker has read the answer, so any of the broker's states may follow.
        State.SUBMITTING: _BROKER | {State.UNKNOWN, State.HELD, State.SKIPPED, State.QUEUED, State.DEAD},
        State.UNKNOWN: _BROKER | {State.HELD, State.SKIPPED, State.DEAD},
        State.ACCEPTED: (_BROKER | {State.DEAD}) - {State.ACCEPTED},
        State.PARTIALLY_FILLED: frozenset({State.FILLED, State.CANCELED, State.EXPIRED, State.DEAD}),
        # Brokers sometimes report a fill after a cancel; the state follows the broker's report.
        State.FILLED: frozenset(),
        State.CANCELED: frozenset({State.PARTIALLY_FILLED, State.FILLED}),
        State.EXPIRED: frozenset({State.PARTIALLY_FILLED, State.FILLED}),
        State.REJECTED: frozenset({State.ACCEPTED, State.PARTIALLY_FILLED, State.FILLED}),
        # A late order: the broker has one for an execution that had ended here.
        State.SKIPPED: _BROKER,
        State.DEAD: _BROKER | {State.QUEUED, State.DISCARDED},
        State.DISCARDED: _BROKER,
    }
)
