"""Define findings: differences between the record and an account at its broker. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

#: The strategy that holds what a person has adopted.
MANUAL: Final = "manual"
#: For this long a completed reconcile counts. The keeper makes one at its start, and then at least one a minute.
COUNTS_FOR: Final = timedelta(minutes=5)


class FindingKind(StrEnum):
    """The kinds of differences between the record and the broker."""

    #: The broker holds an open order with an id of tradewire's. The record does not know it, or as another order.
    UNKNOWN_ORDER = "unknown_order"
    #: The broker holds an open order that tradewire did not place.
    FOREIGN_ORDER = "foreign_order"
    #: The broker does not know an order that is open in the record.
    ORDER_GONE = "order_gone"
    #: An order that was open in the record had ended at the broker. The record has adopted that.
    ORDER_ENDED = "order_ended"
    #: The broker reports a smaller filled quantity of an open order than the record has.
    FILLED_QUANTITY = "filled_quantity"
    #: The account holds a position of which the record holds nothing.
    FOREIGN_POSITION = "foreign_position"
    #: The account holds another quantity than the record.
    POSITION_QUANTITY = "position_quantity"


class FindingState(StrEnum):
    """Whether a difference is still there."""

    #: Seen by one reconcile. It becomes a finding when the next one sees it too.
    SUSPECTED = "suspected"
    OPEN = "open"
    #: The difference is gone.
    HEALED = "healed"
    #: A person has adopted it.
    ADOPTED = "adopted"


#: The kinds about a position; the others are about an order.
OF_POSITIONS = frozenset({FindingKind.FOREIGN_POSITION, FindingKind.POSITION_QUANTITY})
#: The kinds that a person may adopt. Of the others, the broker's answer or `tradewire dead` decides.
ADOPTABLE = OF_POSITIONS | {FindingKind.FOREIGN_ORDER, FindingKind.UNKNOWN_ORDER}


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A difference as one reconcile has seen it."""

    kind: FindingKind
    symbol: str
    #: The broker's id of the order; empty for a position.
    order_id: str = ""
    facts: Mapping[str, str]

    @property
    def key(self) -> tuple[str, str, str]:
        """Return what two sightings of the same difference have in common."""
        return (self.kind.value, self.symbol, self.order_id)


@dataclass(frozen=True, kw_only=True)
class EntryGate:
    """The facts of an account's last reconcile that decide whether a signal in one symbol may be sent or skipped."""

    #: Whether a reconcile of the account counts: a recent one, made after the record was last restored.
    is_reconciled: bool
    #: Whether the record was restored since the last reconcile, so that it may lack orders that were sent.
    is_restored: bool = False
    #: The id of a suspected or open difference in the symbol; None: there is none.
    finding_id: UUID | None = None
    kind: FindingKind | None = None


#: The gate of an account that holds no entry.
OPEN_GATE: Final = EntryGate(is_reconciled=True)


def is_same(facts: Mapping[str, Any], difference: Difference) -> bool:
    """Return whether *facts* of an earlier sighting have the same figures as *difference*.

    The quantities of a position may change by our own fills, and the difference stays.
    """
    return difference.kind not in OF_POSITIONS or facts.get("difference") == difference.facts["difference"]
