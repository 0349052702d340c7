"""The portfolio history of the paper exchange: equity, profit and cash flows at the times of each resolution."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from starlette.datastructures import QueryParams

from workers.exchange.account_records import EquityPoint
from workers.exchange.accounts import ExchangeAccount
from workers.exchange.calls import Call
from workers.exchange.clock import ClockMode, SessionClock
from workers.exchange.equity import record_equity
from workers.exchange.refusals import RequestRefused
from workers.exchange.routes_history import history
from workers.exchange.venue import Venue


def ns(text: str) -> int:
    """Return a time of November 2026 in New York, such as `23 10:00`, in nanoseconds."""
    return int(datetime.fromisoformat(f"2026-11-{text}:00-05:00").timestamp()) * 1_000_000_000


class Book:
    """An account that was opened on Monday, November 23."""

    def __init__(self, mode: ClockMode = ClockMode.REAL) -> None:
        self.venue = Venue(SessionClock(mode))
        self.account: ExchangeAccount = self.venue.open_account("key", ns("23 08:00"))

    def point(self, at: str, equity: str, contributed: str = "100000") -> None:
        self.account.points.append(
            EquityPoint(account="key", at_ns=ns(at), equity=Decimal(equity), contributed=Decimal(contributed))
        )

    def read(self, now: str, **query: str) -> dict[str, Any]:
        call = Call(venue=self.venue, account=self.account, now_ns=ns(now), body=b"", query=QueryParams(query))
        found: dict[str, Any] = history(call).json
        return found


def times(found: dict[str, Any]) -> list[str]:
    return [datetime.fromtimestamp(at, UTC).strftime("%d %H:%M") for at in found["timestamp"]]


def test_a_daily_history_has_a_point_at_the_end_of_each_trading_day() -> None:
    book = Book()
    book.point("23 15:00", "100500")
    book.point("25 11:00", "101000.126")

    found = book.read("27 12:00", period="1W", timeframe="1D")

    # Thursday the 26th is Thanksgiving. The present equity is the account's cash, because it has no positions.
    assert times(found) == ["24 01:00", "25 01:00", "26 01:00", "28 01:00"]
    assert found["equity"] == [100500.0, 100500.0, 101000.13, 100000.0]
    assert found["profit_loss"] == [500.0, 500.0, 1000.13, 0.0]
    assert found["profit_loss_pct"] == [0.005, 0.005, 0.01, 0.0]
    assert (found["base_value"], found["base_value_asof"], found["timeframe"]) == (100000.0, "2026-11-23", "1D")
    assert "cashflow" not in found


def test_what_is_paid_in_is_a_cash_flow_and_no_profit() -> None:
    book = Book()
    book.venue.move_cash(book.account, Decimal(700), ns("24 12:00"))
    book.point("24 12:01", "100800", contributed="100700")

    found = book.read("25 12:00", timeframe="1D", cashflow_types="ALL")

    assert found["cashflow"] == {"CSD": [0.0, 700.0, 0.0]}
    assert found["profit_loss"] == [0.0, 100.0, 0.0]
    assert book.read("25 23:00", timeframe="1D", cashflow_types="CSW")["cashflow"] == {}


def test_an_intraday_history_is_within_the_session_with_its_last_second() -> None:
    book = Book()
    hours = {"timeframe": "1H", "start": "2026-11-24T00:00:00-05:00", "end": "2026-11-24T23:00:00-05:00"}

    assert times(book.read("25 23:00", **hours)) == [f"24 {hour}:00" for hour in range(15, 22)]
    extended = times(book.read("25 23:00", **hours, intraday_reporting="extended_hours"))
    assert (extended[0], extended[-1]) == ("24 09:00", "25 01:00")
    assert len(times(book.read("25 23:00", **hours, intraday_reporting="continuous"))) == 24


def test_profit_within_days_begins_anew_each_day_unless_asked_otherwise() -> None:
    book = Book()
    book.point("23 15:00", "100500")
    book.point("24 15:00", "100300")
    hours = {"timeframe": "1H", "start": "2026-11-23T15:30:00-05:00", "end": "2026-11-24T16:00:00-05:00"}

    assert book.read("25 23:00", **hours)["profit_loss"][-1] == -200.0
    assert book.read("25 23:00", **hours, pnl_reset="no_reset")["profit_loss"][-1] == -200.0
    assert book.read("25 23:00", **hours | {"start": "2026-11-23T09:30:00-05:00"})["profit_loss"][-1] == -200.0
    whole = hours | {"start": "2026-11-23T09:30:00-05:00", "pnl_reset": "no_reset"}
    assert book.read("25 23:00", **whole)["profit_loss"][-1] == 300.0


def test_an_exchange_that_is_always_open_has_a_point_for_every_day() -> None:
    assert len(Book(ClockMode.ALWAYS_OPEN).read("30 12:00", timeframe="1D")["timestamp"]) == 8


@pytest.mark.parametrize(
    ("days", "frame"), [("1D", "1Min"), ("6D", "1Min"), ("1W", "15Min"), ("29D", "15Min"), ("1M", "1D"), ("1A", "1D")]
)
def test_the_resolution_depends_on_the_length_where_none_is_asked_for(days: str, frame: str) -> None:
    assert Book().read("23 12:00", period=days)["timeframe"] == frame


@pytest.mark.parametrize(
    "query",
    [
        {"period": "1X"},
        {"period": "0D"},
        {"period": "9999A"},
        {"timeframe": "2Min"},
        {"period": "2M", "timeframe": "1H"},
        {"intraday_reporting": "always"},
        {"start": "2026-11-23T00:00:00Z", "end": "2026-11-24T00:00:00Z", "period": "1D"},
        {"start": "2026-11-24T00:00:00Z", "end": "2026-11-23T00:00:00Z"},
    ],
)
def test_a_range_that_makes_no_sense_is_a_422(query: dict[str, str]) -> None:
    with pytest.raises(RequestRefused) as refused:
        Book().read("25 12:00", **query)

    assert refused.value.status == 422


def test_equity_is_recorded_where_it_has_changed() -> None:
    book = Book()
    record_equity(book.venue, ns("23 10:00"))
    book.venue.move_cash(book.account, Decimal(5), ns("23 10:01"))
    for at in ("23 10:01", "23 10:02", "23 10:03"):
        record_equity(book.venue, ns(at))

    assert [(each.equity, each.contributed) for each in book.account.points] == [(100005, 100005)]
    assert book.venue.changes.points == book.account.points
