"""Import the journals of `flatten --direct` into the record."""

from functools import partial
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_OID, uuid5

import psycopg
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
from pipeline.store.query import execute
from pipeline.store.record import Record
from pipeline.store.statements import sql
from workers.flatten.journal import (
    Journal,
    JournaledOrder,
    JournalHeader,
    finished,
    mark_imported,
    pending_journals,
    read_journal,
)

log = structlog.get_logger(__name__)


def import_journals(record: Record, home: Path, *, by: str) -> int:
    """Import every journal file whose writer has closed it, and rename it; return how many files were renamed.

    Of a damaged file, everything that can be read is imported; `doctor` names it from then on.

    Raises:
        RecordUnavailable: PostgreSQL is away.
    """
    done = 0
    for path in pending_journals(home):
        try:
            with finished(path) as ready:
                if ready:
                    _import_file(record, path, by)
                    done += 1
        except OSError as error:
            # The other files must not wait until a person has made this file readable.
            log.error("journal.unreadable", file=str(path), error=error.strerror)  # noqa: TRY400 -- no fault of ours
    return done


def _import_file(record: Record, path: Path, by: str) -> None:
    journal = read_journal(path)
    damaged = bool(journal.damaged)
    try:
        if journal.header is not None and record.run(partial(_import_journal, path.name, journal, journal.header, by)):
            log.warning("journal.imported", file=path.name, orders=len(journal.orders), by=journal.header.by)
    except (ValueError, psycopg.DataError, psycopg.IntegrityError):
        damaged = True  # PostgreSQL refuses a value, so nothing of the file was imported.
    if damaged:
        log.error("journal.damaged", file=str(path), lines=journal.damaged)
    mark_imported(path, damaged=damaged)


def _import_journal(
    name: str, journal: Journal, header: JournalHeader, by: str, connection: Connection[DictRow]
) -> bool:
    """Import the halt and every order of a file; return False when the file was imported before."""
    values = {"file": name, "executor_id": header.executor_id, "orders": len(journal.orders), "by": by}
    if not execute(connection, sql("journal", "record_import"), values):
        return False
    if not header.halted:
        halt(connection, header, journal=name)
    for order in journal.orders.values():
        import_order(connection, name, header, order)
    return True


def import_order(connection: Connection[DictRow], name: str, header: JournalHeader, order: JournaledOrder) -> None:
    """Import one order, in the caller's transaction. A second import changes nothing."""
    request, rejected = order.request, order.outcome == "rejected"
    may_exist = not rejected and order.outcome != "notsent"
    code = Code.NO_ANSWER if may_exist else Code.REJECTED_BY_BROKER if rejected else Code.ENDED_BY_PERSON
    state = State.UNKNOWN if may_exist else State.REJECTED if rejected else State.SKIPPED
    facts: dict[str, Any] = {"journal": name} | ({"says": order.message[:300]} if order.message else {})
    values = {
        "signal_id": uuid5(NAMESPACE_OID, f"flatten {order.execution_id}"),
        "execution_id": order.execution_id,
        "source_id": f"{name.removesuffix('.jsonl')}-{request.symbol}-{order.execution_id.hex[:8]}",
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
        "sent_at": order.sent_at,
        "client_order_id": request.client_order_id,
        "side": request.side.value,
        "quantity": request.quantity,
        "reference_price": order.reference_price,
        "request": Jsonb(request.to_json()),
        "order_id": order.order_id,
        "request_id": order.request_id,
    }
    execute(connection, sql("signals", "lock_symbol"), {"symbol": request.symbol})
    execute(connection, sql("journal", "import_order"), values)
    if order.outcome is not None:
        # Record the answer: after a `Duplicate`, no process may give the order a new id.
        attempt = {"fence": 0, "generation": 1, "outcome": order.outcome, "message": order.message or None}
        execute(connection, sql("orders", "record_attempt"), values | attempt | {"took_ms": None})


def halt(connection: Connection[DictRow], header: JournalHeader, *, journal: str | None = None) -> None:
    """Halt the account in the caller's transaction, in the name of the person who flattens it."""
    turn_on(
        connection,
        account_key=header.account_number,
        kind=SwitchKind.HALTED,
        cause=PERSON,
        facts={} if journal is None else {"journal": journal},
        by=header.by,
        why=header.why,
    )
