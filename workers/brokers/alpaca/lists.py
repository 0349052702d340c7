"""Read Alpaca's lists: orders page by page, and each row alone, so that an unreadable row hides no other row."""

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

import structlog

from pipeline.model.account import Position
from pipeline.model.errors import BrokerOverRate, BrokerUnreadable
from pipeline.model.fills import FillReport
from pipeline.model.orders import BrokerOrder
from workers.brokers.alpaca import activities, mapping
from workers.brokers.protocol import More, OnUnreadable, UnreadableRow

log = structlog.get_logger(__name__)

#: The largest page that Alpaca returns.
PAGE_SIZE: Final = 500
#: 20 000 orders; each page counts against the account's 200 requests a minute.
MOST_PAGES: Final = 40

#: `after` excludes orders of exactly that time, and a page may end between orders of the same time. So the next page
#: begins this much earlier.
_TIE: Final = timedelta(microseconds=1)
#: Alpaca's ids are shorter than this.
_LONGEST_ID: Final = 100

T = TypeVar("T")


class RowReader:
    """Reads the rows of one account's lists. A row that cannot be read is logged only the first time."""

    def __init__(self) -> None:
        self._logged: set[str] = set()

    def orders(self, rows: Iterable[Any], on_unreadable: OnUnreadable | None) -> list[BrokerOrder]:
        """Return the orders that can be read; *on_unreadable* gets the others, and orders of several legs."""
        report = on_unreadable or _ignore
        found: list[BrokerOrder] = []
        for raw in rows:
            order_id = mapping.id_of(raw)
            if order_id is not None and mapping.has_legs_only(raw):
                why = "It is an order of several legs."
                report(UnreadableRow(row_id=order_id, order_id=order_id, why=why, expected=True))
            else:
                row_id = order_id or _name(raw, "client_order_id", "symbol")
                found += self._read(raw, mapping.order_from_broker, report, row_id=row_id, order_id=order_id)
        return found

    def positions(self, rows: Iterable[Any], on_unreadable: OnUnreadable | None) -> list[Position]:
        """Return the positions that can be read; *on_unreadable* gets the others."""
        report = on_unreadable or _ignore
        return [
            position
            for raw in rows
            for position in self._read(
                raw, mapping.position_from_broker, report, row_id=_name(raw, "symbol", "asset_id")
            )
        ]

    def fills(self, rows: Iterable[Any]) -> list[FillReport]:
        """Return the fills that can be read."""
        return [
            fill
            for raw in rows
            for fill in self._read(raw, activities.fill_from_broker, _ignore, row_id=_name(raw, "id", "order_id"))
        ]

    def _read(
        self,
        raw: Any,
        translate: Callable[[Any], T],
        report: OnUnreadable,
        *,
        row_id: str,
        order_id: str | None = None,
    ) -> list[T]:
        try:
            return [translate(raw)]
        except BrokerUnreadable as error:
            row = UnreadableRow(row_id=row_id, order_id=order_id, symbol=mapping.symbol_of(raw), why=str(error))
        if row_id not in self._logged:
            self._logged.add(row_id)
            log.error("broker_row.unreadable", row=row.row_id, error=row.why)
        report(row)
        return []


def order_rows(
    read_page: Callable[[dict[str, str]], list[Any]], *, status: str, since: datetime | None, more: More | None
) -> Iterator[Any]:
    """Yield the raw orders, each once, reading a page at a time. Only a row without an id may come twice."""
    seen: set[str] = set()
    for _ in range(MOST_PAGES):
        page = read_page(_page_query(status, since))
        fresh = [raw for raw in page if mapping.id_of(raw) not in seen]
        named = [raw for raw in fresh if mapping.id_of(raw) is not None]
        seen.update(str(mapping.id_of(raw)) for raw in named)
        yield from fresh
        if len(page) < PAGE_SIZE:
            return
        if not named:
            raise BrokerUnreadable("The broker's order list does not move on.")
        if more is not None and not more():
            return
        since = mapping.listed_at(named[-1]) - _TIE
    raise BrokerUnreadable(f"The broker lists more than {MOST_PAGES * PAGE_SIZE} orders.")


def to_the_end(more: More | None) -> More:
    """Return a function that asks *more*, and raises `BrokerOverRate` instead of ending a list early.

    A search for an order must read the list to its end, because an unread page may hold the order.
    """

    def ask() -> bool:
        if more is not None and not more():
            raise BrokerOverRate("The list was not read to its end.")
        return True

    return ask


def _page_query(status: str, since: datetime | None) -> dict[str, str]:
    query = {"status": status, "limit": str(PAGE_SIZE), "direction": "asc", "nested": "false"}
    if since is not None:
        query["after"] = since.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return query


def _name(raw: Any, *keys: str) -> str:
    """Return the name of a row for people: the first of *keys* that it has."""
    values = [raw.get(key) for key in keys] if isinstance(raw, dict) else []
    # Characters outside ASCII cannot be stored or logged everywhere.
    return next((ascii(value)[1:-1][:_LONGEST_ID] for value in values if isinstance(value, str) and value), "unnamed")


def _ignore(_row: UnreadableRow) -> None:
    """Do nothing: the caller wants no report, and the row is in the log."""
