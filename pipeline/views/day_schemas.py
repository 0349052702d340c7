"""The JSON shape of the books of a day."""

from datetime import date
from typing import Annotated

from pydantic import Field

from pipeline.model.json_model import JsonModel, Number, Time
from pipeline.store.rows import Mode


class DaySymbol(JsonModel):
    """The quantities of a symbol before and after a day, by the fills. A quantity below zero is a short position."""

    symbol: Annotated[str, Field(examples=["AAPL"])]
    before: Number
    bought: Number
    sold: Number
    after: Number
    broker: Annotated[
        Number | None,
        Field(description="The broker's position; null for a day that is over, and if the last fill is newer."),
    ]


class DaySwitch(JsonModel):
    """A switch that was turned on during the day."""

    at: Time
    kind: Annotated[str, Field(examples=["reducing"])]
    cause: Annotated[str, Field(examples=["daily_loss"])]


class DayView(JsonModel):
    """The books of one day at one account. Null: not known."""

    executor_id: Annotated[str, Field(examples=["argo"])]
    mode: Mode
    day: date
    started_at: Time
    ends_at: Time
    over: bool
    signals: Annotated[int, Field(description="Recorded during the day: the sum of `outcomes`, and `elsewhere`.")]
    elsewhere: Annotated[int, Field(description="Signals without an execution at this account.")]
    outcomes: Annotated[dict[str, int], Field(description="By state.")]
    reasons: Annotated[dict[str, int], Field(description="By reason code.")]
    decided: int
    orders: Annotated[int, Field(description="Orders that were sent.")]
    fills: int
    symbols: list[DaySymbol]
    trades: Annotated[int, Field(description="Closed during the day.")]
    wins: Annotated[int, Field(description="Trades with a profit before fees.")]
    unknown: Annotated[int, Field(description="Trades whose profit is not known.")]
    realised: Annotated[Number | None, Field(description="Before fees; null if the profit of a trade is not known.")]
    fees: Annotated[Number, Field(description="The sum of the known fees of the trades.")]
    unrealised_change: Number | None
    start_equity: Annotated[Number | None, Field(description="After deposits and withdrawals of the day.")]
    end_equity: Annotated[Number | None, Field(description="The last one that was read.")]
    equity_change: Annotated[Number | None, Field(description="end_equity - start_equity.")]
    unexplained: Annotated[
        Number | None,
        Field(description="equity_change - realised - unrealised_change + fees, with dividends and interest."),
    ]
    limits_warned: Annotated[list[str] | None, Field(description="Limits of which 70 % or more was used.")]
    switches: list[DaySwitch]
    findings: Annotated[int, Field(description="Differences from the broker that were first seen during the day.")]
    findings_open: Annotated[int, Field(description="Of these and earlier ones, those that are open now.")]
