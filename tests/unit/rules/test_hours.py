"""Market hours, the treatment of orders while the market is closed, and their age in open-market time."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from config.schema.executor import ExecutorSettings
from pipeline.model.account import Clock, ClockReading, MarketSession
from pipeline.store.rows import OrderRow, Role
from tests.rule_cases import NOW, case, codes, earlier, executor, go, signal
from workers.exchange.trading_days import trading_day
from workers.rules.case import Hold, Skip
from workers.rules.closed_market import OPENING_GRACE
from workers.rules.decide import decide, still_go
from workers.rules.freshness import freshness
from workers.rules.market_hours import Market, by_calendar, by_clock, open_age

READ_AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def sessions(first: str, days: int = 21) -> tuple[MarketSession, ...]:
    """Return the sessions of New York's calendar."""
    begin = date.fromisoformat(first)
    found = (trading_day(begin + timedelta(days=number)) for number in range(days))
    return tuple(
        MarketSession(date=day.date, opens=day.opens.astimezone(UTC), closes=day.closes.astimezone(UTC))
        for day in found
        if day is not None
    )


def market(at: str, **changes: Any) -> Market:
    """Return the clock and the calendar at *at*, a time in UTC."""
    now = utc(at)
    found = by_calendar(None, now, sessions((now - timedelta(days=7)).date().isoformat()))
    assert found is not None
    return Market(**{name: getattr(found, name) for name in Market.__dataclass_fields__} | changes)


def reading(at: str, *, is_open: bool, next_open: str, next_close: str) -> ClockReading:
    clock = Clock(timestamp=utc(at), is_open=is_open, next_open=utc(next_open), next_close=utc(next_close))
    return ClockReading(clock=clock, read_at=READ_AT)


def settings(closed: str = "hold", **limits: Any) -> ExecutorSettings:
    """Return an executor whose entries live for 60 s of open market, and wait up to 18 hours for the market to open."""
    whole = executor(**limits)
    return whole.model_copy(update={"hours": whole.hours.model_copy(update={"closed": closed, "hold_s": 64_800.0})})


OPEN_AT_10 = {"at": "2026-01-06T15:00:00", "is_open": True}
BELLS = {"next_open": "2026-01-07T14:30:00", "next_close": "2026-01-06T21:00:00"}


# --- the clock between two readings ---


def test_a_clock_is_carried_forward_to_the_moment_of_the_decision() -> None:
    read = reading(**OPEN_AT_10, **BELLS)

    later = by_clock(read, READ_AT + timedelta(seconds=5), ())

    assert later is not None
    assert (later.is_open, later.now) == (True, utc("2026-01-06T15:00:05"))


@pytest.mark.parametrize(("after_s", "is_open"), [(21_598, True), (21_599, False), (21_601, False), (80_000, False)])
def test_past_the_close_that_it_told_of_a_market_counts_as_closed(after_s: int, is_open: bool) -> None:  # noqa: FBT001
    read = reading(**OPEN_AT_10, **BELLS)

    later = by_clock(read, READ_AT + timedelta(seconds=after_s), ())

    assert later is not None
    assert later.is_open is is_open


def test_a_reading_does_not_hold_past_the_open_that_it_named() -> None:
    read = reading(
        at="2026-01-06T14:29:59", is_open=False, next_open="2026-01-06T14:30:00", next_close="2026-01-06T21:00:00"
    )

    assert by_clock(read, READ_AT, ()) is not None
    assert by_clock(read, READ_AT + timedelta(seconds=1), ()) is None
    assert (read.holds(READ_AT), read.holds(READ_AT + timedelta(seconds=1))) == (True, False)


@pytest.mark.parametrize(
    ("at", "is_open", "next_open"),
    [
        ("2026-01-06T14:30:00", True, "2026-01-07T14:30:00"),
        ("2026-01-06T21:00:00", False, "2026-01-07T14:30:00"),
        ("2026-01-10T12:00:00", False, "2026-01-12T14:30:00"),
        # The day after Thanksgiving ends at 13:00.
        ("2025-11-28T17:59:00", True, "2025-12-01T14:30:00"),
        ("2025-11-28T18:00:00", False, "2025-12-01T14:30:00"),
        # Martin Luther King's day.
        ("2026-01-19T15:00:00", False, "2026-01-20T14:30:00"),
        # The nights in which New York's clocks are put forward and back.
        ("2026-03-06T21:01:00", False, "2026-03-09T13:30:00"),
        ("2026-10-30T20:01:00", False, "2026-11-02T14:30:00"),
    ],
)
def test_the_calendar_knows_nights_weekends_half_days_holidays_and_shifted_clocks(
    at: str,
    is_open: bool,  # noqa: FBT001
    next_open: str,
) -> None:
    found = market(at)

    assert (found.is_open, found.next_open, found.by_calendar) == (is_open, utc(next_open), True)


