"""The three ledgers that a drill compares: the sent signals, the record, and what the exchange holds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from pipeline.model.states import State

#: The client ids of orders that the drill places by hand begin with this.
BY_HAND = "by-hand-"
#: The statuses of an order that cannot fill any more.
_ENDED = frozenset({"filled", "canceled", "expired", "rejected", "replaced"})


@dataclass(frozen=True, kw_only=True)
class AuditedSignal:
    """A recorded signal."""

    signal_id: UUID
    source: str
    source_id: str | None


@dataclass(frozen=True, kw_only=True)
class AuditedExecution:
    """A recorded execution."""

    execution_id: UUID
    seq: int
    signal_id: UUID
    executor_id: str
    symbol: str
    state: State
    reason_code: str | None
    decided_at: datetime | None
    #: Whether it can only close a position.
    closes: bool = False
    #: Whether it is a stop order, which may overtake an exit that is held.
    protects: bool = False

    @property
    def facts(self) -> dict[str, Any]:
        """Return the facts that a finding about it shows."""
        names = ("execution_id", "executor_id", "symbol", "state", "reason_code")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True, kw_only=True)
class AuditedIntent:
    """A recorded intent, with the order id once that is known."""

    execution_id: UUID
    executor_id: str
    client_order_id: str
    order_id: str | None
    symbol: str
    side: str
    filled_quantity: Decimal


class HeldOrder(BaseModel):
    """An order at the exchange. The fields that the audit does not compare are only written into the ledger's file."""

    model_config = ConfigDict(frozen=True, extra="allow")

    id: str
    client_order_id: str
    symbol: str
    side: str
    status: str
    filled_qty: Decimal
    qty: Decimal | None = None
    type: str = "limit"

    @property
    def is_open(self) -> bool:
        """Return whether it may still fill."""
        return self.status not in _ENDED

    @property
    def is_by_hand(self) -> bool:
        """Return whether the drill placed the order by hand, without tradewire."""
        return self.client_order_id.startswith(BY_HAND)

    @property
    def signed_fill(self) -> Decimal:
        """Return by how much the order has changed the position."""
        return self.filled_qty if self.side == "buy" else -self.filled_qty


@dataclass(frozen=True, kw_only=True)
class HistoryRow:
    """A recorded state change of an execution."""

    execution_id: UUID
    at: datetime
    to_state: State
    reason_code: str | None


@dataclass(frozen=True, kw_only=True)
class HeldQuantity:
    """The quantity of a symbol that an account holds by the record."""

    account_number: str
    symbol: str
    quantity: Decimal
    #: The part of it whose entries gave a stop.
    stopped: Decimal


@dataclass(frozen=True, kw_only=True)
class Ledgers:
    """The three ledgers that the audit compares: the signals sent, the record and the exchange."""

    #: The `source_id` of every signal that was due.
    sent: Sequence[str]
    #: The source of these signals. The record also has exits that tradewire added by itself.
    source: str
    #: Every configured executor's id, which is its key at the exchange too.
    executors: Sequence[str]
    signals: Sequence[AuditedSignal]
    #: In the order of `seq`.
    executions: Sequence[AuditedExecution]
    intents: Sequence[AuditedIntent]
    #: By executor, in the order of acceptance.
    held: Mapping[str, Sequence[HeldOrder]]
    #: By executor: how much the account holds of each symbol, *positions* by the exchange, *holdings* by the record.
    positions: Mapping[str, Mapping[str, Decimal]] = field(default_factory=dict)
    holdings: Mapping[str, Mapping[str, Decimal]] = field(default_factory=dict)
    #: The part of *holdings* whose entries gave a stop.
    stopped: Mapping[str, Mapping[str, Decimal]] = field(default_factory=dict)
    #: In the order of the changes. Only a drill with exits reads it.
    history: Sequence[HistoryRow] = ()

    @property
    def with_order(self) -> set[UUID]:
        """Return the executions that have an order whose id is recorded."""
        return {intent.execution_id for intent in self.intents if intent.order_id is not None}
