"""Trade at Alpaca, or at any server with the same trading API, through alpaca-py."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any, Final, NoReturn, TypeVar, cast
from urllib.parse import quote, urlsplit

from pydantic import SecretStr

from pipeline.model.account import Account, Asset, Clock, MarketSession, Position, Quote, Transfer
from pipeline.model.errors import BrokerUnreadable, ConfigInvalid, Problem, TradewireError
from pipeline.model.fills import FillReport
from pipeline.model.orders import BrokerOrder, OrderRequest
from workers.brokers.alpaca import activities, calendar, mapping, outcomes
from workers.brokers.alpaca.fields import read_json
from workers.brokers.alpaca.lists import RowReader, order_rows, to_the_end
from workers.brokers.alpaca.prices import AlpacaPrices, data_address
from workers.brokers.alpaca.session import AlpacaSession, PriceSession, Reply
from workers.brokers.protocol import Absent, Broker, CancelAnswer, Found, Lookup, More, NoAnswer, OnUnreadable, Outcome

#: `find_in_list` reads from this much before the requested time, because the broker's clock may differ from ours.
_CLOCK_SLACK: Final = timedelta(seconds=1)

T = TypeVar("T")


def open_broker(*, api_key: str, api_secret: SecretStr, base_url: str, timeout_s: float) -> Broker:
    """Return one account at Alpaca. Nothing is sent yet.

    Args:
        api_key: the account's key id.
        api_secret: its secret. No result and no exception contains it.
        base_url: as in `https://paper-api.alpaca.markets`, with or without `/v2`.
        timeout_s: seconds that one request may take until its answer is complete. Only the name look-up
            of the operating system and a host with several addresses can take longer.

    Raises:
        ConfigInvalid: the keys cannot be sent, *base_url* is not an address, or *timeout_s* is not above 0.
    """
    secret = api_secret.get_secret_value()
    problems = [
        Problem(key=name, message="must be printable ASCII without spaces")
        for name, value in (("api_key", api_key), ("api_secret", secret))
        if not _fits_a_header(value)
    ]
    if not _is_address(base_url):
        problems.append(Problem(key="base_url", message="must be like https://paper-api.alpaca.markets"))
    if timeout_s <= 0:
        problems.append(Problem(key="timeout_s", message="must be greater than 0"))
    if problems:
        raise ConfigInvalid(problems)
    address = base_url.rstrip("/").removesuffix("/v2").rstrip("/")
    return AlpacaBroker(
        AlpacaSession(api_key=api_key, api_secret=secret, base_url=address, timeout_s=timeout_s),
        PriceSession(api_key=api_key, api_secret=secret, base_url=data_address(address), timeout_s=timeout_s),
    )


class AlpacaBroker:
    """One account at Alpaca. `Broker` documents each method."""

    def __init__(self, session: AlpacaSession, prices: PriceSession) -> None:
        self._session = session
        self._prices = AlpacaPrices(prices)
        self._rows = RowReader()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._session!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("A broker holds an account's keys and is not pickled.")

    def submit(self, request: OrderRequest) -> Outcome:
        """Send the order once. Never raises for errors of the broker or the network."""
        reply = cast("Reply", self._session.post("/orders", request.to_json()))
        return outcomes.outcome_of(reply, request)

    def find(self, client_order_id: str) -> Lookup:
        """Look an order up by our id."""
        reply = self._get("/orders:by_client_order_id", {"client_order_id": client_order_id})
        try:
            order = _one_of(reply, mapping.order_from_broker)
        except TradewireError as exc:
            lookup: Lookup = outcomes.no_answer(exc)
        else:
            lookup = Absent() if order is None else _found(order, client_order_id)
        return replace(lookup, request_id=outcomes.request_id_of(reply))

    def find_in_list(self, client_order_id: str, *, since: datetime, more: More | None = None) -> Lookup:
        """Look for our id in the list of the orders submitted after *since*, or up to a second before it."""
        pages: list[Reply] = []
        lookup: Lookup = Absent()
        try:
            for raw in self._list(status="all", since=since - _CLOCK_SLACK, more=to_the_end(more), replies=pages):
                if mapping.id_of(raw) is None:
                    # This row may be the order, so the list cannot show that the order is absent.
                    raise BrokerUnreadable("The broker's order list holds something that is not an order.")
                if raw.get("client_order_id") == client_order_id:
                    lookup = Found(order=mapping.order_from_broker(raw))
                    break
        except TradewireError as exc:
            lookup = outcomes.no_answer(exc)
        return replace(lookup, request_id=outcomes.request_id_of(pages[-1]) if pages else None)

    def order(self, order_id: str) -> BrokerOrder | None:
        """Read one order by Alpaca's id; None when Alpaca answers that it does not know the order.

        If Alpaca answers with 422, because the id is not valid, that is an error.
        """
        return self._read_one(f"/orders/{_in_path(order_id)}", mapping.order_asked_for)

    def orders(
        self,
        *,
        status: str,
        since: datetime | None = None,
        more: More | None = None,
        on_unreadable: OnUnreadable | None = None,
    ) -> Sequence[BrokerOrder]:
        """List orders of *status*, oldest first. An order of several legs counts as a row that cannot be read."""
        return self._rows.orders(self._list(status=status, since=since, more=more), on_unreadable)

    def cancel(self, order_id: str) -> CancelAnswer:
        """Ask for a cancel. A later read shows whether the cancel or a fill came first."""
        reply = cast("Reply", self._session.delete(f"/orders/{_in_path(order_id)}"))
        accepted = outcomes.is_good(reply)
        if not accepted and not outcomes.reports_absent(reply) and not outcomes.reports_not_possible(reply):
            raise outcomes.fault_of(reply)
        return CancelAnswer(accepted=accepted, request_id=outcomes.request_id_of(reply))

    def cancel_all(self) -> int:
        """Ask for a cancel of every open order. Alpaca reports for each order whether it accepted the request."""
        reply = cast("Reply", self._session.delete("/orders"))
        if not outcomes.is_good(reply):
            raise outcomes.fault_of(reply)
        return sum(mapping.each(mapping.cancel_was_taken)(read_json(reply.text)))

    def account(self) -> Account:
        """Read the account."""
        return self._read("/account", mapping.account_from_broker)

    def positions(self, *, on_unreadable: OnUnreadable | None = None) -> Sequence[Position]:
        """Read all open positions."""
        return self._rows.positions(self._read("/positions", mapping.each(lambda raw: raw)), on_unreadable)

    def position(self, symbol: str) -> Position | None:
        """Read one position; None when flat."""
        # Alpaca calls the position in BTC/USD `BTCUSD`.
        return self._read_one(f"/positions/{_in_path(symbol.replace('/', ''))}", mapping.position_from_broker)

    def asset(self, symbol: str) -> Asset | None:
        """Read Alpaca's data on *symbol*; None when it does not know the symbol."""
        return self._read_one(f"/assets/{_in_path(symbol)}", mapping.asset_from_broker)

    def clock(self) -> Clock:
        """Read the market clock."""
        return self._read("/clock", mapping.clock_from_broker)

    def calendar(self, first: date, last: date) -> Sequence[MarketSession]:
        """Read the regular sessions from *first* to *last*."""
        asked = {"start": first.isoformat(), "end": last.isoformat()}
        sessions = self._read("/calendar", mapping.each(calendar.session_from_broker), asked)
        return sorted((each for each in sessions if first <= each.date <= last), key=lambda each: each.opens)

    def transfers(self, since: datetime) -> Sequence[Transfer]:
        """Read the cash transfers since *since* of all kinds in `calendar.TRANSFERS`, all pages."""

        def page(query: dict[str, str]) -> list[dict[str, Any]]:
            return self._read("/account/activities", mapping.each(lambda one: one), query)

        return calendar.transfers(page, since)

    def fills(self, since: datetime, *, more: More | None = None) -> Sequence[FillReport]:
        """List the fills since *since*, oldest first, from Alpaca's list of account activities."""
        read_page = partial(self._read, "/account/activities/FILL", mapping.each(lambda one: one))
        return self._rows.fills(activities.fill_rows(read_page, since=since, more=more))

    def price(self, symbol: str) -> Decimal | None:
        """Read the price of the latest trade, from Alpaca's market data."""
        return self._prices.latest(symbol)

    def quote(self, symbol: str) -> Quote | None:
        """Read the latest bid and ask, from Alpaca's market data."""
        return self._prices.quote(symbol)

    def close(self) -> None:
        """Release the connections."""
        self._session.close()
        self._prices.close()

    def _get(self, path: str, query: dict[str, str] | None = None) -> Reply:
        return cast("Reply", self._session.get(path, query))

    def _read(self, path: str, translate: Callable[[Any], T], query: dict[str, str] | None = None) -> T:
        return _read(self._get(path, query), translate)

    def _read_one(self, path: str, translate: Callable[[Any], T]) -> T | None:
        return _one_of(self._get(path), translate)

    def _list(
        self, *, status: str, since: datetime | None, more: More | None, replies: list[Reply] | None = None
    ) -> Iterator[Any]:
        """Yield the raw orders; *replies* gets the reply of each page."""

        def page(query: dict[str, str]) -> list[Any]:
            reply = self._get("/orders", query)
            if replies is not None:
                replies.append(reply)
            return _read(reply, mapping.order_page)

        return order_rows(page, status=status, since=since, more=more)


def _read(reply: Reply, translate: Callable[[Any], T]) -> T:
    if not outcomes.is_good(reply):
        raise outcomes.fault_of(reply)
    return translate(read_json(reply.text))


def _one_of(reply: Reply, translate: Callable[[Any], T]) -> T | None:
    """Read one item; None when the broker does not have it."""
    return None if outcomes.reports_absent(reply) else _read(reply, translate)


def _found(order: BrokerOrder, client_order_id: str) -> Lookup:
    if order.client_order_id == client_order_id:
        return Found(order=order)
    return NoAnswer(message="The broker answered with an order of another client_order_id.")


def _in_path(word: str) -> str:
    """Return *word* as one segment of a path. alpaca-py would send the slash of `BTC/USD` unescaped."""
    return quote(word, safe="")


def _fits_a_header(value: str) -> bool:
    return bool(value) and value.isascii() and value.isprintable() and " " not in value


def _is_address(base_url: str) -> bool:
    try:
        parts = urlsplit(base_url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
