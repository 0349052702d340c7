"""Answer `/v2/assets`, `/v2/clock` and `/v2/calendar`."""

from datetime import date, timedelta

from starlette.routing import Route

from workers.exchange.assets import asset_json
from workers.exchange.calls import Call, Reply
from workers.exchange.refusals import BAD_PARAMETER, RequestRefused, not_found
from workers.exchange.trading_days import FIRST_DAY, LAST_DAY, calendar_day, trading_day


def assets(call: Call) -> Reply:
    """`GET /v2/assets`."""
    query = call.query
    found = [asset_json(asset) for asset in call.venue.assets.listed()]
    wanted = {"status": query.get("status"), "class": query.get("asset_class") or "us_equity"}
    for name, value in (wanted | {"exchange": query.get("exchange")}).items():
        if value:
            found = [each for each in found if each[name] == value]
    attributes = set(filter(None, query.get("attributes", "").split(",")))
    if attributes:
        found = [each for each in found if attributes & set(each["attributes"])]
    return Reply(json=found)


def asset(call: Call) -> Reply:
    """`GET /v2/assets/{symbol_or_asset_id}`. The slash of a pair may be encoded or not."""
    wanted = call.path["symbol"]
    found = call.venue.assets.find(wanted)
    if found is None:
        raise not_found(f"asset not found for {wanted}")
    return Reply(json=asset_json(found))


def clock(call: Call) -> Reply:
    """`GET /v2/clock`."""
    return Reply(json=call.venue.clock.to_json(call.venue.moment(call.now_ns)))


def calendar(call: Call) -> Reply:
    """`GET /v2/calendar` from *start* to *end*."""
    first, last = day_of(call, "start", FIRST_DAY), day_of(call, "end", LAST_DAY)
    day, end = max(first, FIRST_DAY), min(last, LAST_DAY)
    found = []
    while day <= end:
        session = trading_day(day)
        if session is not None:
            found.append(calendar_day(session))
        day += timedelta(days=1)
    return Reply(json=found)


def day_of(call: Call, name: str, default: date) -> date:
    """Return the day that a query parameter names, or *default* when it is absent; refuse what is not a day."""
    text = call.query.get(name)
    try:
        return date.fromisoformat(text[:10]) if text else default
    except ValueError:
        raise RequestRefused(400, f"invalid {name}", BAD_PARAMETER) from None


ROUTES = [
    Route("/v2/clock", clock, methods=["GET"]),
    Route("/v2/calendar", calendar, methods=["GET"]),
    Route("/v2/assets", assets, methods=["GET"]),
    Route("/v2/assets/{symbol:path}", asset, methods=["GET"]),
]
