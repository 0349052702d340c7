"""Find in the record the holdings whose stop is not at the broker."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from psycopg import Connection
from psycopg.rows import DictRow

from config.schema.executor import ExecutorSettings
from config.schema.fields import plain
from pipeline.monitoring.alerts.kinds import AlertKind, ConditionResult, Raised, found, raised
from pipeline.store.query import fetch_all
from pipeline.store.statements import sql

_MOST = 1000


@dataclass(frozen=True, kw_only=True)
class _Holding:
    executor_id: str
    symbol: str
    strategy: str
    quantity: Decimal
    stop_price: Decimal
    #: The quantity of the stop orders that rest for it.
    protected: Decimal


def unprotected_positions(
    connection: Connection[DictRow], executors: Mapping[str, ExecutorSettings]
) -> ConditionResult:
    """Find the holdings whose entry gave a stop, whose stop orders do not cover them while no exit works."""
    values = {"executor_ids": list(executors), "limit": _MOST}
    holdings = fetch_all(connection, _Holding, sql("alerts", "unprotected_positions"), values)
    return found(AlertKind.UNPROTECTED_POSITION, map(_unprotected, holdings), complete=len(holdings) < _MOST)


def _unprotected(holding: _Holding) -> Raised:
    missing = plain(abs(holding.quantity) - holding.protected)
    return raised(
        AlertKind.UNPROTECTED_POSITION,
        f"{holding.executor_id}:{holding.symbol}:{holding.strategy}",
        f"no stop order at {plain(holding.stop_price)} rests for {missing} {holding.symbol} at {holding.executor_id}",
        executor=holding.executor_id,
        symbol=holding.symbol,
        strategy=holding.strategy,
    )
