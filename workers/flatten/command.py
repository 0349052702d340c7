"""`flatten --direct`: halt in the record if it is there, flatten at the broker whether it is or not."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from psycopg import Connection
from psycopg.rows import DictRow

from config.schema.executor import ExecutorSettings
from config.schema.settings import Settings
from pipeline.accounts.account_key import account_keys_of
from pipeline.model.errors import NotMigrated, NotPossible, RecordUnavailable
from pipeline.store.record import Record
from pipeline.store.rows import Mode
from pipeline.store.statements import sql
from workers.account.runtime import open_account
from workers.flatten.direct import DirectFlatten
from workers.flatten.journal import FlattenJournal, Header, JournaledOrder
from workers.flatten.journal_import import bring_in_all, bring_in_order, halt

# Nobody who flattens by hand wants to wait for a database.
_RETRY_FOR_S = 0.5


@dataclass(frozen=True, kw_only=True)
class FlattenOutcome:
    """What `flatten_directly` came to."""

    flat: bool
    #: What is still held, by symbol; None: it could not be read.
    left: dict[str, Decimal] | None
    journal: Path
    #: The journal is in the record already.
    recorded: bool


def flatten_directly(
    executor: ExecutorSettings,
    settings: Settings,
    *,
    by: str,
    why: str | None,
    wait_s: float,
    say: Callable[[str], None],
) -> FlattenOutcome:
    """Cancel and close everything at the broker, for *wait_s* seconds at most, writing a journal before each send.

    Raises:
        ConfigInvalid: the executor has no address or key.
        NotPossible: the keys open another account than the one that is pinned.
        BrokerUnavailable, BrokerRefusesAccount, BrokerUnreadable: the account could not be read at the beginning.
    """
    with ExitStack() as stack:
        broker, _ = open_account(executor, settings=settings, exchange_url=settings.exchange_url)
        stack.enter_context(closing(broker))
        number = broker.account().number
        if executor.account not in (None, number):
            raise NotPossible(f"the keys open account {number}, not the pinned {executor.account}")
        record = _record(settings, stack)
        facts: dict[str, Any] = {"executor_id": executor.id, "account_number": number, "mode": Mode(executor.mode)}
        header = Header(**facts, by=by, why=why, halted=False, began_at=datetime.now(UTC))
        halted = _halted(record, header, say)
        header = Header(**facts, by=by, why=why, halted=halted, began_at=header.began_at)
        journal = FlattenJournal(settings.home, header)
        stack.callback(journal.close)
        say(f"journal: {journal.path}")

        def told(sent: JournaledOrder) -> None:
            if record is not None and halted:
                _tell(record, journal.path.stem, header, sent)

        direct = DirectFlatten(broker=broker, journal=journal, say=say, told=told)
        flat = direct.run(wait_s=wait_s)
        journal.close()
        return FlattenOutcome(
            flat=flat, left=direct.left, journal=journal.path, recorded=_brought_in(record, settings.home, by)
        )


def _record(settings: Settings, stack: ExitStack) -> Record | None:
    if settings.database_url is None:
        return None
    url = settings.database_url.get_secret_value()
    return stack.enter_context(Record(url, connections=1, retry_for_s=_RETRY_FOR_S))


def _halted(record: Record | None, header: Header, say: Callable[[str], None]) -> bool:
    """Halt the account where that is possible, and take over what the keeper was about to close."""

    def unit(connection: Connection[DictRow]) -> None:
        halt(connection, header)
        key = {"executor_id": header.executor_id, "by": header.by}
        asked = connection.execute(
            sql("switches", "flattening"), {"holders": account_keys_of(connection, header.executor_id)}
        ).fetchall()
        over = {
            "switch_ids": [row["switch_id"] for row in asked],
            "by": header.by,
            "why": "flattened straight at the broker",
        }
        connection.execute(sql("switches", "flattened"), over)
        connection.execute(sql("journal", "hand_over"), key)

    try:
        if record is not None:
            record.run(unit)
            return True
    except (RecordUnavailable, NotMigrated) as error:
        say(f"the halt will be recorded later: {error}")
        return False
    say("the halt will be recorded later: no PostgreSQL is known")
    return False


def _tell(record: Record, name: str, header: Header, sent: JournaledOrder) -> None:
    """Tell the record at once, so that the executor's own exits wait for this one; it hears of it later anyway."""
    try:
        record.run(lambda connection: bring_in_order(connection, name, header, sent))
    except RecordUnavailable:
        return


def _brought_in(record: Record | None, home: Path, by: str) -> bool:
    try:
        return record is not None and bring_in_all(record, home, by=by) > 0
    except (RecordUnavailable, NotMigrated):
        return False
