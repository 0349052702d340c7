"""The adapter reads Alpaca's accounts, activities, calendars and clocks as a person who knows its API does."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from pipeline.model.account import Transfer
from pipeline.model.errors import BrokerUnreadable
from tests.unit.brokers import payloads
from workers.brokers.alpaca import calendar, mapping

LONG_AGO = datetime(2019, 1, 1, tzinfo=UTC)


def transfers(name: str, since: datetime = LONG_AGO) -> list[Transfer]:
    """Return the transfers of a recorded page of activities."""
    raw: Any = payloads.recorded(name)
    return calendar.transfers(lambda _query: raw if isinstance(raw, list) else [raw], since)


@pytest.mark.parametrize(
    ("name", "number", "equity", "last", "cash", "power", "cash_power", "shorts"),
    [
        ("account-live-cash-2024", "359791037", "48.61", "48.8014266", "5.92", "5.92", "5.92", False),
        ("account-options-2026", "PA3878P4YEJM", "99728.08", "99839.08", "96886.08", "279544.32", "69886.08", True),
        ("masked-paper-account", "PA3K7Q2ZX9TB", "99999.63", "100000", "99694.41", "199694.04", "99847.02", True),
    ],
)
def test_an_account(
    name: str, number: str, equity: str, last: str, cash: str, power: str, cash_power: str, *, shorts: bool
) -> None:
    account = mapping.account_from_broker(payloads.recorded(name))

    assert (account.number, account.currency, account.blocked) == (number, "USD", False)
    assert (account.equity, account.last_equity, account.cash) == (Decimal(equity), Decimal(last), Decimal(cash))
    assert (account.buying_power, account.non_marginable_buying_power) == (Decimal(power), Decimal(cash_power))
    assert account.shorting_enabled is shorts


def test_an_account_of_2019_is_read_but_for_its_number_by_which_accounts_are_told_apart() -> None:
    raw = payloads.recorded("account-2019-no-crypto-fields")

    with pytest.raises(BrokerUnreadable, match="account_number"):
        mapping.account_from_broker(raw)
    account = mapping.account_from_broker(raw | {"account_number": "PA1"})
    assert (account.equity, account.buying_power, account.blocked) == (Decimal(103160), Decimal(412640), False)
    assert account.non_marginable_buying_power is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "activities-cash-mix-2026",
            [("2026-06-10T04:00", "-250.00"), ("2026-06-23T04:00", "9476.82"), ("2026-08-17T04:00", "0.06")],
        ),
        ("activities-non-trade-2026", [("2026-08-05T03:48:40.594917", "100000")]),
        ("activity-csd", [("2021-05-12T04:00", "1234")]),
        ("activities-div-2019", []),
        # The cash of an assigned option pays for shares, so it is no deposit.
        ("activities-option-assignment", []),
        ("activity-cfee-coin-fee", []),
        ("activity-fill-crypto-2022", []),
        ("activity-fill-fractional", []),
        ("activity-opasn-2026", []),
        ("activity-opexp-2025", []),
        ("events-split-forward", []),
        ("events-split-reverse-leaves-fraction", []),
        ("masked-paper-activities", []),
    ],
)
def test_only_cash_that_came_or_went_is_a_transfer(name: str, expected: list[tuple[str, str]]) -> None:
    found = transfers(name)

    assert [(each.at, each.amount) for each in found] == [
        (datetime.fromisoformat(at).replace(tzinfo=UTC), Decimal(amount)) for at, amount in expected
    ]
    assert len({each.transfer_id for each in found}) == len(expected)


def test_a_transfer_that_has_only_a_date_counts_from_that_day_on_in_new_york() -> None:
    assert transfers("activity-csd", datetime(2021, 5, 13, 3, 59, tzinfo=UTC))
    assert not transfers("activity-csd", datetime(2021, 5, 13, 4, 0, tzinfo=UTC))


def test_a_month_of_the_calendar() -> None:
    days = mapping.each(calendar.session_from_broker)(payloads.recorded("calendar-2019-june"))

    assert len(days) == 21
    assert (days[0].date, days[-1].date) == (date(2019, 6, 3), date(2019, 7, 1))
    assert {(day.opens.time().isoformat(), day.closes.time().isoformat()) for day in days} == {("13:30:00", "20:00:00")}


def test_a_day_of_the_calendar_with_seconds() -> None:
    day = calendar.session_from_broker(payloads.recorded("calendar-open-with-seconds"))

    assert day.opens == datetime(2020, 4, 9, 13, 30, tzinfo=UTC)
    assert day.closes == datetime(2020, 4, 9, 20, 0, tzinfo=UTC)


def test_a_half_day_closes_at_one_in_new_york_and_a_holiday_has_no_session() -> None:
    wednesday, friday = mapping.each(calendar.session_from_broker)(payloads.recorded("derived-calendar-half-day"))

    assert (wednesday.date, friday.date) == (date(2026, 11, 25), date(2026, 11, 27))
    assert wednesday.closes == datetime(2026, 11, 25, 21, 0, tzinfo=UTC)
    assert friday.closes == datetime(2026, 11, 27, 18, 0, tzinfo=UTC)


def test_a_clock_at_night() -> None:
    clock = mapping.clock_from_broker(payloads.recorded("clock-2024-night"))

    assert not clock.is_open
    assert clock.timestamp == datetime(2024, 7, 18, 8, 10, 33, 389152, tzinfo=UTC)
    assert clock.next_open == datetime(2024, 7, 18, 13, 30, tzinfo=UTC)
    assert clock.next_close == datetime(2024, 7, 18, 20, 0, tzinfo=UTC)
