"""List what each account holds, and which part of it our strategies hold."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from psycopg import Connection
from psycopg.rows import DictRow

from config.schema.executor import ExecutorSettings
from pipeline.accounts.books.settle import settle
from pipeline.accounts.snapshot import Snapshot, read_snapshot
from pipeline.model.account import Position
from pipeline.model.symbols import AssetClass, asset_class
from pipeline.store.query import fetch_all
from pipeline.store.record import Record
from pipeline.store.statements import sql
from pipeline.views.book_numbers import average, known, trimmed
from pipeline.views.book_schemas import HeldPosition, StrategyPosition

#: At least this part of bought coins is left after the fee. The record does not know the fee.
_LEFT_BY_A_FEE = Decimal("0.99")


@dataclass(frozen=True, kw_only=True)
class _Holding:
    """The holding of one strategy in a symbol."""

    account_number: str
    symbol: str
    strategy: str | None
    quantity: Decimal
    cost: Decimal | None
    #: When its newest part was bought, or sold short.
    opened_at: datetime
    stop_price: Decimal | None
    target_price: Decimal | None
    #: The quantity of the stop orders that rest for it.
    protected: Decimal


def positions(record: Record, executors: Iterable[ExecutorSettings]) -> list[HeldPosition]:
    """Return the positions of the executors' accounts as last read, by executor and symbol.

    Raises:
        RecordUnavailable: PostgreSQL is away.
    """
    settle(record)
    chosen = list(executors)

    def unit(connection: Connection[DictRow]) -> tuple[dict[str, Snapshot | None], list[_Holding]]:
        snapshots = {executor.id: read_snapshot(connection, executor.id) for executor in chosen}
        numbers = [_account(executor, snapshots) for executor in chosen]
        return snapshots, fetch_all(connection, _Holding, sql("books", "holdings"), {"account_numbers": numbers})

    snapshots, holdings = record.run(unit)
    return [
        held
        for executor in chosen
        for held in _of_account(
            executor,
            snapshots[executor.id],
            [each for each in holdings if each.account_number == _account(executor, snapshots)],
        )
    ]


def _account(executor: ExecutorSettings, snapshots: Mapping[str, Snapshot | None]) -> str | None:
    snapshot = snapshots[executor.id]
    return executor.account if snapshot is None else snapshot.account.number


def _of_account(
    executor: ExecutorSettings, snapshot: Snapshot | None, holdings: Sequence[_Holding]
) -> list[HeldPosition]:
    read = {} if snapshot is None else {each.symbol: each for each in snapshot.positions if each.quantity}
    read_at = None if snapshot is None else snapshot.taken_at
    found = []
    for symbol in sorted({*read, *(each.symbol for each in holdings)}):
        position, ours = read.get(symbol), [each for each in holdings if each.symbol == symbol]
        values = {"executor_id": executor.id, "mode": executor.mode, "symbol": symbol, "read_at": read_at}
        quantity = {"quantity": _quantity(position, read_at, ours)}
        found.append(HeldPosition.model_validate(values | quantity | _as_read(position) | _as_recorded(ours)))
    return found


def _as_read(position: Position | None) -> dict[str, Decimal | None]:
    if position is None:
        return dict.fromkeys(("average_price", "market_price", "market_value", "unrealised"))
    price, value = position.current_price, position.market_value
    if value is None and price is not None:
        value = price * position.quantity
    return {
        "average_price": average(position.average_entry_price),
        "market_price": known(price),
        "market_value": known(value),
        "unrealised": known(position.unrealised),
    }


def _as_recorded(holdings: Sequence[_Holding]) -> dict[str, Any]:
    is_long = sum(each.quantity for each in holdings) > 0
    stopped = [each for each in holdings if each.stop_price is not None]
    stops = [trimmed(each.stop_price) for each in stopped if each.stop_price is not None]
    targets = [trimmed(each.target_price) for each in holdings if each.target_price is not None]
    return {
        "strategies": [_of_strategy(each) for each in holdings],
        # The nearest: the first that the price would reach.
        "stop_price": (max if is_long else min)(stops, default=None),
        "target_price": (min if is_long else max)(targets, default=None),
        "protected": all(map(_is_protected, stopped)) if stopped else None,
    }


def _is_protected(holding: _Holding) -> bool:
    """Return whether stop orders rest for all of the holding. Of coins, the fee for their purchase may be missing."""
    least = _LEFT_BY_A_FEE if asset_class(holding.symbol) is AssetClass.CRYPTO else 1
    return holding.protected >= least * abs(holding.quantity)


def _quantity(position: Position | None, read_at: datetime | None, holdings: Sequence[_Holding]) -> Decimal | None:
    if position is not None:
        return trimmed(position.quantity)
    # The account was read before the fill: the broker may hold it now.
    is_newer = read_at is None or any(each.opened_at > read_at for each in holdings)
    return None if is_newer else Decimal(0)


def _of_strategy(holding: _Holding) -> StrategyPosition:
    price = None if holding.cost is None else average(holding.cost / holding.quantity)
    return StrategyPosition(strategy=holding.strategy, quantity=trimmed(holding.quantity), average_price=price)
