"""Read the latest price and quote from Alpaca's market data, a service with its own address and request limit."""

import re
from decimal import Decimal
from http import HTTPStatus
from typing import Any, Final, cast
from urllib.parse import quote

from config.schema.broker_hosts import is_alpacas
from pipeline.model.account import Quote
from pipeline.model.errors import BrokerOverRate, BrokerUnavailable, BrokerUnreadable, TradewireError
from workers.brokers.alpaca import outcomes
from workers.brokers.alpaca.fields import Fields, read_json
from workers.brokers.alpaca.session import HttpAnswer, PriceSession, Reply

#: The market data address for accounts at Alpaca's own hosts.
DATA_URL: Final = "https://data.alpaca.markets"
_CRYPTO_VERSION: Final = "v1beta3"

_NO_TRADE: Final = re.compile(
    r"no (latest )?(trade|quote)s?\b|(invalid|unknown) symbol|symbol not found|asset not found", re.IGNORECASE
)
_STATUSES_OF_NO_TRADE: Final = frozenset(
    {HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY}
)


def data_address(base_url: str) -> str:
    """Return the market data address for an account at *base_url*.

    For a host that is not Alpaca's, it is *base_url* itself, so that the keys are sent to no second host.
    """
    return DATA_URL if is_alpacas(base_url) else base_url


class AlpacaPrices:
    """Reads the latest prices that the account may see."""

    def __init__(self, session: PriceSession) -> None:
        self._session = session

    def latest(self, symbol: str) -> Decimal | None:
        """Return the price of the latest trade in *symbol*; None if there is none, or if the symbol is not known.

        Raises:
            BrokerUnavailable: market data is away or slow, or refuses more requests.
            BrokerRefusesAccount: market data refuses the keys.
            BrokerUnreadable: the answer makes no sense, or the account may not see this price.
        """
        found = self._read("trade", symbol)
        if found is None:
            return None
        price = found.amount("p")
        if price <= 0:
            raise found.unreadable("p")
        return price

    def quote(self, symbol: str) -> Quote | None:
        """Return the latest bid and ask of *symbol*; None if either is missing, or if the symbol is not known.

        Raises:
            BrokerUnavailable, BrokerRefusesAccount, BrokerUnreadable: as `latest`.
        """
        found = self._read("quote", symbol)
        if found is None:
            return None
        bid, ask = found.amount("bp"), found.amount("ap")
        # If one side of the market has no order, its price is 0.
        return Quote(bid=bid, ask=ask, at=found.time("t")) if bid > 0 and ask > 0 else None

    def close(self) -> None:
        """Release the connections."""
        self._session.close()

    def _read(self, what: str, symbol: str) -> Fields | None:
        if "/" in symbol:
            found = self._session.get(f"/crypto/us/latest/{what}s", {"symbols": symbol}, api_version=_CRYPTO_VERSION)
        else:
            found = self._session.get(f"/stocks/{quote(symbol, safe='')}/{what}s/latest")
        reply = cast("Reply", found)
        if outcomes.is_good(reply):
            return _latest_of(read_json(reply.text), what, symbol)
        if _reports_no_trade(reply):
            return None
        raise _fault_of(reply)


def _latest_of(raw: Any, what: str, symbol: str) -> Fields | None:
    kind = f"latest {what}"
    answer = Fields.of(kind, raw)
    if "/" in symbol:
        latest = Fields.of(kind, answer.raw.get(f"{what}s")).raw.get(symbol)
    else:
        if answer.raw.get("symbol") != symbol:
            raise answer.unreadable("symbol")
        latest = answer.raw.get(what)
    return None if latest is None else Fields.of(kind, latest)


def _reports_no_trade(reply: Reply) -> bool:
    if not isinstance(reply, HttpAnswer) or reply.status not in _STATUSES_OF_NO_TRADE:
        return False
    complaint = outcomes.complaint_of(reply)
    return complaint is not None and bool(_NO_TRADE.search(complaint.message))


def _fault_of(reply: Reply) -> TradewireError:
    """Return the error of a failed read.

    A 429 or 403 of market data becomes an error that does not stop the account's orders.
    """
    fault = outcomes.fault_of(reply)
    if isinstance(fault, BrokerOverRate):
        return BrokerUnavailable(str(fault))
    if isinstance(reply, HttpAnswer) and reply.status == HTTPStatus.FORBIDDEN:
        # "subscription does not permit …": this concerns the data plan, not the right to trade.
        return BrokerUnreadable(str(fault))
    return fault
