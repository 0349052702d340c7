"""Record the fills that the broker reports, each once: from its stream of trade updates and its list of activities.

The rows of an order that are not voided always add up to its filled quantity: triggers of the table `fill` raise or
lower the order, the holding follows, and the part that no fill explains is one row with the source `order`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any
from uuid import UUID

import structlog
from psycopg import Connection
from psycopg.rows import DictRow

from pipeline.model.fills import FillReport, FillSource
from pipeline.store.query import execute, fetch_all, fetch_maybe, fetch_one
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
    #: True if the fill belongs to an order that has replaced this order at the broker.
    is_replacement: bool
    #: True if the record once had a fill under this id, and has it under another id of the broker now.
    is_alias: bool
    #: The fill with which the broker corrected the reported fill before the record had the latter; None: there is none.
    corrected_by: str | None


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
    if order is None:
        return False
    if order.corrected_by is not None:
        return _record_corrected(connection, order, report, source, order.corrected_by)
    if order.is_alias and source is FillSource.STREAM:
        return False
    # The report counts the replacement's fills only; the record counts the replaced order's fills too.
    report = replace(report, cumulative_quantity=None) if order.is_replacement else report
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
    execute(connection, sql("fills", "lock_holding"), vars(order))
    known = {fill.fill_id: fill for fill in _known(connection, order)}
    named = replace(report, fill_id=_id_of(connection, account_number, report.fill_id))
    fill = match(named, source, list(known.values()))
    if fill is None:
        # The fill was not itemised, or the list of activities has replaced it.
        is_new = execute(connection, sql("fills", "insert"), _values(order, report, source)) > 0
        return is_new and _void(connection, order, report, report.fill_id, corrected_by=None)
    # A fill that was corrected is taken back with its correction.
    return _void(connection, order, report, _chain(fill, known)[-1].fill_id, corrected_by=None)


def correct_fill(
    connection: Connection[DictRow],
    account_number: str,
    previous_fill_id: str,
    report: FillReport,
    *,
    source: FillSource = FillSource.STREAM,
) -> bool:
    """Put *report* in the place of a fill that the broker corrected (`trade_correct`), and return whether it is new.

    The order's filled quantity and its average price follow. If the previous fill was taken back already, the
    correction is recorded as a fill. So it is if the record does not have the previous fill (`is_itemised`), which may
    be a part of what is not itemised: then the filled quantity follows when the broker reports that fill, too.
    """
    order = _lock(connection, account_number, report)
    if order is None:
        return False
    execute(connection, sql("fills", "lock_holding"), vars(order))
    report = replace(report, fill_id=_id_of(connection, account_number, report.fill_id))
    known = {fill.fill_id: fill for fill in _known(connection, order)}
    last = None if order.corrected_by is None else known.get(_id_of(connection, account_number, order.corrected_by))
    if last is not None:
        # A later correction of this correction was reported first.
        report = replace(report, fill_id=last.fill_id, quantity=last.quantity, price=last.price)
    previous = known.get(_id_of(connection, account_number, previous_fill_id))
    values = _values(order, report, source)
    if previous is None:
        names = {"account_number": account_number, "fill_id": previous_fill_id, "corrected_by": report.fill_id}
        execute(connection, sql("fills", "keep_corrected"), names)
        return report.fill_id not in known and execute(connection, sql("fills", "insert"), values) > 0
    chain = _chain(previous, known)
    if report.fill_id in [fill.fill_id for fill in chain]:
        return False
    previous = chain[-1]
    if previous.voided_at is not None:
        return record_fill(connection, account_number, report, source=source)
    if report.fill_id not in known:
        # Insert the new fill before the old one is voided: in between, the holding must not look closed.
        room = {"quantity": min(report.quantity, previous.quantity)}
        execute(connection, sql("fills", "make_room"), values | room)
        after = previous.cumulative_quantity if report.cumulative_quantity is None else report.cumulative_quantity
        execute(connection, sql("fills", "insert"), values | {"cumulative_quantity": after})
    return _void(connection, order, report, previous.fill_id, corrected_by=report.fill_id)


def is_itemised(connection: Connection[DictRow], account_number: str, fill_id: str) -> bool:
    """Return whether the record has the fill, counted or taken back."""
    values = {"account_number": account_number, "fill_id": _id_of(connection, account_number, fill_id)}
    return fetch_one(connection, bool, sql("fills", "has"), values)


def _record_corrected(
    connection: Connection[DictRow], order: _Order, report: FillReport, source: FillSource, corrected_by: str
) -> bool:
    """Record a fill whose correction came first: it was a part of what is not itemised, and counts no more."""
    named = _id_of(connection, order.account_number, corrected_by)
    new = next((fill for fill in _known(connection, order) if fill.fill_id == named), None)
    if new is not None and (new.quantity, new.price) == (report.quantity, report.price):
        # The broker lists the correction under the id of the fill.
        return False
    execute(connection, sql("fills", "lock_holding"), vars(order))
    now = report
    if new is not None:
        now = replace(report, quantity=new.quantity, price=new.price)
        room = {"quantity": min(report.quantity, new.quantity)}
        execute(connection, sql("fills", "make_room"), _values(order, now, source) | room)
    execute(connection, sql("fills", "insert"), _values(order, report, source))
    execute(connection, sql("fills", "corrected_shown"), vars(order) | {"fill_id": report.fill_id})
    return _void(connection, order, now, report.fill_id, corrected_by=named)


def _chain(fill: KnownFill, known: Mapping[str, KnownFill]) -> list[KnownFill]:
    """Return *fill* and the fills that were reported in its place, the last one last. None is followed twice."""
    chain, left = [fill], dict(known)
    while chain[-1].corrected_by in left:
        chain.append(left.pop(chain[-1].corrected_by))
    return chain


def _lock(connection: Connection[DictRow], account_number: str, report: FillReport) -> _Order | None:
    values = {"account_number": account_number, "order_id": report.order_id, "fill_id": report.fill_id}
    # A statement that waits for the lock sees other rows as they were before the wait, so it is run again.
    execute(connection, sql("fills", "lock_order"), values)
    return fetch_maybe(connection, _Order, sql("fills", "lock_order"), values)


def _known(connection: Connection[DictRow], order: _Order) -> list[KnownFill]:
    return fetch_all(connection, KnownFill, sql("fills", "of_order"), vars(order))


def _id_of(connection: Connection[DictRow], account_number: str, fill_id: str) -> str:
    """Return the id under which the record has the fill or, if it does not have it, the fill in its place."""
    values = {"account_number": account_number, "fill_id": fill_id}
    return fetch_maybe(connection, str, sql("fills", "id_of"), values) or fill_id


def _apply(
    connection: Connection[DictRow], order: _Order, report: FillReport, source: FillSource, decision: FillDecision
) -> bool:
    values = _values(order, report, source)
    if decision.drops:
        execute(connection, sql("fills", "lock_holding"), vars(order))
        # Dropped fills become a part of what is not itemised, so the order's filled quantity stays.
        execute(connection, sql("fills", "drop"), values | {"fill_ids": list(decision.drops)})
    if decision.confirms is not None:
        known_id = decision.confirms.fill_id
        execute(connection, sql("fills", "confirm"), values | {"known_id": known_id})
        if known_id != report.fill_id:
            alias = values | {"fill_id": known_id, "known_as": report.fill_id}
            execute(connection, sql("fills", "add_alias"), alias)
            execute(connection, sql("fills", "rename_correction"), alias)
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
        execute(connection, sql("fills", "take_time"), values)
        now = {"new_quantity": str(report.quantity), "new_price": str(report.price)}
        log.warning("fill.corrected", fill_id=fill_id, order_id=report.order_id, **facts, **now)
    return True


def _values(order: _Order, report: FillReport, source: FillSource) -> dict[str, Any]:
    """Return the values of the row. The symbol and the side are those of the order."""
    return vars(report) | vars(order) | {"source": source}