def test_a_calendar_that_the_clock_denies_tells_nothing() -> None:
    at_night = reading(at="2026-01-06T23:00:00", is_open=True, **BELLS)

    assert by_calendar(at_night, READ_AT, sessions("2026-01-01")) is None
    assert by_calendar(None, READ_AT, ()) is None


# --- ages ---


@pytest.mark.parametrize(
    ("now", "age", "opened"),
    [
        ("2026-01-06T15:00:00", timedelta(minutes=10), timedelta(minutes=10)),
        ("2026-01-06T14:31:00", timedelta(minutes=10), timedelta(minutes=1)),
        ("2026-01-06T22:00:00", timedelta(hours=2), timedelta(hours=1)),
        ("2026-01-12T14:30:10", timedelta(days=2), timedelta(seconds=10)),
        # From Friday 15:00 in New York, over the night of the change, to Monday 9:31.
        ("2026-03-09T13:31:00", timedelta(hours=65, minutes=31), timedelta(hours=1, minutes=1)),
        # An hour of the half day, from 12:00 to 13:00, and two minutes of Monday.
        ("2025-12-01T14:32:00", timedelta(hours=69, minutes=32), timedelta(hours=1, minutes=2)),
    ],
)
def test_only_time_of_an_open_market_makes_older(now: str, age: timedelta, opened: timedelta) -> None:
    assert open_age(NOW - age, NOW, market(now)) == opened


def test_all_time_counts_where_the_hours_are_not_known_or_mean_nothing() -> None:
    always_open = market("2026-01-10T12:00:00", is_open=True)

    for hours in (None, always_open, market("2026-01-10T12:00:00", sessions=())):
        assert open_age(NOW - timedelta(hours=1), NOW, hours) == timedelta(hours=1)


def test_what_is_older_than_the_calendar_counts_as_open_until_it_begins() -> None:
    held = market("2026-01-06T15:00:00", sessions=sessions("2026-01-06"))

    assert open_age(NOW - timedelta(days=1), NOW, held) == timedelta(hours=23, minutes=30) + timedelta(minutes=30)


@pytest.mark.parametrize(
    ("now", "age", "code"),
    [
        ("2026-01-06T14:30:59", timedelta(hours=17), None),
        ("2026-01-06T14:31:01", timedelta(hours=17), "too_old"),
        ("2026-01-12T14:30:10", timedelta(hours=60), "held_too_long"),
        ("2026-01-06T10:00:00", timedelta(hours=12), None),
        ("2026-01-10T16:01:00", timedelta(hours=18, minutes=1), "held_too_long"),
    ],
)
def test_an_entry_lives_for_the_night_and_then_its_age_of_open_market(
    now: str, age: timedelta, code: str | None
) -> None:
    sent = signal("BUY", generated_at=NOW - age)

    reason = freshness(case(sent, settings=settings(), market=market(now)))

    assert (reason.code if reason else None) == code


def test_crypto_and_orders_for_extended_hours_age_around_the_clock() -> None:
    night = market("2026-01-06T10:00:00")
    old = {"generated_at": NOW - timedelta(hours=12)}
    coin = signal("BUY", symbol="BTC/USD", asset_class="crypto", **old)

    for judged in (
        case(coin, settings=settings(), market=night),
        case(signal("BUY", **old), settings=settings("extended"), market=night),
    ):
        reason = freshness(judged)
        assert reason is not None
        assert reason.code == "too_old"


def test_an_entry_of_last_night_is_not_too_old_because_the_clock_is_away_at_the_open() -> None:
    sent = signal("BUY", recorded_at=NOW - timedelta(hours=12))

    verdict = decide(case(sent, settings=settings(), market=None, calendar=market("2026-01-06T14:30:05")))

    assert isinstance(verdict, Hold)
    assert verdict.reason.code == "clock_unreadable"


# --- orders that are sent, held or skipped ---


def closed(sent: Any, mode: str = "hold", *, at: str = "2026-01-06T21:01:00", **changes: Any) -> Any:
    return decide(case(sent, settings=settings(mode), market=market(at), **changes))


def test_a_closed_market_holds_entries_until_it_opens() -> None:
    verdict = closed(signal("BUY"))

    assert isinstance(verdict, Hold)
    assert verdict.reason.code == "market_closed"
    assert verdict.reason.facts == {"role": "entry", "opens": utc("2026-01-07T14:30:00")}
    assert verdict.wait == timedelta(hours=17, minutes=29) + OPENING_GRACE


def test_a_hold_is_no_longer_than_an_entry_lives() -> None:
    over_the_weekend = closed(signal("BUY"), at="2026-01-09T21:01:00")
    expiring = closed(signal("BUY", expires_at=NOW + timedelta(minutes=5)))

    assert timedelta(hours=18) <= over_the_weekend.wait < timedelta(hours=18, seconds=1)
    assert timedelta(minutes=5) <= expiring.wait < timedelta(minutes=5, seconds=1)


