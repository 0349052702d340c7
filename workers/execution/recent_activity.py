"""Read the recent orders of an account that its executor's limits need."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Any
from uuid import UUID

from psycopg import Connection
from psycopg.rows import DictRow

from config.schema.executor import ExecutorSettings
from pipeline.accounts.account_key import account_key_of
from pipeline.intake.routing import may_be_exit
from pipeline.model.signals import Action, Intent
from pipeline.model.sources import FLIP
from pipeline.model.states import State
from pipeline.model.trading_day import trading_day
from pipeline.store.query import fetch_all, fetch_maybe, fetch_one
from pipeline.store.rows import ClaimedExecution, SignalRow
from pipeline.store.statements import sql
from workers.execution.position_book import BookRow, entries_in
from workers.rules.case import Recent
from workers.rules.exits import closes_the_account
from workers.rules.orders import EITHER_SIDE, side_of
from workers.rules.retry_policy import PROBE_EVERY


@dataclass(frozen=True, kw_only=True)
class _Repeated:
    execution_id: UUID
    age: timedelta


@dataclass(frozen=True, kw_only=True)
class _Answered:
    state: State
    ago: timedelta


def recent_of(
    connection: Connection[DictRow],
    claimed: ClaimedExecution,
    signal: SignalRow,
    executor: ExecutorSettings,
    *,
    account_number: str,
    rows: Sequence[BookRow],
    day_started_at: datetime | None,
) -> Recent:
    """Return the account's recent orders that the limits need, without that of *claimed*.

    Orders are counted by the account's number, so that they still count after the executor is renamed.

    *day_started_at* is None if the account's days are not recorded yet.
    """
    limits = executor.limits
    key = {"account_number": account_number, "symbol": claimed.symbol, "execution_id": claimed.execution_id}
    repeated = _repeated(connection, signal, executor, key) if limits.repeat_window_s is not None else None
    today = 0
    if limits.orders_per_day is not None:
        since = day_started_at or _own_day_start(claimed, executor)
        today = fetch_one(connection, int, sql("pre_trade_check", "entries_since"), key | {"since": since})
    rejected = _rejected(connection, limits.consecutive_rejections, key)
    tried_ago = None
    if limits.consecutive_rejections is not None and len(rejected) >= limits.consecutive_rejections:
        window = {"window": PROBE_EVERY}
        tried_ago = fetch_maybe(connection, timedelta, sql("pre_trade_check", "newest_try"), key | window)
    return Recent(
        repeat_of=repeated.execution_id if repeated else None,
        repeat_age=repeated.age if repeated else None,
        orders_today=today,
        entries_in_symbol=entries_in(rows, claimed.symbol),
        rejections=len(rejected),
        rejected_ago=rejected[0].ago if rejected else None,
        tried_ago=tried_ago,
        closed_by_stop=_closed_by_stop(connection, claimed, signal, executor),
        flat_since=_flat_since(connection, signal, executor) if signal.source == FLIP else None,
    )


def repeats_a_reverse(
    connection: Connection[DictRow], claimed: ClaimedExecution, signal: SignalRow, executor: ExecutorSettings
) -> bool:
    """Return whether *signal* is a REVERSE that repeats one: it must not end the entry that the first one opens."""
    if signal.action is not Action.REVERSE or executor.limits.repeat_window_s is None:
        return False
    account_number = account_key_of(connection, executor.id)
    key = {"account_number": account_number, "symbol": claimed.symbol, "execution_id": claimed.execution_id}
    return _repeated(connection, signal, executor, key) is not None


def _closed_by_stop(
    connection: Connection[DictRow], claimed: ClaimedExecution, signal: SignalRow, executor: ExecutorSettings
) -> bool:
    """Return whether a stop has closed what *signal* would have closed when it was recorded."""
    if signal.intent is not Intent.AUTO or signal.action in EITHER_SIDE or not may_be_exit(signal, executor):
        return False
    values = {
        "executor_id": executor.id,
        "symbol": claimed.symbol,
        "side": side_of(signal.action).value,
        "whole": closes_the_account(executor, signal.source),
        "strategy": signal.strategy or "",
        "since": signal.recorded_at,
    }
    return fetch_one(connection, bool, sql("pre_trade_check", "closed_by_stop"), values)


def _flat_since(connection: Connection[DictRow], signal: SignalRow, executor: ExecutorSettings) -> UUID | None:
    """Return the newest FLAT that was recorded since the exit that led to *signal*, the entry on the other side."""
    values = {
        "first": signal.source_id,
        "whole": closes_the_account(executor, signal.source),
        "strategy": signal.strategy or "",
    }
    return fetch_maybe(connection, UUID, sql("pre_trade_check", "flat_since"), values)


def _own_day_start(claimed: ClaimedExecution, executor: ExecutorSettings) -> datetime:
    return trading_day(claimed.now, executor.hours.time_zone, executor.hours.day_starts_at).started_at


def _rejected(connection: Connection[DictRow], most: int | None, key: dict[str, Any]) -> list[_Answered]:
    """Return the newest entries that the broker refused in a row, at most *most* of them; none if *most* is None."""
    if most is None:
        return []
    answers = fetch_all(connection, _Answered, sql("pre_trade_check", "newest_answers"), key | {"limit": most})
    return list(takewhile(lambda answer: answer.state is State.REJECTED, answers))


def _repeated(
    connection: Connection[DictRow], signal: SignalRow, executor: ExecutorSettings, key: dict[str, Any]
) -> _Repeated | None:
    values = key | {
        "side": side_of(signal.action).value,
        "reverses": signal.action is Action.REVERSE,
        "strategy": signal.strategy or "",
        "window": timedelta(seconds=executor.limits.repeat_window_s or 0),
        "by_content": executor.limits.repeat_by == "content",
        "content_hash": signal.content_hash,
    }
    return fetch_maybe(connection, _Repeated, sql("pre_trade_check", "repeat"), values)
