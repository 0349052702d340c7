"""Ask before a process starts whether it may: by what the record holds, and by what else its command checks."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import structlog
from psycopg import Connection
from psycopg.rows import DictRow

from config.schema.executor import ExecutorSettings
from pipeline.model.errors import ConfigInvalid, NotPossible, Problem, Unavailable
from pipeline.startup.live_limits import refused_changes
from pipeline.startup.removed_executors import gone_executors
from pipeline.store.record import Record
from pipeline.store.settings_archive import keep
from pipeline.store.statements import sql

log = structlog.get_logger(__name__)

# What was away at the start is asked again after pauses that grow from one to the other.
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 15.0

#: Comes back when a process may start. Raises ConfigInvalid when it may not, and Unavailable when nobody can say yet.
Check = Callable[[], None]


def check_start(record: Record, executors: Mapping[str, ExecutorSettings], *, by: str) -> None:
    """Refuse a file that leaves work or positions behind or loosens real money's limits; keep and accept its settings.

    Raises:
        ConfigInvalid: with every such problem; nothing was accepted.
        RecordUnavailable: PostgreSQL is away.
    """

    def unit(connection: Connection[DictRow]) -> None:
        problems: list[Problem] = [gone.problem() for gone in gone_executors(connection, executors)]
        for executor in executors.values():
            problems += refused_changes(connection, executor, by=by)
        if problems:
            # Out of the unit, so that what it accepted so far is undone.
            raise ConfigInvalid(problems)
        connection.execute(sql("removed_executors", "back"), {"executor_ids": list(executors)})
        keep(connection, executors.values())

    record.run(unit)


@contextmanager
def behind(checks: Sequence[Check]) -> Iterator[None]:
    """Run the body once *checks* allow it. What is away is waited out by the body, as ever, and asked meanwhile.

    A refusal that comes late ends the process as SIGTERM does, and is raised when the body is done.

    Raises:
        ConfigInvalid: a check refused.
    """
    over, refusals = threading.Event(), list[ConfigInvalid]()
    for check in [check for check in checks if not _answered(check)]:
        threading.Thread(target=_ask_on, args=(check, over, refusals), name="gate", daemon=True).start()
    try:
        yield
    finally:
        over.set()
    if refusals:
        raise refusals[0]


def _answered(check: Check) -> bool:
    """Say whether *check* could be made. A server of the wrong kind is the process's own affair."""
    try:
        check()
    except (Unavailable, NotPossible):
        return False
    return True


def _ask_on(check: Check, over: threading.Event, refusals: list[ConfigInvalid]) -> None:
    pause = _FIRST_PAUSE_S
    while not over.wait(pause):
        pause = min(pause * 2, _LONGEST_PAUSE_S)
        try:
            if _answered(check):
                return
        except ConfigInvalid as error:
            log.error("start.refused", says=str(error))  # noqa: TRY400 -- a sentence for people, no trace
            refusals.append(error)
            os.kill(os.getpid(), signal.SIGTERM)
            return
