"""Let no limit on real money be loosened by an edit of the file alone: it takes the sentence again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from psycopg import Connection
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from config.checks.accounts import SENTENCE
from config.checks.changes import Change, differences, loosened
from config.schema.executor import ExecutorSettings, settings_hash
from pipeline.model.errors import NotPossible, Problem
from pipeline.store.record import Record
from pipeline.store.settings_archive import body_of, keep
from pipeline.store.statements import sql


def refused_changes(connection: Connection[DictRow], executor: ExecutorSettings, *, by: str) -> list[Problem]:
    """Return one problem per key that the file loosens for a live executor; none: the settings are accepted now.

    The first settings of an account are accepted as they are, since the sentence of mode live was just given, and so
    is what only tightens.
    """
    if executor.mode != "live":
        return []
    last = _last(connection, executor)
    if last is not None and last["settings_hash"] == settings_hash(executor):
        return []
    changes = [] if last is None else loosened(last["body"], body_of(executor))
    if changes:
        return [_problem(executor, change) for change in changes]
    _accept(connection, executor, by=by)
    return []


def accepted_differences(connection: Connection[DictRow], executor: ExecutorSettings) -> list[Change] | None:
    """Return what the file changes against what was last accepted; None when the account never traded live."""
    row = connection.execute(sql("settings", "accepted"), _account(executor)).fetchone()
    return None if row is None else differences(row["body"], body_of(executor))


def accept(record: Record, executor: ExecutorSettings, *, sentence: str, by: str) -> Sequence[Change]:
    """Accept a live executor's settings as they stand in the file; return what that loosens.

    Raises:
        NotPossible: it is not live, or the sentence is another one.
        RecordUnavailable: PostgreSQL is away; nothing was accepted.
    """
    if executor.mode != "live":
        raise NotPossible(f"{executor.id} is in mode {executor.mode}: only settings of a live executor are accepted")
    if sentence.strip() != _sentence(executor):
        raise NotPossible(f'nothing was accepted: the sentence is "{_sentence(executor)}"')

    def unit(connection: Connection[DictRow]) -> list[Change]:
        last = _last(connection, executor)
        changes = [] if last is None else loosened(last["body"], body_of(executor))
        if last is None or last["settings_hash"] != settings_hash(executor):
            _accept(connection, executor, by=by)
        return changes

    return record.run(unit)


def _last(connection: Connection[DictRow], executor: ExecutorSettings) -> dict[str, Any] | None:
    connection.execute(sql("settings", "lock_account"), _account(executor))
    return connection.execute(sql("settings", "accepted"), _account(executor)).fetchone()


def _accept(connection: Connection[DictRow], executor: ExecutorSettings, *, by: str) -> None:
    keep(connection, [executor])
    values = _account(executor) | {
        "executor_id": executor.id,
        "settings_hash": settings_hash(executor),
        "body": Jsonb(body_of(executor)),
        "accepted_by": by,
    }
    connection.execute(sql("settings", "accept"), values)


def _account(executor: ExecutorSettings) -> dict[str, Any]:
    return {"account_number": executor.account}


def _sentence(executor: ExecutorSettings) -> str:
    return SENTENCE.format(account=executor.account)


def _problem(executor: ExecutorSettings, change: Change) -> Problem:
    command = f'tradewire config accept {executor.id} --sentence "{_sentence(executor)}"'
    key, _, values = str(change).partition(": ")
    return Problem(
        key=f"executors.{executor.id}.{key}",
        message=f"{values} loosens what was accepted for real money; put it back, or say so again: {command}",
    )
