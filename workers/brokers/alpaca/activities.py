"""Read Alpaca's list of fills. Each row is one trade of an order."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from pipeline.model.errors import BrokerUnreadable
from pipeline.model.fills import FillReport
from pipeline.model.orders import OrderSide
from pipeline.model.symbols import of_broker
from workers.brokers.alpaca.fields import Fields
from workers.brokers.alpaca.mapping import id_of
from workers.brokers.protocol import More

#: The largest page that Alpaca returns.
PAGE_SIZE: Final = 100
#: 10 000 fills; each page counts against the account's 200 requests a minute.
MOST_PAGES: Final = 100
#: `after` excludes fills of exactly that time.
_TIE: Final = timedelta(microseconds=1)


def fill_from_broker(raw: Any) -> FillReport:
    """Read one fill.

    Its id is the part after `::`, which is its id in the stream of trade updates, too. The part before is a time in New
    York without its zone, and is not read.
    """
    fields = Fields.of("fill", raw)
    quantity, price = fields.amount("qty"), fields.amount("price")
    if quantity <= 0 or price <= 0:
        raise fields.unreadable("price" if quantity > 0 else "qty")
    if raw.get("activity_type") != "FILL":
        raise fields.unreadable("activity_type")
    # A sale that opens a short position in an option.
    side = OrderSide.SELL if raw.get("side") == "sell_short" else fields.side()
    return FillReport(
        fill_id=fields.word("id").rpartition("::")[2],
        order_id=fields.word("order_id"),
        symbol=of_broker(fields.word("symbol"), raw.get("asset_class")),
        side=side,
        quantity=quantity,
        price=price,
        filled_at=fields.time("transaction_time"),
        cumulative_quantity=fields.amount_or_none("cum_qty"),
    )


def fill_rows(read_page: Callable[[dict[str, str]], list[Any]], *, since: datetime, more: More | None) -> Iterator[Any]:
    """Yield the raw fills since *since*, oldest first, reading a page at a time."""
    query = {
        "after": (since.astimezone(UTC) - _TIE).isoformat().replace("+00:00", "Z"),
        "direction": "asc",
        "page_size": str(PAGE_SIZE),
    }
    for _ in range(MOST_PAGES):
        page = read_page(query)
        yield from page
        if len(page) < PAGE_SIZE:
            return
        token = next((id_of(raw) for raw in reversed(page) if id_of(raw) is not None), None)
        if token is None or token == query.get("page_token"):
            raise BrokerUnreadable("The broker's list of fills does not move on.")
        if more is not None and not more():
            return
        query["page_token"] = token
    raise BrokerUnreadable(f"The broker lists more than {MOST_PAGES * PAGE_SIZE} fills.")
