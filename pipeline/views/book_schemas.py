"""The JSON shapes of the books: positions, trades and profit."""

from typing import Annotated
from uuid import UUID

from pydantic import Field

from pipeline.model.json_model import Id, JsonModel, Number, Time
from pipeline.store.rows import Mode

Strategy = Annotated[str | None, Field(description="Null for signals without a strategy.")]


class StrategyPosition(JsonModel):
    """The holding of one strategy in a symbol, by its fills; a quantity below zero is short."""

    strategy: Strategy
    quantity: Number
    average_price: Annotated[Number | None, Field(description="Of the purchases that are still open.")]


class HeldPosition(JsonModel):
    """A position as the broker reported it, with the holdings of our strategies; a quantity below zero is short."""

    executor_id: Annotated[str, Field(examples=["argo"])]
    mode: Mode
    symbol: Annotated[str, Field(examples=["AAPL"])]
    quantity: Annotated[Number | None, Field(description="Null if it was opened after the account was read.")]
    average_price: Number | None
    market_price: Number | None
    market_value: Number | None
    unrealised: Annotated[Number | None, Field(description="The profit of closing at the market price.")]
    strategies: Annotated[list[StrategyPosition], Field(description="Empty if no signal of ours opened it.")]
    stop_price: Annotated[Number | None, Field(description="The nearest stop of the strategies' entries.")]
    target_price: Annotated[Number | None, Field(description="The nearest target of the strategies' entries.")]
    protected: Annotated[
        bool | None,
        Field(description="False: stop orders do not cover all holdings with a stop. Null: no stop was given."),
    ]
    read_at: Annotated[Time | None, Field(description="When the account was read; null before the first reading.")]


class TradeView(JsonModel):
    """The part of one entry that one exit closed; a quantity below zero was short."""

    trade_id: Id
    executor_id: Annotated[str, Field(examples=["argo"])]
    symbol: Annotated[str, Field(examples=["AAPL"])]
    strategy: Strategy
    signal_id: Annotated[UUID | None, Field(description="The entry's; null if no entry of ours is known.")]
    opened_at: Time | None
    closed_at: Time
    quantity: Number
    entry_price: Annotated[Number | None, Field(description="Null if it is not known.")]
    exit_price: Number | None
    fees: Annotated[Number, Field(description="The sum of the known fees.")]
    realised: Annotated[Number | None, Field(description="The profit before fees; null if a price is not known.")]
    exit_reason: Annotated[str, Field(examples=["signal"])]


class ProfitView(JsonModel):
    """The profit of an executor, or of one of its strategies, symbols or days."""

    key: Annotated[str | None, Field(description="The executor, strategy, symbol or day.", examples=["AAPL"])]
    executor_id: Annotated[str, Field(examples=["argo"])]
    realised: Annotated[Number | None, Field(description="Before fees, of the trades whose profit is known.")]
    unrealised: Annotated[Number | None, Field(description="Of what is open now; null for days and without a price.")]
    fees: Number
    trades: int
    wins: Annotated[int, Field(description="Trades with a profit before fees.")]
