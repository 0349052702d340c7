"""Find in the record the fills that a broker took back."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from psycopg import Connection
from psycopg.rows import DictRow

from config.schema.executor import ExecutorSettings
from pipeline.monitoring.alerts.kinds import AlertKind, ConditionResult, Raised, found, raised
from pipeline.store.query import fetch_all
from pipeline.store.statements import sql

_MOST = 1000


@dataclass(frozen=True, kw_only=True)
class _BustedFill:
    account_number: str
    fill_id: str
    execution_id: UUID
    executor_id: str
    symbol: str
    side: str
    quantity: Decimal
    price: Decimal
    order_id: str


def busted_fills(connection: Connection[DictRow], _: Mapping[str, ExecutorSettings]) -> ConditionResult:
    """Find the fills that the broker took back in the last hour. The positions have changed without an order."""
    fills = fetch_all(connection, _BustedFill, sql("alerts", "busted_fills"), {"limit": _MOST})
    return found(AlertKind.FILL_BUSTED, map(_busted, fills), complete=len(fills) < _MOST)


def _busted(fill: _BustedFill) -> Raised:
    what = f"{fill.side} {fill.quantity.normalize():f} {fill.symbol} at {fill.price.normalize():f}"
    return raised(
        AlertKind.FILL_BUSTED,
        f"{fill.account_number}:{fill.fill_id}",
        f"the broker took back a fill of {fill.executor_id}: {what}",
        executor=fill.executor_id,
        symbol=fill.symbol,
        execution_id=fill.execution_id,
        order_id=fill.order_id,
    )
