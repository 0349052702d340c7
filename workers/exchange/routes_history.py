"""Answer `/v2/account/portfolio/history`: the account's equity, profit and cash flows over time."""

import re
from collections.abc import Iterator
from datetime import datetime, time, timedelta
from decimal import Decimal
from typing import Any, TypeVar

from starlette.routing import Route

from workers.exchange.account_records import EquityPoint
from workers.exchange.calls import Call, Reply
from workers.exchange.clock import ClockMode, TradingSession
from workers.exchange.equity import gain, point_at, present
from workers.exchange.refusals import bad_parameter
from workers.exchange.routes_orders import moment
from workers.exchange.trading_days import NEW_YORK, trading_day

_NANO = 1_000_000_000
_Value = TypeVar("_Value")
_DAY_S = 86_400
_PERIOD = re.compile(r"([1-9][0-9]{0,2})([DWMA])", re.ASCII)
_UNITS = {"D": 1, "W": 7, "M": 30, "A": 365}
#: Seconds of each resolution.
_FRAMES = {"1Min": 60, "5Min": 300, "15Min": 900, "1H": 3600, "1D": _DAY_S}
_MOST_INTRADAY_DAYS = 30
_SESSIONS = {
    "market_hours": {TradingSession.REGULAR},
    "extended_hours": {TradingSession.REGULAR, TradingSession.EXTENDED},
    "continuous": set(TradingSession),
}
#: The time of a day's point, as the broker writes it: the end of the extended session, except on half days.
_DAY_ENDS = time(20)
_CENT, _BASIS_POINT = Decimal("0.01"), Decimal("0.0001")


def history(call: Call) -> Reply:
    """`GET /v2/account/portfolio/history`."""
    start, end = _range(call)
    frame = _frame(call, (end - start) / _DAY_S)
    sessions = _word(call, "intraday_reporting", "market_hours", _SESSIONS)
    per_day = _word(call, "pnl_reset", "per_day", {"per_day": frame != "1D", "no_reset": False})
    start = max(start, call.account.created_ns // _NANO)
    times = list(_days(call, start, end) if frame == "1D" else _within(call, _FRAMES[frame], sessions, start, end))
    points = [*call.account.points, present(call.venue, call.account, call.now_ns)]
    base = point_at(call.account, start * _NANO, points)
    rows = []
    for at in times:
        point = point_at(call.account, at * _NANO, points)
        before = point_at(call.account, max(_midnight(at), start) * _NANO, points) if per_day else base
        rows.append((point, gain(point, before), before.equity))
    body = {
        "timestamp": times,
        "equity": [_number(point.equity, _CENT) for point, _, _ in rows],
        "profit_loss": [_number(profit, _CENT) for _, profit, _ in rows],
        "profit_loss_pct": [_number(profit / of, _BASIS_POINT) if of else None for _, profit, of in rows],
        "base_value": _number(base.equity, _CENT),
        "base_value_asof": _day(base),
        "timeframe": frame,
    }
    return Reply(json=body | _cashflow(call, times, start))


def _range(call: Call) -> tuple[int, int]:
    """Return the first and the last second of the requested period."""
    start, end, period = moment(call, "start"), moment(call, "end"), call.query.get("period")
    if start is not None and end is not None and period:
        raise bad_parameter("only two of start, end and period can be specified")
    length = _PERIOD.fullmatch(period or "1M")
    if length is None:
        raise bad_parameter("invalid period")
    seconds = int(length[1]) * _UNITS[length[2]] * _DAY_S
    now = call.now_ns // _NANO
    if start is not None and end is None and period:
        last = min(start // _NANO + seconds, now)
    else:
        last = now if end is None else min(end // _NANO, now)
    first = last - seconds if start is None else start // _NANO
    if first > last:
        raise bad_parameter("start must be before end")
    return first, last


def _frame(call: Call, days: float) -> str:
    """Return the requested resolution, or the broker's default for a period of *days*."""
    default = "1Min" if days < _UNITS["W"] else "15Min" if days < _UNITS["M"] else "1D"
    frame = call.query.get("timeframe") or default
    if frame not in _FRAMES:
        raise bad_parameter("invalid timeframe")
    if frame != "1D" and days > _MOST_INTRADAY_DAYS:
        raise bad_parameter("timeframe must be 1D for periods of more than 30 days")
    return frame


def _word(call: Call, name: str, default: str, known: dict[str, _Value]) -> _Value:
    word = call.query.get(name) or default
    if word not in known:
        raise bad_parameter(f"invalid {name}")
    return known[word]


def _within(call: Call, step: int, sessions: set[TradingSession], start: int, end: int) -> Iterator[int]:
    """Yield the times of an intraday history: every *step* seconds within the sessions, including their ends."""
    clock, venue = call.venue.clock, call.venue
    for at in range(-(-start // step) * step, end + 1, step):
        if {clock.session(venue.moment(at * _NANO)), clock.session(venue.moment((at - 1) * _NANO))} & sessions:
            yield at


def _days(call: Call, start: int, end: int) -> Iterator[int]:
    """Yield the end of each trading day. The last one may be later than *end*."""
    day, last = (datetime.fromtimestamp(at, NEW_YORK).date() for at in (start, end))
    while day <= last:
        if call.venue.clock.mode is ClockMode.ALWAYS_OPEN or trading_day(day) is not None:
            yield int(datetime.combine(day, _DAY_ENDS, NEW_YORK).timestamp())
        day += timedelta(days=1)


def _midnight(at: int) -> int:
    return int(datetime.combine(datetime.fromtimestamp(at, NEW_YORK).date(), time(), NEW_YORK).timestamp())


def _day(point: EquityPoint) -> str:
    return datetime.fromtimestamp(point.at_ns / _NANO, NEW_YORK).date().isoformat()


def _cashflow(call: Call, times: list[int], start: int) -> dict[str, Any]:
    """Return the sum of the transfers in each interval that ends at one of *times*, by type; empty unless requested."""
    asked = call.query.get("cashflow_types") or "NONE"
    if asked == "NONE":
        return {}
    kinds = {"CSD", "CSW"} if asked == "ALL" else set(asked.split(","))
    moved = [each for each in call.account.transfers if each.kind in kinds]
    flows = {}
    for kind in sorted({each.kind for each in moved}):
        amounts = [
            sum((each.amount for each in moved if each.kind == kind and after < each.at_ns // _NANO <= at), Decimal(0))
            for after, at in zip([start - 1, *times], times, strict=False)
        ]
        flows[kind] = [_number(amount, _CENT) for amount in amounts]
    return {"cashflow": flows}


def _number(value: Decimal, step: Decimal) -> float:
    """Write an amount as a JSON number, as the broker does here; in its other answers amounts are text."""
    return float(value.quantize(step))


ROUTES = [Route("/v2/account/portfolio/history", history, methods=["GET"])]
