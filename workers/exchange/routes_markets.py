"""Answer `/v3/clock` and `/v3/calendar`: the hours of the New York markets."""

from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.routing import Route

from workers.exchange.calls import Call, Reply
from workers.exchange.clock import ClockMode
from workers.exchange.refusals import BAD_PARAMETER, RequestRefused
from workers.exchange.routes_market import day_of
from workers.exchange.routes_orders import moment
from workers.exchange.trading_days import (
    FIRST_DAY,
    LAST_DAY,
    NEW_YORK,
    TradingDay,
    next_closing,
    next_opening,
    settlement_day,
    trading_day,
    trading_day_after,
)

_NYSE = {"acronym": "NYSE", "name": "New York Stock Exchange", "mic": "XNYS", "timezone": "America/New_York"}
_NASDAQ = {"acronym": "NASDAQ", "name": "NASDAQ Stock Market", "mic": "XNAS", "timezone": "America/New_York"}
#: The markets that this exchange knows, by acronym and by identifier code.
_MARKETS = {name: market for market in (_NYSE, _NASDAQ) for name in (market["acronym"], market["mic"])}
_WEEK = timedelta(days=7)


def clock(call: Call) -> Reply:
    """`GET /v3/clock` for *markets*, now or at *time*."""
    asked = call.query.get("markets")
    markets = [_market(name) for name in asked.split(",")] if asked else [_NYSE, _NASDAQ]
    at = moment(call, "time")
    now = call.venue.moment(call.now_ns)
    shown = call.venue.clock.shown(now) if at is None else call.venue.moment(at).astimezone(NEW_YORK)
    if not FIRST_DAY < shown.date() < LAST_DAY:
        raise _bad("invalid time")
    phase, until = _phase(call, shown)
    always = call.venue.clock.mode is ClockMode.ALWAYS_OPEN
    found = {
        "timestamp": shown.isoformat(),
        "is_market_day": always or trading_day(shown.date()) is not None,
        "next_market_open": next_opening(shown).isoformat(),
        "next_market_close": next_closing(shown).isoformat(),
        "phase": phase,
        "phase_until": until.isoformat(),
    }
    return Reply(json={"clocks": [{"market": market} | found for market in markets]})


def calendar(call: Call) -> Reply:
    """`GET /v3/calendar/{market}` from *start* (default: today) to *end* (default: a week later)."""
    market = _market(call.path["market"])
    zone = call.query.get("timezone")
    if zone not in (None, "", "UTC"):
        raise _bad("invalid timezone")
    today = call.venue.clock.shown(call.venue.moment(call.now_ns)).date()
    day = max(day_of(call, "start", today), FIRST_DAY)
    last = min(day_of(call, "end", min(day, LAST_DAY) + _WEEK), LAST_DAY)
    found = []
    while day <= last:
        session = trading_day(day)
        if session is not None:
            found.append(_day(session, in_utc=bool(zone)))
        day += timedelta(days=1)
    return Reply(json={"market": market, "calendar": found})


def _market(name: str) -> dict[str, str]:
    if name not in _MARKETS:
        raise _bad(f"invalid market: {name}")
    return _MARKETS[name]


def _phase(call: Call, shown: datetime) -> tuple[str, datetime]:
    """Return the phase of the market at *shown*, and when it ends."""
    if call.venue.clock.mode is ClockMode.ALWAYS_OPEN:
        return "core", next_closing(shown)
    today = trading_day(shown.date())
    if today is not None:
        begins, ends = today.extended
        for phase, until in (("closed", begins), ("pre", today.opens), ("core", today.closes), ("post", ends)):
            if shown < until:
                return phase, until
    return "closed", trading_day_after(shown.date()).extended[0]


def _day(session: TradingDay, *, in_utc: bool) -> dict[str, Any]:
    begins, ends = session.extended
    times = {
        "core_start": session.opens, "core_end": session.closes, "pre_start": begins, "pre_end": session.opens,
        "post_start": session.closes, "post_end": ends,
    }  # fmt: skip
    written = {name: (at.astimezone(UTC) if in_utc else at).isoformat() for name, at in times.items()}
    return {"date": session.date.isoformat(), "settlement_date": settlement_day(session).isoformat()} | written


def _bad(message: str) -> RequestRefused:
    return RequestRefused(400, message, BAD_PARAMETER)


ROUTES = [
    Route("/v3/clock", clock, methods=["GET"]),
    Route("/v3/calendar/{market}", calendar, methods=["GET"]),
]
