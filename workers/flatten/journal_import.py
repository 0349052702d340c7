"""Bring into the record what was sent to a broker without it."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import NAMESPACE_OID, uuid5

import structlog
from psycopg import Connection
from psycopg.rows import DictRow
from psycopg.types.json import Json, Jsonb

from pipeline.accounts.switches import PERSON, turn_on
from pipeline.model.orders import OrderSide
from pipeline.model.reasons import Code, Reason
from pipeline.model.signals import Action
from pipeline.model.states import State
from pipeline.model.switches import SwitchKind
from pipeline.model.symbols import asset_class
from pipeline.store.record import Record
from pipeline.store.statements import sql
from workers.flatten.journal import Header, JournaledOrder, Told, finished, put_away, read_journal, waiting

log = structlog.get_logger(__name__)


def bring_in_all(record: Record, home: Path, *, by: str) -> int:
    """Bring in every file that nobody writes to any more; return how many. Again it finds them put away.

    Raises:
        RecordUnavailable: PostgreSQL is away.
    """
    done = 0
    for path in waiting(home):
        with finished(path) as ready:
            if not ready:
                continue
            told = read_journal(path)
            if told is not None and bring_in(record, path.name, told, by=by):
                log.warning("journal.imported", file=path.name, orders=len(told.orders), by=told.header.by)
            put_away(path)
            done += 1
    return done


def bring_in(record: Record, name: str, told: Told, *, by: str) -> bool:
    """Bring in a whole file: the halt, and every order; False: it had been before.

    Raises:
        RecordUnavailable: PostgreSQL is away.
    """

    def unit(connection: Connection[DictRow]) -> bool:
        header = told.header
        values = {"file": name, "executor_id": header.executor_id, "orders": len(told.orders), "by": by}
        if connection.execute(sql("journal", "brought_in"), values).fetchone() is None:
            return False
        if not header.halted:
            halt(connection, header, journal=name)
        for sent in told.orders.values():
            bring_in_order(connection, name, header, sent)
        return True

    return record.run(unit)


def bring_in_order(connection: Connection[DictRow], name: str, header: Header, sent: JournaledOrder) -> None:
    """Bring in one order, in the caller's transaction; again it changes nothing."""
    request, rejected = sent.request, sent.outcome == "rejected"
    may_exist = not rejected and sent.outcome != "notsent"
    code = Code.NO_ANSWER if may_exist else Code.REJECTED_BY_BROKER if rejected else Code.ENDED_BY_PERSON
    state = State.UNKNOWN if may_exist else State.REJECTED if rejected else State.SKIPPED
    facts: dict[str, Any] = {"journal": name} | ({"says": sent.message[:300]} if sent.message else {})
    values = {
        "signal_id": uuid5(NAMESPACE_OID, f"flatten {sent.execution_id}"),
        "execution_id": sent.execution_id,
        "source_id": f"{name.removesuffix('.jsonl')}-{request.symbol}-{sent.execution_id.hex[:8]}",
        "symbol": request.symbol,
        "asset_class": asset_class(request.symbol),
        "action": Action.BUY if request.side is OrderSide.BUY else Action.SELL,
        "executor_id": header.executor_id,
        "account_number": header.account_number,
        "mode": header.mode,
        "state": state,
        "reason_code": code,
        "reason_facts": Json(Reason(code=code, facts=facts).to_json()),
        "may_exist": may_exist,
        "by": header.by,
        "why": header.why,
        "sent_at": sent.sent_at,
        "client_order_id": request.client_order_id,
        "side": request.side.value,
        "quantity": request.quantity,
        "reference_price": sent.reference_price,
        "request": Jsonb(request.to_json()),
        "order_id": sent.order_id,
    }
    connection.execute(sql("signals", "lock_symbol"), {"symbol": request.symbol})
    connection.execute(sql("journal", "bring_in_order"), values)


def halt(connection: Connection[DictRow], header: Header, *, journal: str | None = None) -> None:
    """Halt the account as the person did who flattened it, in the caller's transaction."""
    turn_on(
        connection,
        account_key=header.account_number,
        kind=SwitchKind.HALTED,
        cause=PERSON,
        facts={} if journal is None else {"journal": journal},
        by=header.by,
        why=header.why,
    )
