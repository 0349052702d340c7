"""Stop the entries of an account whose broker refuses every order that opens a position. Exits go on."""

import structlog
from psycopg import Connection
from psycopg.rows import DictRow

from pipeline.model.reasons import Code, storable
from pipeline.store.query import execute, fetch_maybe, fetch_one
from pipeline.store.statements import sql
from workers.brokers.protocol import Accepted, NotSent, NotSentCause, Outcome
from workers.rules.case import EntriesRefused
from workers.rules.retry_policy import PROBE_EVERY

log = structlog.get_logger(__name__)


def entries_refused(connection: Connection[DictRow], executor_id: str) -> EntriesRefused | None:
    """Return the refusal of the executor's entries; None when the broker accepts them."""
    return fetch_maybe(connection, EntriesRefused, sql("accounts", "entries_refused"), {"executor_id": executor_id})


def send_probe(connection: Connection[DictRow], executor_id: str) -> None:
    """Let the executor's entries wait for another minute, because one entry is now sent as a probe."""
    execute(connection, sql("accounts", "probe_entries"), {"executor_id": executor_id, "every": PROBE_EVERY})


def note_entry(connection: Connection[DictRow], executor_id: str, outcome: Outcome) -> None:
    """Record, from the answer to one entry, whether the broker accepts entries. Running it again changes nothing."""
    key = {"executor_id": executor_id}
    if isinstance(outcome, NotSent) and outcome.cause is NotSentCause.ACCOUNT_REFUSED:
        values = key | {"every": PROBE_EVERY, "message": storable(outcome.message)[:300]}
        if fetch_one(connection, bool, sql("accounts", "refuse_entries"), values):
            log.error("entries.refused", executor_id=executor_id, says=values["message"])
    elif isinstance(outcome, Accepted) and execute(connection, sql("accounts", "accept_entries"), key) > 0:
        released = execute(connection, sql("accounts", "release_refused"), key | {"code": Code.ENTRIES_REFUSED})
        log.info("entries.accepted", executor_id=executor_id, released=released)
