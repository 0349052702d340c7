"""Save the result of one reconcile: open, confirm and heal findings, and release the entries that waited."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final
from uuid import UUID, uuid4

import structlog
from psycopg import Connection
from psycopg.rows import DictRow
from psycopg.types.json import Json

from pipeline.model.findings import OF_POSITIONS, Difference, FindingKind, FindingState, is_same
from pipeline.store.query import execute, fetch_all, fetch_maybe
from pipeline.store.statements import sql

log = structlog.get_logger(__name__)

#: Two reconciles confirm a difference only if they are at least so far apart: reads of one moment have the same lag.
CONFIRMS: Final = timedelta(seconds=2)


@dataclass(frozen=True, kw_only=True)
class Healed:
    """A difference that was healed as soon as it was found."""

    finding_id: UUID
    difference: Difference


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The differences that one completed reading of an account has shown."""

    account_number: str
    executor_id: str
    #: Taken before the reading, by the record's clock.
    read_at: datetime
    differences: tuple[Difference, ...]
    #: The symbols whose positions could not be compared.
    undecided: frozenset[str] = frozenset()
    #: The broker's ids of orders that could not be read.
    unreadable: frozenset[str] = frozenset()
    #: The symbols of our own orders that could not be read: their entries wait.
    unread_symbols: frozenset[str] = frozenset()
    healed: tuple[Healed, ...] = ()
    #: Orders that are adopted because of the order in whose place tradewire placed them.
    restored: tuple[Difference, ...] = ()

    def leaves_open(self, kind: FindingKind, symbol: str, order_id: str) -> bool:
        """Return whether the reading does not show if an earlier difference is still there."""
        if kind in OF_POSITIONS:
            return symbol in self.undecided or symbol in self.unread_symbols
        return order_id in self.unreadable


@dataclass(kw_only=True)
class Saved:
    """The changes of findings, and how many differences the account has now."""

    opened: list[Difference] = field(default_factory=list)
    healed: list[Difference] = field(default_factory=list)
    open: int = 0
    suspected: int = 0
    #: How many symbols have an order of ours that could not be read.
    unread: int = 0
    #: How many entries are due again.
    released: int = 0


class NotSaved(StrEnum):
    """Why a reconcile has changed nothing."""

    #: The account could not be read to the end.
    FAILED = "failed"
    #: The broker refuses the account's keys.
    REFUSED = "refused"
    #: A newer reading was saved meanwhile, so nothing is lacking.
    OUTDATED = "outdated"


@dataclass(frozen=True, kw_only=True)
class _Current:
    """A difference that the record has, suspected or open."""

    finding_id: UUID
    kind: FindingKind
    symbol: str
    order_id: str
    state: FindingState
    facts: dict[str, Any]
    first_seen: datetime

    @property
    def key(self) -> tuple[str, str, str]:
        return (self.kind.value, self.symbol, self.order_id)

    @property
    def difference(self) -> Difference:
        return Difference(kind=self.kind, symbol=self.symbol, order_id=self.order_id, facts=self.facts)


def save(
    connection: Connection[DictRow], comparison: Comparison, *, by: str, confirms: timedelta = CONFIRMS
) -> Saved | None:
    """Save *comparison* in the caller's transaction; return None if a newer one was saved.

    A difference is a finding when two reconciles in a row have seen it with the same figures. A finding is healed when
    one reconcile does not see it.
    """
    values = {
        "account_number": comparison.account_number,
        "executor_id": comparison.executor_id,
        "read_at": comparison.read_at,
        "unread_symbols": list(comparison.unread_symbols),
        "by": by,
    }
    execute(connection, sql("reconcile", "lock"), values)
    last = fetch_maybe(connection, datetime, sql("reconcile", "last_read"), values)
    if last is not None and last > comparison.read_at:
        return None
    current = fetch_all(connection, _Current, sql("reconcile", "current"), values)
    saved = Saved(unread=len(comparison.unread_symbols))
    _see(connection, comparison, {each.key: each for each in current}, values, saved, confirms)
    _end(connection, comparison, current, values, saved)
    for healed in comparison.healed:
        _insert(connection, values, healed.finding_id, healed.difference, FindingState.HEALED)
        saved.healed.append(healed.difference)
    for restored in comparison.restored:
        _insert(connection, values, uuid4(), restored, FindingState.ADOPTED)
    execute(connection, sql("reconcile", "complete"), values)
    saved.released = execute(connection, sql("reconcile", "release"), values)
    return saved


def log_changes(executor_id: str, saved: Saved) -> None:
    """Log the findings that *saved* has opened and healed."""
    for difference in saved.opened:
        log.warning("finding.opened", executor_id=executor_id, **_logged(difference))
    for difference in saved.healed:
        log.info("finding.healed", executor_id=executor_id, **_logged(difference))


def _see(
    connection: Connection[DictRow],
    comparison: Comparison,
    current: dict[tuple[str, str, str], _Current],
    values: dict[str, Any],
    saved: Saved,
    confirms: timedelta,
) -> None:
    """Record every difference that was seen."""
    for difference in comparison.differences:
        known = current.get(difference.key)
        if known is None:
            _insert(connection, values, uuid4(), difference, FindingState.SUSPECTED)
            saved.suspected += 1
            continue
        same = is_same(known.facts, difference)
        state = known.state
        if state is FindingState.SUSPECTED and same and comparison.read_at - known.first_seen >= confirms:
            state = FindingState.OPEN
            saved.opened.append(difference)
        saved.open += state is FindingState.OPEN
        saved.suspected += state is FindingState.SUSPECTED
        # A suspicion with other figures begins anew.
        seen = {"finding_id": known.finding_id, "finding_state": state, "facts": Json(dict(difference.facts))}
        anew = state is FindingState.SUSPECTED and not same
        execute(connection, sql("reconcile", "see_again"), values | seen | {"anew": anew})


def _end(
    connection: Connection[DictRow],
    comparison: Comparison,
    current: Sequence[_Current],
    values: dict[str, Any],
    saved: Saved,
) -> None:
    """End every earlier difference that was not seen, unless the reading does not show whether it is there."""
    seen = {difference.key for difference in comparison.differences}
    for each in current:
        if each.key in seen:
            continue
        if comparison.leaves_open(each.kind, each.symbol, each.order_id):
            saved.open += each.state is FindingState.OPEN
            saved.suspected += each.state is FindingState.SUSPECTED
        elif each.state is FindingState.SUSPECTED:
            execute(connection, sql("reconcile", "dismiss"), {"finding_id": each.finding_id})
        else:
            execute(connection, sql("reconcile", "heal"), values | {"finding_id": each.finding_id})
            saved.healed.append(each.difference)


def _insert(
    connection: Connection[DictRow],
    values: dict[str, Any],
    finding_id: UUID,
    difference: Difference,
    state: FindingState,
) -> None:
    new = {
        "finding_id": finding_id,
        "kind": difference.kind,
        "symbol": difference.symbol,
        "order_id": difference.order_id,
        "finding_state": state,
        "facts": Json(dict(difference.facts)),
    }
    execute(connection, sql("reconcile", "insert"), values | new)


def _logged(difference: Difference) -> dict[str, str]:
    return {"finding": difference.kind.value, "symbol": difference.symbol, **difference.facts}
