"""Answer `/v2/account/activities`: fills, deposits and withdrawals."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from starlette.routing import Route

from workers.exchange.calls import Call, Reply
from workers.exchange.refusals import bad_parameter
from workers.exchange.routes_orders import integer, moment
from workers.exchange.wire import fill_json, transfer_json

_MOST = 100
_TRADES = frozenset({"FILL"})
_TRANSFERS = frozenset({"CSD", "CSW"})
#: All activity types of the broker. This exchange has activities of three of them.
_KNOWN = frozenset(
    {
        "FILL", "TRANS", "MISC", "ACATC", "ACATS", "CFEE", "CGD", "CSD", "CSW", "DIV", "DIVCGL", "DIVCGS",
        "DIVFEE", "DIVFT", "DIVNRA", "DIVROC", "DIVTW", "DIVTXEX", "FEE", "INT", "INTNRA", "INTTW", "JNL",
        "JNLC", "JNLS", "MA", "NC", "OPASN", "OPCA", "OPCSH", "OPEXC", "OPEXP", "OPTRD", "PTC", "PTR", "REO",
        "REORG", "SPIN", "SPLIT", "FOPT", "OCT",
    }
)  # fmt: skip
_CATEGORIES = {"trade_activity": _TRADES, "non_trade_activity": _TRANSFERS}


@dataclass(frozen=True, slots=True)
class _Activity:
    at_ns: int
    body: dict[str, Any]


def activities(call: Call) -> Reply:
    """`GET /v2/account/activities` and `/v2/account/activities/{activity_type}`."""
    size = integer(call, "page_size", _MOST, _MOST)
    return Reply(json=[activity.body for activity in islice(_asked(call), size)])


def _kinds(call: Call) -> frozenset[str]:
    """Return the requested activity types; `TRANS` means deposits and withdrawals."""
    named = call.path.get("activity_type") or call.query.get("activity_types")
    category = call.query.get("category")
    if named and category:
        raise bad_parameter("category cannot be used with activity_types")
    if category:
        if category not in _CATEGORIES:
            raise bad_parameter("invalid category")
        return _CATEGORIES[category]
    if not named:
        return _TRADES | _TRANSFERS
    kinds = frozenset(named.upper().split(","))
    unknown = sorted(kinds - _KNOWN)
    if unknown:
        raise bad_parameter(f"invalid activity type: {unknown[0]}")
    return kinds | _TRANSFERS if "TRANS" in kinds else kinds


def _asked(call: Call) -> Iterator[_Activity]:
    chosen = _all_of(call, _kinds(call))
    if call.query.get("direction", "desc") == "desc":
        chosen = chosen[::-1]
    token = call.query.get("page_token")
    if token:
        ids = [activity.body["id"] for activity in chosen]
        if token not in ids:
            raise bad_parameter("invalid page_token")
        chosen = chosen[ids.index(token) + 1 :]
    after, until, order_id = moment(call, "after"), moment(call, "until"), call.query.get("order_id")
    day = call.query.get("date")
    for activity in chosen:
        if (
            (after is None or activity.at_ns > after)
            and (until is None or activity.at_ns < until)
            and (not order_id or activity.body.get("order_id") == order_id)
            and (not day or activity.body["id"].startswith(day.replace("-", "")))
        ):
            yield activity


def _all_of(call: Call, kinds: frozenset[str]) -> list[_Activity]:
    """Return the account's activities of *kinds*, oldest first."""
    account = call.account
    found = [_Activity(fill.at_ns, fill_json(fill)) for fill in account.fills] if kinds & _TRADES else []
    moved = [_Activity(each.at_ns, transfer_json(each)) for each in account.transfers if each.kind in kinds]
    return sorted(found + moved, key=lambda activity: activity.at_ns) if moved else found


ROUTES = [
    Route("/v2/account/activities", activities, methods=["GET"]),
    Route("/v2/account/activities/{activity_type}", activities, methods=["GET"]),
]
