"""Refuse a file that loosens limits on real money, until a person gives the confirmation sentence again."""

from collections.abc import Sequence
from typing import Any

from psycopg import Connection
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from config.checks.accounts import SENTENCE
from config.checks.changes import Change, differences, loosened
from config.schema.executor import ExecutorSettings, settings_hash
from pipeline.model.errors import NotPossible, Problem
from pipeline.store.query import execute, fetch_maybe
from pipeline.store.record import Record
from pipeline.store.settings_archive import KeptSettings, body_of, keep
from pipeline.store.statements import sql


def refused_changes(connection: Connection[DictRow], executor: ExecutorSettings, *, by: str) -> list[Problem]:
    """Return one problem per key that the file loosens for a live executor. If there is none, accept its settings.

    The first settings of an account are accepted without a question, because a live executor's table must already
    contain the confirmation sentence. Settings that only tighten limits are accepted too.
    """
    if executor.mode != "live":
        return []
    last = _last(connection, executor)
    if last is not None and last.settings_hash == settings_hash(executor):
        return []
    changes = _loosened(last, executor)
    if changes:
        return [_problem(executor, change) for change in changes]
    _accept(connection, executor, by=by)
    return []


def accepted_differences(connection: Connection[DictRow], executor: ExecutorSettings) -> list[Change] | None:
    """Return the file's changes since the last acceptance; None when no settings of the account were ever accepted."""
    last = fetch_maybe(connection, KeptSettings, sql("settings", "accepted"), _account(executor))
    return None if last is None else differences(last.body, body_of(executor))


def accept(record: Record, executor: ExecutorSettings, *, sentence: str, by: str) -> Sequence[Change]:
    """Accept a live executor's settings from the file; return the changes that allow more than before.

    Raises:
        NotPossible: the executor is not live, or the sentence is wrong.
        RecordUnavailable: PostgreSQL is away; perhaps nothing was accepted.
    """
    if executor.mode != "live":
        raise NotPossible(f"{executor.id} is in mode {executor.mode}: only settings of a live executor are accepted")
    if sentence.strip() != _sentence(executor):
        raise NotPossible(f'nothing was accepted: the sentence is "{_sentence(executor)}"')

    def unit(connection: Connection[DictRow]) -> list[Change]:
        last = _last(connection, executor)
        if last is None or last.settings_hash != settings_hash(executor):
            _accept(connection, executor, by=by)
        return _loosened(last, executor)

    return record.run(unit)


def _last(connection: Connection[DictRow], executor: ExecutorSettings) -> KeptSettings | None:
    # The lock makes processes that start at the same time accept one after the other.
    execute(connection, sql("settings", "lock_account"), _account(executor))
    return fetch_maybe(connection, KeptSettings, sql("settings", "accepted"), _account(executor))


def _loosened(last: KeptSettings | None, executor: ExecutorSettings) -> list[Change]:
    return [] if last is None else loosened(last.body, body_of(executor))


def _accept(connection: Connection[DictRow], executor: ExecutorSettings, *, by: str) -> None:
    keep(connection, [executor])
    values = _account(executor) | {
        "executor_id": executor.id,
        "settings_hash": settings_hash(executor),
        "body": Jsonb(body_of(executor)),
        "accepted_by": by,
    }
    execute(connection, sql("settings", "accept"), values)


def _account(executor: ExecutorSettings) -> dict[str, Any]:
    return {"account_number": executor.account}


def _sentence(executor: ExecutorSettings) -> str:
    return SENTENCE.format(account=executor.account)


def _problem(executor: ExecutorSettings, change: Change) -> Problem:
    command = f'tradewire config accept {executor.id} --sentence "{_sentence(executor)}"'
    # The text of a change is `key: old -> new`.
    key, _, values = str(change).partition(": ")
    return Problem(
        key=f"executors.{executor.id}.{key}",
        message=f"{values} loosens a limit that was accepted for real money; undo it, or accept it: {command}",
    )
