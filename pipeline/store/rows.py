"""The rows of the record as values: real enums, exact decimals, times with their zone."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

from pipeline.model.reasons import sentence
from pipeline.model.signals import Action, Intent
from pipeline.model.states import State


class Mode(StrEnum):
    """Where an executor's orders are sent."""

    #: The paper exchange that ships with tradewire.
    EXCHANGE = "exchange"
    #: The broker's paper account.
    PAPER = "paper"
    #: Real money.
    LIVE = "live"


class Role(StrEnum):
    """Whether an order opens or closes."""

    ENTRY = "entry"
    EXIT = "exit"
    #: A stop order that protects a position. An exit cancels it before it is sent itself.
    PROTECTION = "protection"


@dataclass(frozen=True, kw_only=True)
class SignalRow:
    """A recorded signal."""

    signal_id: UUID
    source: str
    source_id: str | None
    content_hash: str
    symbol: str
    asset_class: str
    action: Action
    intent: Intent
    confidence: Decimal | None
    entry_price: Decimal | None
    target_price: Decimal | None
    stop_price: Decimal | None
    quantity: Decimal | None
    strategy: str | None
    volatility_percent: Decimal | None
    regime: str | None
    executors: list[str] | None
    generated_at: datetime | None
    expires_at: datetime | None
    recorded_at: datetime
    #: Sizes in the account's currency, in percent of the equity, and in percent of the position. A signal has one size
    #: at most.
    notional: Decimal | None = None
    equity_percent: Decimal | None = None
    close_percent: Decimal | None = None
    #: `market` for an entry at the price that the worker reads.
    price: str | None = None
    #: True if a person sent the signal, judged by its route.
    by_person: bool = False


@dataclass(frozen=True, kw_only=True)
class ClaimedExecution:
    """An execution whose lease this worker holds.

    *now* is the database's clock at the claim; ages are computed from it.
    """

    execution_id: UUID
    seq: int
    signal_id: UUID
    executor_id: str
    symbol: str
    action: Action
    fence: int
    generation: int
    attempts: int
    accept_age: bool
    from_state: State
    #: When it was first recorded.
    created_at: datetime
    lease_until: datetime
    now: datetime


@dataclass(frozen=True, kw_only=True)
class OrderRow:
    """An intent, and the broker's report of its order."""

    execution_id: UUID
    generation: int
    executor_id: str
    account_number: str
    client_order_id: str
    role: Role
    symbol: str
    side: str
    quantity: Decimal
    limit_price: Decimal | None
    reference_price: Decimal
    request: dict[str, Any]
    intended_at: datetime
    may_exist: bool
    first_sent_at: datetime | None
    last_sent_at: datetime | None
    order_id: str | None
    order_status: str | None
    filled_quantity: Decimal
    filled_average_price: Decimal | None
    accepted_at: datetime | None
    ended_at: datetime | None
    strategy: str
    stop_price: Decimal | None
    #: The loss if its stop is hit, in the account's currency.
    risk: Decimal
    filled_at: datetime | None
    #: The quantity of the newest order that replaced it at the broker, earlier fills included; None if none is known.
    replacement_quantity: Decimal | None = None
    #: The quantity that an exit left out, since the broker takes no order of so little.
    dust: Decimal = Decimal(0)
    #: The quantity that is left for a further exit.
    rest: Decimal = Decimal(0)


@dataclass(frozen=True, kw_only=True)
class OrderUnderWay(OrderRow):
    """An order that may still fill, for which an exit of its symbol has to wait."""

    #: Whether it is a person's limit close, which may rest for hours.
    is_limit_close: bool = False


@dataclass(frozen=True, kw_only=True)
class ExecutionRow:
    """One signal at one executor, with its newest order."""

    execution_id: UUID
    seq: int
    signal_id: UUID
    executor_id: str
    mode: Mode
    symbol: str
    action: Action
    confidence: Decimal | None
    state: State
    reason_code: str | None
    reason_facts: dict[str, Any]
    attempts: int
    created_at: datetime
    decided_at: datetime | None
    ended_at: datetime | None
    order_id: str | None
    client_order_id: str | None
    submitted_at: datetime | None
    filled_quantity: Decimal | None
    filled_average_price: Decimal | None

    @property
    def reason(self) -> str | None:
        """Return the reason as text for people; None if there is none."""
        return sentence(self.reason_code, self.reason_facts) if self.reason_code else None
