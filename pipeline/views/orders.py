"""The orders that are open by the record, and the outcome of a request to cancel one."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Self
from uuid import UUID

from pydantic import Field

from pipeline.model.json_model import EXAMPLE_ID, Id, JsonModel, Number, Time
from pipeline.model.orders import OrderSide
from pipeline.model.states import State
from pipeline.operations.cancel_order import NamedOrder
from pipeline.store.processes import living_processes
from pipeline.store.record import Record
from pipeline.store.rows import Role
from pipeline.store.statements import sql
from pipeline.views.book_numbers import known

_OrderId = Annotated[str | None, Field(description="The broker's id of the order.", examples=[EXAMPLE_ID])]
_OurId = Annotated[str, Field(description="Our id of the order.", examples=[f"tw-{EXAMPLE_ID}-1"])]


class OpenOrderView(JsonModel):
    """An order that is open by the record. Without an order id, it is not known whether the broker has the order."""

    order_id: _OrderId
    client_order_id: _OurId
    executor_id: Annotated[str, Field(examples=["argo"])]
    execution_id: Id
    role: Role
    symbol: Annotated[str, Field(examples=["AAPL"])]
    side: OrderSide
    type: Annotated[str | None, Field(examples=["limit"])]
    quantity: Number
    filled_quantity: Number
    limit_price: Number | None
    stop_price: Number | None
    order_status: Annotated[str | None, Field(description="The broker's word, as last read.", examples=["new"])]
    leg_of: Annotated[str | None, Field(description="The parent order of a bracket's leg. Always null today.")]
    created_at: Time


class CancelView(JsonModel):
    """An order whose cancel a person requested, as it is now."""

    order_id: _OrderId
    client_order_id: _OurId
    executor_id: str
    execution_id: Id
    role: Role
    symbol: str
    side: OrderSide
    quantity: Number
    filled_quantity: Number
    order_status: str | None
    status: Annotated[State, Field(validation_alias="state", description="The state of the execution.")]
    ended: Annotated[bool, Field(description="Whether the broker has reported the order's end.")]
    requested_at: Annotated[Time, Field(validation_alias="cancel_requested_at")]
    requested_by: Annotated[str, Field(validation_alias="cancel_requested_by", description="Who requested it first.")]
    why: Annotated[str | None, Field(validation_alias="cancel_requested_why")]
    missing: Annotated[list[str], Field(description="Processes that are needed and do not run.")]

    @classmethod
    def of(cls, order: NamedOrder, missing: Iterable[str]) -> Self:
        """Return the shape of *order*, whose cancel was requested."""
        return cls.model_validate(vars(order) | {"ended": order.ended_at is not None, "missing": list(missing)})


@dataclass(frozen=True, kw_only=True)
class _OpenOrder:
    order_id: str | None
    client_order_id: str
    executor_id: str
    execution_id: UUID
    role: Role
    symbol: str
    side: str
    type: str | None
    quantity: Decimal
    filled_quantity: Decimal
    limit_price: Decimal | None
    stop_price: Decimal | None
    order_status: str | None
    created_at: datetime


def open_orders(record: Record, *, executor_id: str | None = None) -> list[OpenOrderView]:
    """Return tradewire's open orders, oldest first. Orders that others placed are not in the record.

    Raises:
        RecordUnavailable: PostgreSQL is away.
    """
    rows = record.all(_OpenOrder, sql("orders_by_hand", "open"), {"executor_id": executor_id})
    return [OpenOrderView.model_validate(vars(row) | _numbers(row) | {"leg_of": None}) for row in rows]


def missing_processes(record: Record, needed: Iterable[tuple[str, str]]) -> list[str]:
    """Return the names of the *needed* processes that do not run; each is given by kind and name.

    Raises:
        RecordUnavailable: PostgreSQL is away.
    """
    present = {(process.kind, process.name) for process in record.run(living_processes)}
    return [kind if kind == name else f"{kind} of {name}" for kind, name in needed if (kind, name) not in present]


def _numbers(row: _OpenOrder) -> dict[str, Decimal | None]:
    names = ("quantity", "filled_quantity", "limit_price", "stop_price")
    return {name: known(getattr(row, name)) for name in names}
