"""Read the latest price from Alpaca's market data, another service with its own address and request limit."""

import re
from decimal import Decimal
from http import HTTPStatus
from typing import Any, Final, cast
from urllib.parse import quote

from config.schema.broker_hosts import is_alpacas
from pipeline.model.errors import BrokerOverRate, BrokerUnavailable, BrokerUnreadable, TradewireError
from workers.brokers.alpaca import outcomes
from workers.brokers.alpaca.fields import Fields, read_json
from workers.brokers.alpaca.session import HttpAnswer, PriceSession, Reply

#: The market data address for accounts at Alpaca's own hosts.
DATA_URL: Final = "https://data.alpaca.markets"
_CRYPTO_VERSION: Final = "v1beta3"

_NO_TRADE: Final = re.compile(
    r"no (latest )?trades?\b|(invalid|unknown) symbol|symbol not found|asset not found", re.IGNORECASE
)
_STATUSES_OF_NO_TRADE: Final = frozenset(
    {HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY}
)


def data_address(base_url: str) -> str:
    """Return the market data address for an account at *base_url*.

    For other hosts than Alpaca's it is *base_url* itself, so that the keys are sent to no other host.
    """
    return DATA_URL if is_alpacas(base_url) else base_url


class AlpacaPrices:
    """Reads the latest prices that the account may see."""

    def __init__(self, session: PriceSession) -> None:
        self._session = session

    def latest(self, symbol: str) -> Decimal | None:
        """Return the price of the latest trade in *symbol*; None when there is none.

        Raises:
            BrokerUnavailable: market data is away, slow, or over its request limit.
            BrokerRefusesAccount: it refuses the keys.
            BrokerUnreadable: its answer makes no sense, or the account may not see this price.
        """
        reply = self._ask(symbol)
        if outcomes.is_good(reply):
            return _price_of(read_json(reply.text), symbol)
        if _reports_no_trade(reply):
            return None
        raise _fault_of(reply)

    def close(self) -> None:
        """Release the connections."""
        self._session.close()

    def _ask(self, symbol: str) -> Reply:
        if "/" in symbol:
            found = self._session.get("/crypto/us/latest/trades", {"symbols": symbol}, api_version=_CRYPTO_VERSION)
        else:
            found = self._session.get(f"/stocks/{quote(symbol, safe='')}/trades/latest")
        return cast("Reply", found)


def _price_of(raw: Any, symbol: str) -> Decimal | None:
    answer = Fields.of("latest trade", raw)
    if "/" in symbol:
        trade = Fields.of("latest trade", answer.raw.get("trades")).raw.get(symbol)
    else:
        if answer.raw.get("symbol") != symbol:
            raise answer.unreadable("symbol")
        trade = answer.raw.get("trade")
    if trade is None:
        return None
    fields = Fields.of("latest trade", trade)
    price = fields.amount("p")
    if price <= 0:
        raise fields.unreadable("p")
    return price


def _reports_no_trade(reply: Reply) -> bool:
    if not isinstance(reply, HttpAnswer) or reply.status not in _STATUSES_OF_NO_TRADE:
        return False
    complaint = outcomes.complaint_of(reply)
    return complaint is not None and bool(_NO_TRADE.search(complaint.message))


def _fault_of(reply: Reply) -> TradewireError:
    """Return the error. Errors that only concern market data must not stop the account's orders."""
    fault = outcomes.fault_of(reply)
    if isinstance(fault, BrokerOverRate):
        return BrokerUnavailable(str(fault))
    if isinstance(reply, HttpAnswer) and reply.status == HTTPStatus.FORBIDDEN:
        # "subscription does not permit …": this concerns the data plan, not the right to trade.
        return BrokerUnreadable(str(fault))
    return fault