def test_an_exit_waits_for_the_open_over_any_weekend() -> None:
    verdict = closed(signal("SELL", recorded_at=NOW - timedelta(days=1)), "skip", at="2026-01-09T21:01:00", held=5)

    assert isinstance(verdict, Hold)
    assert verdict.reason.facts["role"] == "exit"
    assert verdict.wait == timedelta(hours=65, minutes=29) + OPENING_GRACE


def test_what_can_never_go_is_skipped_at_once_and_with_every_reason() -> None:
    unsure = signal("BUY", confidence=Decimal(50))

    assert codes(closed(unsure)) == ["confidence_below_minimum"]
    assert codes(closed(unsure, "skip")) == ["confidence_below_minimum", "market_closed"]
    assert codes(closed(signal("BUY"), "skip")) == ["market_closed"]


def test_crypto_knows_no_hours() -> None:
    coin = signal("BUY", symbol="BTC/USD", asset_class="crypto")

    for mode in ("hold", "skip", "extended"):
        assert go(closed(coin, mode)).extended_hours is False
    assert go(decide(case(coin, settings=settings(), market=None))).time_in_force == "gtc"


def test_extended_hours_take_limit_orders_only() -> None:
    whole = executor('type = "market"')
    hours = whole.hours.model_copy(update={"closed": "extended"})
    markets = whole.model_copy(update={"hours": hours})
    night = market("2026-01-06T21:01:00")

    entry = go(decide(case(signal("BUY"), settings=markets, market=night)))
    leaving = go(decide(case(signal("SELL"), settings=markets, market=night, held=5)))
    unpriced = decide(case(signal("SELL", entry_price=None), settings=markets, market=night, held=5))

    assert (entry.type, entry.limit_price, entry.extended_hours, entry.time_in_force) == (
        "limit", Decimal("100.5"), True, "day",
    )  # fmt: skip
    assert (leaving.type, leaving.extended_hours) == ("limit", True)
    assert isinstance(unpriced, Hold)
    assert go(decide(case(signal("BUY"), settings=markets))).type == "market"


def test_where_orders_go_out_of_hours_no_clock_stops_one() -> None:
    entry = go(decide(case(signal("BUY"), settings=settings("extended"), market=None)))
    leaving = go(decide(case(signal("SELL", entry_price=None), settings=settings("extended"), market=None, held=5)))

    # A limit order for extended hours is valid in any session, so it is sent while the session is not known.
    assert (entry.extended_hours, leaving.extended_hours, leaving.type) == (True, False, "market")


@pytest.mark.parametrize(("action", "held"), [("BUY", 0), ("SELL", 5)])
def test_a_clock_that_cannot_be_read_holds(action: str, held: int) -> None:
    verdict = decide(case(signal(action), settings=settings(), market=None, held=held))

    assert isinstance(verdict, Hold)
    assert verdict.reason.code == "clock_unreadable"
    assert timedelta(seconds=0.5) <= verdict.wait <= timedelta(seconds=5)


def test_a_price_that_was_asked_for_and_is_not_known_holds() -> None:
    verdict = decide(case(signal("BUY"), price_asked=True))

    assert isinstance(verdict, Hold)
    assert verdict.reason.code == "price_unknown"
    assert go(decide(case(signal("BUY"), price_asked=True, price=Decimal(100)))).quantity == 10


# --- sending the same order again ---


def again(intent: OrderRow, mode: str = "hold", **changes: Any) -> Skip | Hold | None:
    sent = signal("BUY" if intent.side == "buy" else "SELL")
    return still_go(case(sent, settings=settings(mode), **changes), intent)


def test_an_order_is_not_sent_again_into_a_closed_market() -> None:
    night = market("2026-01-06T21:01:00")
    entry, leaving = earlier(), earlier("sell", Role.EXIT)

    assert again(entry, market=market("2026-01-06T15:00:00")) is None
    held, skipped = again(entry, market=night), again(entry, "skip", market=night)
    assert isinstance(held, Hold)
    assert isinstance(skipped, Skip)
    assert isinstance(again(leaving, "skip", market=night, held=5), Hold)
    assert isinstance(again(entry, market=None), Hold)


def test_an_order_for_extended_hours_is_sent_again_at_any_hour() -> None:
    night = market("2026-01-06T21:01:00")

    assert again(earlier(request={"extended_hours": True}), "extended", market=night) is None
    assert again(earlier(), "extended", market=None) is None
    # This order was for regular hours, so the broker would keep it until the market opens.
    assert isinstance(again(earlier(), "extended", market=night), Hold)
