"""The JSON shapes of a broker account: its money, positions, limits and switches."""

from datetime import date
from typing import Annotated, Any, Self

from pydantic import Field

from pipeline.accounts.account_key import provisional_key
from pipeline.accounts.losses import LimitStep
from pipeline.accounts.switches import SwitchStatus
from pipeline.model.json_model import JsonModel, Number, Time
from pipeline.model.switches import Switch, SwitchKind, reason_of
from pipeline.store.rows import Mode


class PositionView(JsonModel):
    """The position in a symbol; a quantity below zero is short."""

    symbol: str
    quantity: Number
    average_entry_price: Number | None
    current_price: Number | None
    unrealised: Number | None


class AccountView(JsonModel):
    """An account as last read. Its figures are null before the first reading."""

    executor_id: str
    mode: Mode
    account_number: str | None
    currency: str | None
    equity: Number | None
    last_equity: Number | None
    cash: Number | None
    buying_power: Number | None
    blocked: bool | None
    refused: Annotated[str | None, Field(description="The broker's message while it refuses the account.")]
    positions_count: int | None
    positions: list[PositionView] | None
    timestamp: Annotated[Time | None, Field(description="When the account was read.")]


class HeadroomView(JsonModel):
    """How much of a limit is used and left; money in the account's currency, or a count."""

    executor_id: str
    account: str
    limit: Annotated[str, Field(examples=["gross_exposure_percent"])]
    used: Number
    allowed: Number
    left: Number
    percent: Number
    rung: Annotated[LimitStep, Field(description="The step that a loss limit has reached; none for other limits.")]
    read_at: Time
    day: date | None


class AccountState(AccountView):
    """An account, and the used part of its limits."""

    limits: list[HeadroomView]


class SwitchView(JsonModel):
    """One reason for which an account is stopped."""

    kind: SwitchKind
    cause: Annotated[str, Field(examples=["person"])]
    reason_code: str
    reason: str
    facts: dict[str, Any]
    flatten: Annotated[bool, Field(description="Every position is being closed.")]
    set_by: str
    why: str | None
    set_at: Time

    @classmethod
    def of(cls, switch: Switch) -> Self:
        """Return *switch* with its reason."""
        reason = reason_of(switch)
        return cls.model_validate(vars(switch) | {"reason_code": reason.code.value, "reason": str(reason)})


class SwitchStatusView(JsonModel):
    """The switches of an executor's account after a command."""

    executor_id: str
    account: Annotated[str | None, Field(description="Its number; null before the account was read.")]
    switches: list[SwitchView]
    lifted: Annotated[list[SwitchView], Field(description="The switches that the command has lifted.")]

    @classmethod
    def of(cls, status: SwitchStatus) -> Self:
        """Return the view of *status*. `account` is None, not the provisional key, before the account was read."""
        read = status.account_key != provisional_key(status.executor_id)
        return cls(
            executor_id=status.executor_id,
            account=status.account_key if read else None,
            switches=[SwitchView.of(switch) for switch in status.switches],
            lifted=[SwitchView.of(switch) for switch in status.lifted],
        )
