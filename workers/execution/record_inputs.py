"""Read the rules' inputs from the record: before the broker is read, and in the transaction that decides."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from psycopg import Connection
from psycopg.rows import DictRow

from config.schema.executor import ExecutorSettings
from pipeline.accounts.account_key import account_keys
from pipeline.accounts.equity import equity_baseline
from pipeline.intake.routing import may_be_exit
from pipeline.model.findings import COUNTS_FOR, EntryGate
from pipeline.model.sources import RETRY
from pipeline.model.switches import Switch
from pipeline.store.query import fetch_all, fetch_maybe, fetch_one
from pipeline.store.rows import ClaimedExecution, OrderUnderWay, SignalRow
from pipeline.store.statements import sql
from workers.account.calendar import market_at
from workers.brokers.protocol import RefusalKind
from workers.execution.broker_inputs import InputSnapshot, KnownBefore
from workers.execution.claims import has_to_close
from workers.execution.entries_refused import entries_refused
from workers.execution.order_intents import prior_order
from workers.execution.position_book import book_of, read_book, strategy_holding
from workers.execution.recent_activity import recent_of, repeats_a_reverse
from workers.rules.case import Case, ExitRefusal
from workers.rules.market_hours import by_calendar
from workers.rules.obstacles import is_forced


@dataclass(frozen=True, kw_only=True)
class _Sender:
    """The sender of a signal."""

    source: str
    by_person: bool


@dataclass(frozen=True, kw_only=True)
class _LastRefusal:
    refused: str
    orders: str | None


def read_before(connection: Connection[DictRow], claimed: ClaimedExecution, executor: ExecutorSettings) -> KnownBefore:
    """Return the inputs that are read from the record before the broker is asked."""
    signal = fetch_one(connection, SignalRow, sql("signals", "get"), {"signal_id": claimed.signal_id})
    return KnownBefore(
        signal=signal,
        prior=prior_order(connection, claimed),
        under_way=_orders_under_way(connection, claimed),
        has_to_close=may_be_exit(signal, executor)
        and not repeats_a_reverse(connection, claimed, signal, executor)
        and has_to_close(connection, executor, signal),
        refused=_refusal(connection, claimed),
        forced=_is_forced(connection, signal),
    )


def read_case(
    connection: Connection[DictRow],
    claimed: ClaimedExecution,
    signal: SignalRow,
    seen: InputSnapshot,
    executor: ExecutorSettings,
) -> Case:
    """Return everything that the decision depends on: the broker's side as *seen*, the rest from this transaction."""
    account = seen.snapshot.account
    others = {"executor_id": claimed.executor_id, "execution_id": claimed.execution_id}
    under_way = {order.client_order_id: order for order in (*seen.under_way, *_orders_under_way(connection, claimed))}
    reserved = fetch_one(connection, Decimal, sql("orders", "reserved"), others | {"taken_at": seen.snapshot.taken_at})
    now = fetch_one(connection, datetime, sql("accounts", "now"))
    rows, baseline = read_book(connection, claimed, seen.snapshot), equity_baseline(connection, account.number)
    day = None if baseline is None else baseline.day_started_at
    return Case(
        signal=signal,
        executor=executor,
        account=account,
        position=seen.position,
        asset=seen.asset,
        under_way=tuple(under_way.values()),
        reserved=reserved,
        now=now,
        market=market_at(seen.snapshot, now, seen.sessions),
        calendar=by_calendar(seen.snapshot.last_clock, now, seen.sessions),
        book=book_of(seen.snapshot, rows),
        own=strategy_holding(rows, signal),
        baseline=baseline,
        switches=_switches(connection, claimed.executor_id, account.number),
        recent=recent_of(
            connection, claimed, signal, executor, account_number=account.number, rows=rows, day_started_at=day
        ),
        entries_refused=entries_refused(connection, claimed.executor_id),
        price=seen.price,
        price_asked=seen.price_asked,
        quote=seen.quote,
        accept_age=claimed.accept_age,
        foreign=seen.foreign,
        forced=seen.forced,
        refused=seen.refused,
        gate=_gate(connection, signal.symbol, account.number),
    )


def _orders_under_way(connection: Connection[DictRow], claimed: ClaimedExecution) -> tuple[OrderUnderWay, ...]:
    key = {"executor_id": claimed.executor_id, "symbol": claimed.symbol, "execution_id": claimed.execution_id}
    return tuple(fetch_all(connection, OrderUnderWay, sql("orders", "under_way"), key))


def _is_forced(connection: Connection[DictRow], signal: SignalRow) -> bool:
    """Return whether *signal* is a forced exit. A further try of an exit is forced if its first try was."""
    sender: _Sender | SignalRow | None = signal
    if signal.source == RETRY and signal.source_id is not None:
        first = signal.source_id.rpartition(":")[0]
        sender = fetch_maybe(connection, _Sender, sql("orders", "origin"), {"execution_id": first})
    return sender is not None and is_forced(sender.source, by_person=sender.by_person)


def _refusal(connection: Connection[DictRow], claimed: ClaimedExecution) -> ExitRefusal:
    key = {"executor_id": claimed.executor_id, "symbol": claimed.symbol}
    last = fetch_maybe(connection, _LastRefusal, sql("orders", "last_refusal"), key)
    if last is None:
        return ExitRefusal()
    return ExitRefusal(kind=RefusalKind(last.refused), named=frozenset((last.orders or "").split()))


def _gate(connection: Connection[DictRow], symbol: str, account_number: str) -> EntryGate:
    values = {"account_number": account_number, "symbol": symbol, "counts_for": COUNTS_FOR}
    return fetch_one(connection, EntryGate, sql("reconcile", "gate"), values)


def _switches(connection: Connection[DictRow], executor_id: str, account_number: str) -> tuple[Switch, ...]:
    key = {"holders": account_keys(executor_id, account_number)}
    return tuple(fetch_all(connection, Switch, sql("pre_trade_check", "switches"), key))
