"""Adopt what others did at an account: their orders are known from then on, and their quantities are ours to count."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from functools import partial

import structlog
from psycopg import Connection
from psycopg.rows import DictRow

from pipeline.accounts.findings import Finding
from pipeline.model.findings import ADOPTABLE, MANUAL, OF_POSITIONS, FindingState
from pipeline.store.query import execute, fetch_maybe, fetch_one
from pipeline.store.record import Record
from pipeline.store.statements import sql

log = structlog.get_logger(__name__)

_ZERO = Decimal(0)


@dataclass(frozen=True, kw_only=True)
class Adoption:
    """The change of the recorded holdings that makes them equal to the broker's position."""

    #: The quantity that is taken from the strategies, unsigned.
    taken_from_strategies: Decimal
    #: The quantity that is added to the strategy `manual`, signed.
    added_to_manual: Decimal


def adoption_of(*, broker: Decimal, record: Decimal) -> Adoption:
    """Return the change from *record* to *broker*, both signed.

    If the position is smaller, the strategies that hold it lose the difference. A surplus, and a position on the other
    side, belong to `manual`.
    """
    if broker * record < 0:
        return Adoption(taken_from_strategies=abs(record), added_to_manual=broker)
    if abs(broker) < abs(record):
        return Adoption(taken_from_strategies=abs(record) - abs(broker), added_to_manual=_ZERO)
    return Adoption(taken_from_strategies=_ZERO, added_to_manual=broker - record)


def adopt(
    record: Record, executor_ids: Iterable[str], *, symbol: str | None = None, by: str, why: str | None
) -> list[Finding]:
    """Adopt the open findings of these executors, of *symbol* only if it is given; return those that were adopted.

    A finding is left out if the last reconcile did not see it, and a position if one of our own orders has changed it
    since: the next reconcile has the new figures. Running it again changes nothing.

    Raises:
        RecordUnavailable: PostgreSQL is away.
    """
    values = {"executor_ids": list(executor_ids), "kinds": [kind.value for kind in ADOPTABLE], "symbol": symbol}
    found = record.all(Finding, sql("reconcile", "adoptable"), values)
    adopted = [each for each in found if record.run(partial(_adopt, finding=each, by=by, why=why))]
    for each in adopted:
        log.info("finding.adopted", executor_id=each.executor_id, finding=each.kind.value, symbol=each.symbol, by=by)
    return adopted


def _adopt(connection: Connection[DictRow], *, finding: Finding, by: str, why: str | None) -> bool:
    key = {"finding_id": finding.finding_id, "account_number": finding.account_number, "symbol": finding.symbol}
    execute(connection, sql("reconcile", "lock"), key)
    present = fetch_maybe(connection, Finding, sql("reconcile", "lock_finding"), key)
    if present is None or present.state is not FindingState.OPEN:
        # This may be the second run of a transaction that was committed, although its answer was lost.
        return present is not None and (present.state, present.closed_by) == (FindingState.ADOPTED, by)
    if present.kind in OF_POSITIONS and not _hold(connection, present):
        return False
    execute(connection, sql("reconcile", "adopt"), key | {"by": by, "why": why})
    execute(connection, sql("reconcile", "release"), key | {"executor_id": finding.executor_id})
    return True


def _hold(connection: Connection[DictRow], finding: Finding) -> bool:
    """Make the holdings equal to the broker's position; return False if they are not those of the finding any more."""
    broker, record = Decimal(finding.facts["broker"]), Decimal(finding.facts["record"])
    values = {"account_number": finding.account_number, "symbol": finding.symbol, "manual": MANUAL}
    if fetch_one(connection, Decimal, sql("reconcile", "held"), values) != record:
        return False
    change = adoption_of(broker=broker, record=record)
    if change.taken_from_strategies:
        side = Decimal(1 if record > 0 else -1)
        execute(connection, sql("reconcile", "take"), values | {"less": change.taken_from_strategies, "side": side})
    if change.added_to_manual:
        execute(connection, sql("reconcile", "give"), values | {"more": change.added_to_manual})
    return True
