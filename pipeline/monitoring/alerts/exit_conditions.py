"""Find in the record the exits that other orders block, and the orders of others that were canceled for an exit."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg import Connection
from psycopg.rows import DictRow

from config.schema.executor import ExecutorSettings
from pipeline.monitoring.alerts.kinds import AlertKind, ConditionResult, Raised, Severity, found, raised
from pipeline.store.query import fetch_all
from pipeline.store.statements import sql

_MOST = 1000


@dataclass(frozen=True, kw_only=True)
class _Exit:
    execution_id: UUID
    executor_id: str
    symbol: str
    reason_facts: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class _CanceledOrder:
    order_id: str
    client_order_id: str
    executor_id: str
    symbol: str
    execution_id: UUID | None
    outcome: str | None
    message: str | None


def blocked_exits(connection: Connection[DictRow], _: Mapping[str, ExecutorSettings]) -> ConditionResult:
    """Find the exits that wait for orders that tradewire did not place."""
    blocked = fetch_all(connection, _Exit, sql("alerts", "blocked_exits"), {"limit": _MOST})
    kind = AlertKind.EXIT_BLOCKED
    alerts = [
        raised(
            kind,
            str(each.execution_id),
            f"other orders are in the way of an exit of {each.symbol} at {each.executor_id}: "
            f"{str(each.reason_facts.get('orders', 'none is listed'))[:200]}",
            executor=each.executor_id,
            symbol=each.symbol,
            execution_id=each.execution_id,
        )
        for each in blocked
    ]
    return found(kind, alerts, complete=len(blocked) < _MOST)


def foreign_orders(connection: Connection[DictRow], _: Mapping[str, ExecutorSettings]) -> ConditionResult:
    """Find the orders of others that were canceled for an exit.

    An order is listed for an hour, and for longer if the broker refuses to take it again.
    """
    orders = fetch_all(connection, _CanceledOrder, sql("alerts", "canceled_orders"), {"limit": _MOST})
    return found(AlertKind.FOREIGN_ORDER, map(_canceled, orders), complete=len(orders) < _MOST)


def dust(connection: Connection[DictRow], _: Mapping[str, ExecutorSettings]) -> ConditionResult:
    """Find the exits of the last hour that left a quantity which the broker does not take."""
    exits = fetch_all(connection, _Exit, sql("alerts", "dust"), {"limit": _MOST})
    alerts = [
        raised(
            AlertKind.DUST,
            str(each.execution_id),
            f"{each.reason_facts.get('dust')} {each.symbol} at {each.executor_id} is left: "
            "the broker takes no order of it",
            Severity.WARNING,
            executor=each.executor_id,
            symbol=each.symbol,
            execution_id=each.execution_id,
        )
        for each in exits
    ]
    return found(AlertKind.DUST, alerts, complete=len(exits) < _MOST)


def _canceled(order: _CanceledOrder) -> Raised:
    which = f"an order that tradewire did not place ({order.client_order_id[:60] or order.order_id}) in {order.symbol}"
    subject = f"{which} at {order.executor_id} was canceled for an exit"
    failed = order.outcome == "not_restored"
    if failed:
        subject = f"{subject}, and the broker refuses to take it again: {str(order.message)[:200]}"
    return raised(
        AlertKind.FOREIGN_ORDER,
        # A stop that the broker refuses to take again has a key of its own, so that it opens a new alert.
        f"{order.order_id}:not_restored" if failed else order.order_id,
        subject,
        Severity.CRITICAL if failed else Severity.WARNING,
        executor=order.executor_id,
        execution_id=order.execution_id,
        order_id=order.order_id,
    )
