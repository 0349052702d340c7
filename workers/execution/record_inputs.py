"""Read what the rules need of the record, in the transaction that decides."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import takewhile
from typing import Any

from psycopg import Connection
from psycopg.rows import DictRow

from config.schema.executor import ExecutorSettings
from pipeline.accounts.account_key import account_keys
from pipeline.accounts.exposure import Book, Own, Pending
from pipeline.accounts.losses import EquityBaseline
from pipeline.accounts.snapshot import Snapshot
from pipeline.model.states import State
from pipeline.model.switches import Switch, switch_of
from pipeline.store.rows import ClaimedExecution, OrderRow, SignalRow
from pipeline.store.statements import sql
from workers.rules.case import Recent
from workers.rules.orders import side_of
from workers.rules.retry_policy import PROBE_EVERY
from workers.rules.trading_day import trading_day

_ZERO = Decimal(0)


def prior_order(connection: Connection[DictRow], claimed: ClaimedExecution) -> OrderRow | None:
    """Return the intent of this generation, if there is one."""
    key = {"execution_id": claimed.execution_id, "generation": claimed.generation}
    row = connection.execute(sql("orders", "of_execution"), key).fetchone()
    return None if row is None else OrderRow.of(row)


def of_symbol(claimed: ClaimedExecution) -> dict[str, Any]:
    """Return the values by which statements find the other orders of the symbol."""
    return {"executor_id": claimed.executor_id, "symbol": claimed.symbol, "execution_id": claimed.execution_id}


def orders_under_way(connection: Connection[DictRow], claimed: ClaimedExecution) -> tuple[OrderRow, ...]:
    """Return the executor's other orders in the symbol that may still fill."""
    rows = connection.execute(sql("orders", "under_way"), of_symbol(claimed)).fetchall()
    return tuple(OrderRow.of(row) for row in rows)


def before_look(
    connection: Connection[DictRow], claimed: ClaimedExecution
) -> tuple[SignalRow, OrderRow | None, tuple[OrderRow, ...]]:
    """Return the signal, the intent so far, and what was under way before the broker is asked."""
    row = connection.execute(sql("signals", "get"), {"signal_id": claimed.signal_id}).fetchone()
    assert row is not None
    return SignalRow.of(row), prior_order(connection, claimed), orders_under_way(connection, claimed)


def book_rows(connection: Connection[DictRow], claimed: ClaimedExecution, snapshot: Snapshot) -> list[DictRow]:
    """Return what the strategies hold at the account by our own record, with what is on its way in each symbol.

    A symbol has a row per strategy, each with all that is on its way there; one without a strategy where none holds it.
    """
    key = of_symbol(claimed) | {"account_number": snapshot.account.number, "taken_at": snapshot.taken_at}
    return connection.execute(sql("pre_trade_check", "book"), key).fetchall()


def own_of(rows: Sequence[DictRow], signal: SignalRow) -> Own:
    """Return what the signal's strategy holds in its symbol, beside all of them."""
    here = [row for row in rows if row["symbol"] == signal.symbol and row["strategy"] is not None]
    own = next((row for row in here if row["strategy"] == (signal.strategy or "")), None)
    return Own(
        quantity=_ZERO if own is None else own["quantity"],
        opened_at=None if own is None else own["opened_at"],
        recorded=sum((row["quantity"] for row in here), _ZERO),
        changed_at=max((row["changed_at"] for row in here), default=None),
    )


def book_of(snapshot: Snapshot, rows: Sequence[DictRow]) -> Book:
    """Return the positions as read, and what our entries may add that the reading does not show."""
    entries = {row["symbol"]: row for row in rows if row["open_quantity"] is not None}
    recorded: dict[str, Decimal] = {}
    for row in _held(rows):
        recorded[row["symbol"]] = recorded.get(row["symbol"], _ZERO) + row["quantity"]
    read = {position.symbol: position.quantity for position in snapshot.positions}
    pending = (
        _pending(symbol, entries.get(symbol), read=read.get(symbol, _ZERO), recorded=recorded.get(symbol, _ZERO))
        for symbol in {*entries, *recorded}
    )
    return Book(
        positions=snapshot.positions,
        pending=tuple(sorted((each for each in pending if each is not None), key=lambda each: each.symbol)),
        stops=_stops(_held(rows)),
        unstopped=frozenset(row["symbol"] for row in _held(rows) if row["stop_price"] is None),
    )


