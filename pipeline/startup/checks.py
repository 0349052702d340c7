"""Decide whether a process may start: compare the executors file with the record, and run the command's checks."""

import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import structlog
from psycopg import Connection
from psycopg.rows import DictRow

from config.schema.executor import ExecutorSettings
from pipeline.model.backoff import Backoff
from pipeline.model.errors import ConfigInvalid, NotPossible, Problem, Unavailable
from pipeline.startup.live_limits import refused_changes
from pipeline.startup.removed_executors import removed_executors
from pipeline.store.query import execute
from pipeline.store.record import Record
from pipeline.store.rights import missing_rights
from pipeline.store.settings_archive import keep
from pipeline.store.statements import sql

log = structlog.get_logger(__name__)

# The pauses before a check that could not be made is tried again.
_BACKOFF = Backoff(first_s=1.0, longest_s=15.0)

#: Returns when a process may start. Raises ConfigInvalid when it may not, and Unavailable when that is not known yet.
Check = Callable[[], None]


def check_start(record: Record, executors: Mapping[str, ExecutorSettings], *, by: str) -> None:
    """Refuse an executors file that leaves work or positions behind, or that loosens limits on real money.

    If there is no such problem, the settings of the file are accepted and recorded.

    Raises:
        ConfigInvalid: the file is refused, or the role lacks rights in the database; nothing was accepted.
        RecordUnavailable: PostgreSQL is away.
    """

    def unit(connection: Connection[DictRow]) -> None:
        if lacks := missing_rights(connection):
            raise ConfigInvalid([Problem(key="DATABASE_URL", message=lacks)])
        problems: list[Problem] = [removed.problem() for removed in removed_executors(connection, executors)]
        for executor in executors.values():
            problems += refused_changes(connection, executor, by=by)
        if problems:
            # Raise inside the transaction, so that settings of other executors accepted in it are rolled back.
            raise ConfigInvalid(problems)
        execute(connection, sql("removed_executors", "back"), {"executor_ids": list(executors)})
        keep(connection, executors.values())

    record.run(unit)


@contextmanager
def after_checks(checks: Sequence[Check]) -> Iterator[None]:
    """Run *checks*, then the body. A check that cannot be made yet is repeated in a thread while the body runs.

    If such a check then refuses, the process gets SIGTERM, and the refusal is raised when the body has ended.

    Raises:
        ConfigInvalid: a check refused.
    """
    over, refusals = threading.Event(), list[ConfigInvalid]()
    for check in [check for check in checks if not _was_made(check)]:
        threading.Thread(target=_retry, args=(check, over, refusals), name="start check", daemon=True).start()
    try:
        yield
    finally:
        over.set()
    if refusals:
        raise refusals[0]


def _was_made(check: Check) -> bool:
    # NotPossible: the server cannot be used, such as one that is too old. The process itself reports that.
    try:
        check()
    except (Unavailable, NotPossible):
        return False
    return True


def _retry(check: Check, over: threading.Event, refusals: list[ConfigInvalid]) -> None:
    failures = 1  # `after_checks` made the first try.
    while not over.wait(_BACKOFF.after(failures)):
        failures += 1
        try:
            if _was_made(check):
                return
        except ConfigInvalid as error:
            log.error("start.refused", says=str(error))  # noqa: TRY400 -- a sentence for people, no trace
            refusals.append(error)
            # Stop the process as a supervisor does: the body ends in order, and then `after_checks` raises the refusal.
            os.kill(os.getpid(), signal.SIGTERM)
            return
