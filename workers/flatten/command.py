"""`flatten --direct`: flatten an account at its broker, and halt it in the record if PostgreSQL can be reached."""

from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from psycopg import Connection
from psycopg.rows import DictRow

from config.schema.executor import ExecutorSettings
from config.schema.settings import Settings
from pipeline.accounts.switches import end_flatten, flatten_requests
from pipeline.model.errors import NotMigrated, NotPossible, RecordUnavailable
from pipeline.store.query import execute
from pipeline.store.record import Record
from pipeline.store.rows import Mode
from pipeline.store.statements import sql
from workers.account.runtime import open_account
from workers.flatten.direct import DirectFlatten
from workers.flatten.journal import JournaledOrder, JournalHeader
from workers.flatten.journal_import import halt, import_journals, import_order
from workers.flatten.optional_journal import OptionalJournal

# A person who flattens in an emergency must not wait for a database.
_RETRY_FOR_S = 0.5


@dataclass(frozen=True, kw_only=True)
class FlattenOutcome:
    """The result of `flatten_directly`."""

    flat: bool
    #: The quantities that are still held, by symbol, as last read; None: they could never be read.
    left: dict[str, Decimal] | None
    #: None: it could not be written.
    journal: Path | None
    #: This command has imported the journal into the record. If not, a keeper imports it.
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
    """Cancel and close everything at the broker; stop trying after *wait_s* seconds.

    Each order is written to a journal before it is sent, if a journal can be written. *say* is called with each line
    that a person should read.

    Raises:
        ConfigInvalid: the executor's broker account cannot be opened (see `open_account`).
        NotPossible: the keys belong to another account than the pinned one.
        BrokerUnavailable, BrokerUnreadable: the account could not be read at the beginning.
        BrokerRefusesAccount: the broker refuses the keys or the account, at the beginning or later.
    """
    with ExitStack() as stack:
        broker, _ = open_account(executor, settings=settings, exchange_url=settings.exchange_url)
        stack.enter_context(closing(broker))
        number = broker.account().number
        if executor.account not in (None, number):
            raise NotPossible(f"the keys belong to account {number}, not the pinned {executor.account}")
        record = _open_record(settings, stack)
        header = JournalHeader(
            executor_id=executor.id,
            account_number=number,
            mode=Mode(executor.mode),
            by=by,
            why=why,
            halted=False,
            began_at=datetime.now(UTC),
        )
        header = replace(header, halted=_halt(record, header, say))
        journal = OptionalJournal(settings.home, header, say)
        stack.callback(journal.close)
        if journal.path is not None:
            say(f"journal: {journal.path}")
        elif not header.halted:
            say("nothing records this halt and these orders: halt the account when PostgreSQL is back")

        def on_answer(order: JournaledOrder) -> None:
            if record is not None and header.halted:
                _record_order(record, journal.name, header, order)

        direct = DirectFlatten(broker=broker, journal=journal, say=say, on_answer=on_answer)
        flat = direct.run(wait_s=wait_s)
        journal.close()
        recorded = _import_journals(record, settings.home, by)
        return FlattenOutcome(flat=flat, left=direct.left, journal=journal.path, recorded=recorded)


def _open_record(settings: Settings, stack: ExitStack) -> Record | None:
    if settings.database_url is None:
        return None
    url = settings.database_url.get_secret_value()
    return stack.enter_context(Record(url, connections=1, retry_for_s=_RETRY_FOR_S))


def _halt(record: Record | None, header: JournalHeader, say: Callable[[str], None]) -> bool:
    """Halt the account, and end a flatten by the keeper; return whether PostgreSQL has recorded both."""
    if record is None:
        say("the halt will be recorded later: DATABASE_URL is not set")
        return False
    try:
        record.run(lambda connection: _take_over(connection, header))
    except (RecordUnavailable, NotMigrated) as error:
        say(f"the halt will be recorded later: {error}")
        return False
    return True


def _take_over(connection: Connection[DictRow], header: JournalHeader) -> None:
    halt(connection, header)
    requests = flatten_requests(connection, header.executor_id)
    end_flatten(connection, requests, by=header.by, why="flattened straight at the broker")
    execute(connection, sql("journal", "hand_over"), {"executor_id": header.executor_id, "by": header.by})


def _record_order(record: Record, name: str, header: JournalHeader, order: JournaledOrder) -> None:
    """Record the order now, so that the executor's own exits wait for it. If that fails, the import records it."""
    try:
        record.run(lambda connection: import_order(connection, name, header, order))
    except RecordUnavailable:
        return


def _import_journals(record: Record | None, home: Path, by: str) -> bool:
    try:
        return record is not None and import_journals(record, home, by=by) > 0
    except (RecordUnavailable, NotMigrated):
        return False