def _stops(rows: Sequence[DictRow]) -> dict[str, Decimal]:
    """Return each symbol's stop; where strategies have different ones, the farthest, so that no risk is missed."""
    stops: dict[str, Decimal] = {}
    for row in rows:
        symbol, stop = row["symbol"], row["stop_price"]
        if stop is not None:
            farther = min if row["quantity"] > 0 else max
            stops[symbol] = farther(stops.get(symbol, stop), stop)
    return stops


def _held(rows: Sequence[DictRow]) -> list[DictRow]:
    """Leave out what is closed: its last fill is news, but nothing is held."""
    return [row for row in rows if row["strategy"] is not None and row["quantity"]]


def _pending(symbol: str, entry: DictRow | None, *, read: Decimal, recorded: Decimal) -> Pending | None:
    """Put together what the reading does not show: never less than may come, and nothing twice where that is sure."""
    if entry is None:
        return None
    # Where all of the position is ours, what the record knows beyond it is what the reading missed.
    all_ours = read * recorded >= 0 and abs(read) <= abs(recorded)
    unseen = recorded - read if all_ours else entry["fresh_quantity"]
    return Pending(
        symbol=symbol,
        quantity=unseen + entry["open_quantity"],
        value=abs(unseen) * entry["price"] + entry["open_value"],
        risk=abs(unseen) * entry["unit_risk"] + entry["open_risk"],
    )


def recent_of(
    connection: Connection[DictRow],
    claimed: ClaimedExecution,
    signal: SignalRow,
    executor: ExecutorSettings,
    *,
    rows: Sequence[DictRow],
    baseline: EquityBaseline | None,
) -> Recent:
    """Return what this executor did lately, as far as its limits ask."""
    limits, key = executor.limits, of_symbol(claimed)
    here = [row for row in rows if row["symbol"] == claimed.symbol]
    entries = sum(row["entries"] for row in _held(here)) + max((row["working"] or 0 for row in here), default=0)
    repeat = _repeat(connection, signal, executor, key) if limits.repeat_window_s is not None else None
    today = None
    if limits.orders_per_day is not None:
        since = baseline.day_started_at if baseline is not None else _day_began(claimed, executor)
        today = connection.execute(sql("pre_trade_check", "entries_since"), key | {"since": since}).fetchone()
    rejected, tried = _rejected(connection, executor, key)
    return Recent(
        repeat_of=repeat["execution_id"] if repeat else None,
        repeat_age=repeat["age"] if repeat else None,
        orders_today=today["entries"] if today else 0,
        entries_in_symbol=entries,
        rejections=len(rejected),
        rejected_ago=rejected[0]["ago"] if rejected else None,
        tried_ago=tried["ago"] if tried else None,
    )


def _day_began(claimed: ClaimedExecution, executor: ExecutorSettings) -> datetime:
    """Return when the executor's day began; its own figure, where nobody watches the account's days."""
    return trading_day(claimed.now, executor.hours.time_zone, executor.hours.day_starts_at).started_at


def _rejected(
    connection: Connection[DictRow], executor: ExecutorSettings, key: dict[str, Any]
) -> tuple[list[DictRow], DictRow | None]:
    """Return the newest entries that the broker refused in a row, and where they are too many the last try."""
    most = executor.limits.consecutive_rejections
    if most is None:
        return [], None
    answers = connection.execute(sql("pre_trade_check", "newest_answers"), key | {"limit": most}).fetchall()
    rejected = list(takewhile(lambda row: row["state"] is State.REJECTED, answers))
    if len(rejected) < most:
        return rejected, None
    return rejected, connection.execute(sql("pre_trade_check", "newest_try"), key | {"window": PROBE_EVERY}).fetchone()


def _repeat(
    connection: Connection[DictRow], signal: SignalRow, executor: ExecutorSettings, key: dict[str, Any]
) -> DictRow | None:
    window = timedelta(seconds=executor.limits.repeat_window_s or 0)
    values = key | {
        "side": side_of(signal.action).value,
        "strategy": signal.strategy or "",
        "window": window,
        "by_content": executor.limits.repeat_by == "content",
        "content_hash": signal.content_hash,
    }
    return connection.execute(sql("pre_trade_check", "repeat"), values).fetchone()


def switches_of(connection: Connection[DictRow], executor_id: str, account_number: str) -> tuple[Switch, ...]:
    """Return the switches that stand for the account."""
    key = {"holders": account_keys(executor_id, account_number)}
    return tuple(switch_of(row) for row in connection.execute(sql("pre_trade_check", "switches"), key).fetchall())
