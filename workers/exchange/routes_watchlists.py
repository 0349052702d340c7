"""Answer `/v2/watchlists`, by id and by name."""

import uuid
from typing import Any

from starlette.routing import Route

from workers.exchange.account_records import Watchlist
from workers.exchange.assets import asset_json
from workers.exchange.calls import Call, Reply
from workers.exchange.refusals import bad_parameter, not_found
from workers.exchange.wire import timestamp

_LONGEST_NAME = 64
_BY_ID, _BY_NAME = "/v2/watchlists/{watchlist_id}", "/v2/watchlists:by_name"


def list_all(call: Call) -> Reply:
    """`GET /v2/watchlists`: all lists, without their assets."""
    return Reply(json=[_head(call, each) for each in call.account.watchlists])


def create(call: Call) -> Reply:
    """`POST /v2/watchlists`."""
    now = timestamp(call.now_ns)
    made = Watchlist(id=str(uuid.uuid4()), name=_name(call), created_at=now, updated_at=now, symbols=_symbols(call))
    call.account.watchlists.append(made)
    return _changed(call, made)


def read(call: Call) -> Reply:
    """`GET` one watchlist."""
    return Reply(json=_whole(call, _found(call)))


def update(call: Call) -> Reply:
    """`PUT` a new name, new symbols or both."""
    found = _found(call)
    if "name" not in call.json and "symbols" not in call.json:
        raise bad_parameter("name or symbols is required")
    name = _name(call, found) if "name" in call.json else found["name"]
    symbols = _symbols(call) if "symbols" in call.json else found["symbols"]
    found["name"], found["symbols"] = name, symbols
    return _changed(call, found)


def add(call: Call) -> Reply:
    """`POST` one symbol to a watchlist."""
    found = _found(call)
    symbol = _symbol(call, call.json.get("symbol"))
    if symbol not in found["symbols"]:
        found["symbols"].append(symbol)
    return _changed(call, found)


def delete(call: Call) -> Reply:
    """`DELETE` one watchlist."""
    call.account.watchlists.remove(_found(call))
    call.venue.changes.accounts[call.account.key] = call.account
    return Reply(status=204)


def take_out(call: Call) -> Reply:
    """`DELETE` one symbol from a watchlist."""
    found = _found(call)
    symbol = _symbol(call, call.path["symbol"])
    if symbol not in found["symbols"]:
        raise not_found(f"symbol not found: {call.path['symbol']}")
    found["symbols"].remove(symbol)
    return _changed(call, found)


def _found(call: Call) -> Watchlist:
    named, value = ("id", call.path["watchlist_id"]) if call.path else ("name", call.query.get("name"))
    for each in call.account.watchlists:
        if each[named] == value:  # type: ignore[literal-required]
            return each
    raise not_found("watchlist not found")


def _changed(call: Call, watchlist: Watchlist) -> Reply:
    watchlist["updated_at"] = timestamp(call.now_ns)
    call.venue.changes.accounts[call.account.key] = call.account
    return Reply(json=_whole(call, watchlist))


def _name(call: Call, own: Watchlist | None = None) -> str:
    name = call.json.get("name")
    if not isinstance(name, str) or not 0 < len(name) <= _LONGEST_NAME:
        raise bad_parameter(f"watchlist name must have 1 to {_LONGEST_NAME} characters")
    if any(each["name"] == name for each in call.account.watchlists if each is not own):
        raise bad_parameter("watchlist name must be unique")
    return name


def _symbols(call: Call) -> list[str]:
    given = call.json.get("symbols") or []
    if not isinstance(given, list):
        raise bad_parameter("invalid symbols")
    return list(dict.fromkeys(_symbol(call, each) for each in given if each is not None))


def _symbol(call: Call, given: object) -> str:
    found = call.venue.assets.find(given) if isinstance(given, str) else None
    if found is None:
        raise bad_parameter(f"asset not found for {given}")
    return found.symbol


def _head(call: Call, watchlist: Watchlist) -> dict[str, Any]:
    kept = {name: value for name, value in watchlist.items() if name != "symbols"}
    return kept | {"account_id": call.account.id}


def _whole(call: Call, watchlist: Watchlist) -> dict[str, Any]:
    assets = [call.venue.assets.known(symbol) for symbol in watchlist["symbols"]]
    return _head(call, watchlist) | {"assets": [asset_json(each) for each in assets if each is not None]}


ROUTES = [
    Route("/v2/watchlists", list_all, methods=["GET"]),
    Route("/v2/watchlists", create, methods=["POST"]),
    *(
        Route(path, handler, methods=[method])
        for path in (_BY_NAME, _BY_ID)
        for method, handler in (("GET", read), ("PUT", update), ("POST", add), ("DELETE", delete))
    ),
    Route(f"{_BY_ID}/{{symbol:path}}", take_out, methods=["DELETE"]),
]
