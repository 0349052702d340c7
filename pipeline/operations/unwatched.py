"""List the orders and positions that may be open and that no process watches once everything is stopped."""

from dataclasses import dataclass
from decimal import Decimal

from pipeline.store.record import Record
from pipeline.store.statements import sql


@dataclass(frozen=True, kw_only=True)
class OpenOrder:
    """An order that may be open at the broker, in a few words."""

    client_order_id: str
    order_id: str | None
    symbol: str
    side: str
    quantity: Decimal
    filled_quantity: Decimal

    def __str__(self) -> str:
        known = f"order {self.order_id}" if self.order_id else "perhaps an order"
        filled = f"{self.filled_quantity.normalize():f}"
        what = f"{self.side} {self.quantity.normalize():f} {self.symbol}, filled {filled}"
        return f"{known} ({self.client_order_id}): {what}"


@dataclass(frozen=True, kw_only=True)
class _OrderOfExecutor(OpenOrder):
    executor_id: str

    def __str__(self) -> str:
        return f"{self.executor_id}: {super().__str__()}"


@dataclass(frozen=True, kw_only=True)
class _Position:
    account_number: str
    symbol: str
    quantity: Decimal
    #: The executors that traded the account, separated by commas; None if none is known.
    executors: str | None

    def __str__(self) -> str:
        account = self.executors or f"account {self.account_number}"
        return f"{account}: position {self.quantity.normalize():f} {self.symbol}"


def unwatched(record: Record) -> list[str]:
    """Return each order that may be open, and each position that the record knows, in a few words.

    Raises:
        RecordUnavailable: PostgreSQL is away, or the database has no schema.
    """
    orders = record.all(_OrderOfExecutor, sql("unwatched", "orders"), {})
    positions = record.all(_Position, sql("unwatched", "positions"), {})
    return [*map(str, orders), *map(str, positions)]
