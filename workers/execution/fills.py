"""Record the fills that the broker reports, each once: from its stream of trade updates and its list of activities.

The rows of an order that are not voided always add up to its filled quantity: triggers of the table `fill` raise or
lower the order, the holding follows, and the part that no fill explains is one row with the source `order`.
"""

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any
from uuid import UUID

import structlog
from psycopg import Connection
from psycopg.rows import DictRow

from pipeline.model.fills import FillReport, FillSource
from pipeline.store.query import execute, fetch_all, fetch_maybe
from pipeline.store.statements import sql
from workers.rules.fill_matching import FillDecision, KnownFill, decide, match

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class _Order:
    """The order of a fill."""

    execution_id: UUID
    generation: int
    executor_id: str
    account_number: str
    symbol: str
    side: str
    filled_quantity: Decimal
    #: True if the record once had a fill under this id, and has it under another id of the broker now.
    is_alias: bool


@dataclass(frozen=True, kw_only=True)
class _Voided:
    executor_id: str
    symbol: str
    side: str
    quantity: Decimal
    price: Decimal


def record_fill(
    connection: Connection[DictRow], account_number: str, report: FillReport, *, source: FillSource
) -> bool:
    """Record a fill, and return whether something in the record changed. A fill that is known never changes anything.

    A fill that the order's report does not show yet raises the order's filled quantity. A fill of an order that is not
    in the record is not ours, and is not kept. The record finds the order by the broker's id: if a stream's event can
    come before the answer to the order, record the event's order first (`record_broker_order`).
    """
    order = _lock(connection, account_number, report)
    if order is None or (order.is_alias and source is FillSource.STREAM):
        return False
    known = _known(connection, order)
    decision = decide(report, source, known, filled=order.filled_quantity)
    return _apply(connection, order, report, source, decision)


def void_fill(
    connection: Connection[DictRow], account_number: str, report: FillReport, *, source: FillSource = FillSource.STREAM
) -> bool:
    """Void the fill *report*, which the broker took back (`trade_bust`), and return whether it counted until now.

    The order's filled quantity and the holding go down with it. A fill that was not itemised before is recorded as
    well, so that a later report of it changes nothing. The execution keeps its state, and an alert names the fill.
    """
    order = _lock(connection, account_number, report)
    if order is None:
        return False
    fill = _find(connection, order, report, source)
    if fill is None:
        record_fill(connection, account_number, report, source=source)
        fill = _find(connection, order, report, source)
    if fill is None:
        log.warning("fill.not_found", fill_id=report.fill_id, order_id=report.order_id)
        return False
    return _void(connection, order, report, fill.fill_id, corrected_by=None)


def correct_fill(
    connection: Connection[DictRow],
    account_number: str,
    previous_fill_id: str,
    report: FillReport,
    *,
    source: FillSource = FillSource.STREAM,
) -> bool:
    """Put *report* in the place of a fill that the broker corrected (`trade_correct`), and return whether it is new.

    The order's filled quantity and its average price follow. If the record does not have the previous fill, or it was
    taken back already, the correction is recorded as a fill.
    """
    order = _lock(connection, account_number, report)
    if order is None:
        return False
    known = _known(connection, order)
    if any(fill.fill_id == report.fill_id for fill in known):
        return False
    previous_id = _id_of(connection, account_number, previous_fill_id)
    previous = next((fill for fill in known if fill.fill_id == previous_id and fill.voided_at is None), None)
    if previous is None:
        return record_fill(connection, account_number, report, source=source)
    if report.cumulative_quantity is None:
        report = replace(report, cumulative_quantity=previous.cumulative_quantity)
    # The new fill comes first: in between, a holding must not look closed.
    execute(connection, sql("fills", "insert"), _values(order, report, source))
    return _void(connection, order, report, previous.fill_id, corrected_by=report.fill_id)


def _lock(connection: Connection[DictRow], account_number: str, report: FillReport) -> _Order | None:
    values = {"account_number": account_number, "order_id": report.order_id, "fill_id": report.fill_id}
    return fetch_maybe(connection, _Order, sql("fills", "lock_order"), values)


def _known(connection: Connection[DictRow], order: _Order) -> list[KnownFill]:
    return fetch_all(connection, KnownFill, sql("fills", "of_order"), vars(order))


def _find(connection: Connection[DictRow], order: _Order, report: FillReport, source: FillSource) -> KnownFill | None:
    named = replace(report, fill_id=_id_of(connection, order.account_number, report.fill_id))
    return match(named, source, _known(connection, order))


def _id_of(connection: Connection[DictRow], account_number: str, fill_id: str) -> str:
    """Return the id under which the record has the fill, if it has it."""
    values = {"account_number": account_number, "fill_id": fill_id}
    return fetch_maybe(connection, str, sql("fills", "id_of"), values) or fill_id


def _apply(
    connection: Connection[DictRow], order: _Order, report: FillReport, source: FillSource, decision: FillDecision
) -> bool:
    values = _values(order, report, source)
    if decision.drops:
        # Dropped fills become a part of what is not itemised, so the order's filled quantity stays.
        execute(connection, sql("fills", "drop"), values | {"fill_ids": list(decision.drops)})
    if decision.confirms is not None:
        known_id = decision.confirms.fill_id
        execute(connection, sql("fills", "confirm"), values | {"known_id": known_id})
        if known_id != report.fill_id:
            alias = values | {"fill_id": known_id, "known_as": report.fill_id}
            execute(connection, sql("fills", "add_alias"), alias)
        return True
    return decision.inserts and execute(connection, sql("fills", "insert"), values) > 0


def _void(
    connection: Connection[DictRow], order: _Order, report: FillReport, fill_id: str, *, corrected_by: str | None
) -> bool:
    values = {"account_number": order.account_number, "fill_id": fill_id, "corrected_by": corrected_by}
    voided = fetch_maybe(connection, _Voided, sql("fills", "void"), values)
    if voided is None:
        return False
    facts = {name: str(value) for name, value in vars(voided).items()}
    if corrected_by is None:
        log.error("fill.busted", fill_id=fill_id, order_id=report.order_id, **facts)
    else:
        now = {"new_quantity": str(report.quantity), "new_price": str(report.price)}
        log.warning("fill.corrected", fill_id=fill_id, order_id=report.order_id, **facts, **now)
    return True


def _values(order: _Order, report: FillReport, source: FillSource) -> dict[str, Any]:
    """Return the values of the row. The symbol and the side are those of the order."""
    return vars(report) | vars(order) | {"source": source}
