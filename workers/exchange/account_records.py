"""The records of an account besides its orders: its equity over time and its watchlists."""

from dataclasses import dataclass
from decimal import Decimal
from typing import TypedDict


@dataclass(frozen=True, slots=True, kw_only=True)
class EquityPoint:
    """An account's equity at one time, and the cash paid in until then: opening cash and deposits less withdrawals."""

    account: str
    at_ns: int
    equity: Decimal
    contributed: Decimal


class Watchlist(TypedDict):
    """A named list of symbols of one account."""

    id: str
    name: str
    created_at: str
    updated_at: str
    symbols: list[str]
