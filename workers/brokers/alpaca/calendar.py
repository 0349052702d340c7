"""Translate Alpaca's calendar and its list of cash transfers. The dates of both are dates in New York."""

from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

from pipeline.model.account import MarketSession, Transfer
from pipeline.model.errors import BrokerUnreadable
from workers.brokers.alpaca.fields import Fields

#: The time zone of Alpaca's dates and calendar hours, which do not name one.
NEW_YORK: Final = ZoneInfo("America/New_York")

#: Cash deposited, withdrawn, moved between accounts of one owner, and moved here from another broker.
TRANSFERS: Final = ("CSD", "CSW", "JNLC", "ACATC")
#: The largest page that Alpaca returns.
PAGE_SIZE: Final = 100
MOST_PAGES: Final = 40

#: The list is read from this much before the requested time: its `after` refers to the time at which an entry was made,
#: and that can be before the entry's date.
_SLACK: Final = timedelta(days=1)


def session_from_broker(raw: Any) -> MarketSession:
    """Read one day of the calendar."""
    fields = Fields.of("calendar day", raw)
    day = _day(fields, "date")
    session = MarketSession(date=day, opens=_hour(fields, "open", day), closes=_hour(fields, "close", day))
    if session.opens >= session.closes:
        raise fields.unreadable("close")
    return session


def transfers(read_page: Callable[[dict[str, str]], list[dict[str, Any]]], since: datetime) -> list[Transfer]:
    """Read all pages, and return the transfers since *since*. `Broker.transfers` documents which are included.

    Raises:
        BrokerUnreadable: an entry makes no sense, or the list has no end.
    """
    query = {
        "activity_types": ",".join(TRANSFERS),
        "after": (since.astimezone(UTC) - _SLACK).isoformat().replace("+00:00", "Z"),
        "direction": "asc",
        "page_size": str(PAGE_SIZE),
    }
    found: dict[str, Transfer] = {}
    unnamed: Counter[str] = Counter()
    for _ in range(MOST_PAGES):
        page = read_page(query)
        read = (_transfer(raw, since, unnamed) for raw in page)
        found |= {each.transfer_id: each for each in read if each is not None}
        if len(page) < PAGE_SIZE:
            return sorted(found.values(), key=lambda each: each.at)
        token = Fields.of("activity", page[-1]).word("id")
        if token == query.get("page_token"):
            raise BrokerUnreadable("The broker's list of transfers does not move on.")
        query = query | {"page_token": token}
    raise BrokerUnreadable(f"The broker lists more than {MOST_PAGES * PAGE_SIZE} transfers.")


def _transfer(raw: Any, since: datetime, unnamed: Counter[str]) -> Transfer | None:
    """Read one entry; None if it is of another type, moved no cash, was canceled, or is older than *since*."""
    fields = Fields.of("activity", raw)
    if raw.get("activity_type") not in TRANSFERS or raw.get("status") == "canceled":
        return None
    amount, booked = fields.amount_or_none("net_amount"), fields.time_or_none("created_at")
    at = booked
    if at is None:
        at = datetime.combine(_day(fields, "date"), time(), NEW_YORK).astimezone(UTC)
        since = datetime.combine(since.astimezone(NEW_YORK).date(), time(), NEW_YORK)
    if not amount or at < since:
        return None
    return Transfer(transfer_id=_id_of(fields, at, amount, unnamed), at=at, amount=amount)


def _id_of(fields: Fields, at: datetime, amount: Decimal, unnamed: Counter[str]) -> str:
    """Return the entry's id. An entry without one is named by its content, and equal ones are numbered in order."""
    if fields.raw.get("id"):
        return fields.word("id")
    name = f"{fields.word('activity_type')} {at.isoformat()} {amount:f}"
    unnamed[name] += 1
    return f"{name} {unnamed[name]}"


def _day(fields: Fields, key: str) -> date:
    try:
        # Some activities have a date and a time here.
        return date.fromisoformat(fields.word(key)[:10])
    except ValueError:
        raise fields.unreadable(key) from None


def _hour(fields: Fields, key: str, day: date) -> datetime:
    try:
        hour = time.fromisoformat(fields.word(key))
    except ValueError:
        raise fields.unreadable(key) from None
    if hour.tzinfo is not None:
        raise fields.unreadable(key)
    return datetime.combine(day, hour, NEW_YORK).astimezone(UTC)
