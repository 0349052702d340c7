"""Read the latest minute bars from Alpaca's market data, and return the consensus on each symbol's newest bar."""

import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal, DecimalException
from typing import Any

import requests
from alpaca.common.exceptions import APIError
from alpaca.data.enums import Adjustment, DataFeed
from alpaca.data.historical.stock import StockHistoricalDataClient
from alpaca.data.requests import StockBarsRequest
from alpaca.data.timeframe import TimeFrame
from requests.adapters import HTTPAdapter

from pipeline.intake.sources.bars import Bar
from pipeline.intake.sources.consensus import ACTIONS, STRATEGY, WINDOW, as_signal, consensus
from pipeline.intake.sources.protocol import AlpacaKeys, Item, Produces, SourceContext
from pipeline.model.errors import ConfigInvalid, Problem, SourceUnavailable

#: The symbols that are read.
SYMBOLS = ("AAPL", "IBM", "MSFT")

_BAR = timedelta(minutes=1)
#: An older bar gives no signal: the market is closed, or the symbol is not traded.
_LONGEST_AGE = 3 * _BAR
#: How far back to read: far enough to fill a window for a symbol that is not traded in every minute.
_LOOK_BACK = timedelta(hours=2)
#: Each poll is one request, so polls use at most 30 of the 200 requests a minute that Alpaca allows one account.
_SHORTEST_PAUSE_S = 2.0
#: The time limits for connecting, and for the wait between two parts of an answer.
_TIMEOUT_S = (3.0, 8.0)


# alpaca-py sets no time limit and would wait for ever.
class _TimedAdapter(HTTPAdapter):
    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        kwargs["timeout"] = _TIMEOUT_S
        return super().send(request, *args, **kwargs)


class AlpacaSource:
    """Signals on the minute bars of the free IEX feed. Stocks only."""

    name = "alpaca"
    cadence_s = _BAR.total_seconds()

    def __init__(self, *, keys: AlpacaKeys, pause_s: float) -> None:
        self.pause_s = max(_SHORTEST_PAUSE_S, pause_s)
        self._secrets = (keys.key, keys.secret.get_secret_value())
        self._client = _client(keys)
        self._given: dict[str, datetime] = {}

    @property
    def finished(self) -> bool:
        """Always False."""
        return False

    def poll(self, stop: threading.Event) -> Sequence[Item]:  # noqa: ARG002 - one request, with a time limit
        """Return the consensus on the newest bar of each symbol, if the bar is new since the last poll and not too old.

        Raises:
            SourceUnavailable: Alpaca is away, refuses the keys, or its answer cannot be read.
        """
        now = datetime.now(UTC)
        signals, given = [], {}
        for symbol, rows in sorted(self._latest(now).items()):
            window, begun_at = _read(symbol, rows)
            if begun_at is None or begun_at == self._given.get(symbol) or now - begun_at > _LONGEST_AGE:
                continue
            given[symbol] = begun_at
            opinion = consensus(window)
            if opinion is not None:
                source_id, ended_at = f"{symbol}-{begun_at.isoformat()}", begun_at + _BAR
                # The bar's end is a time of Alpaca's clock. If it is still to come by this machine's clock, the age of
                # the signal counts from its receipt.
                at = None if ended_at > now else ended_at
                signals.append(
                    as_signal(opinion, source=self.name, source_id=source_id, symbol=symbol, generated_at=at)
                )
        # Remembered only now: if one symbol raises, this poll returns no signal, and the next poll has to return all.
        self._given |= given
        return signals

    def close(self) -> None:
        """Close the connections to Alpaca."""
        self._client._session.close()  # noqa: SLF001 - alpaca-py has no method for it

    def _latest(self, now: datetime) -> Mapping[str, Sequence[Mapping[str, Any]]]:
        wanted = StockBarsRequest(
            symbol_or_symbols=list(SYMBOLS),
            timeframe=TimeFrame.Minute,
            start=now - _LOOK_BACK,
            adjustment=Adjustment.SPLIT,
            feed=DataFeed.IEX,
        )
        try:
            bars = self._client.get_stock_bars(wanted)
        except APIError as exc:
            raise SourceUnavailable(f"Alpaca answered {exc.status_code}: {self._masked(exc)}") from None
        except (requests.RequestException, ValueError, AttributeError, TypeError) as exc:
            # The cause is dropped: a request's exception contains its headers, and they contain the keys.
            raise SourceUnavailable(f"Alpaca's bars could not be read: {type(exc).__name__}.") from None
        return bars if isinstance(bars, dict) else {}

    def _masked(self, exc: APIError) -> str:
        text = " ".join(str(exc).split())[:200]
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text


def open_source(context: SourceContext) -> AlpacaSource:
    """Return the source for Alpaca's market data, with the keys of *context*. The first poll connects to Alpaca.

    Raises:
        ConfigInvalid: The keys are missing.
    """
    if context.alpaca is None:
        message = "the source alpaca needs it, and ALPACA_API_SECRET"
        raise ConfigInvalid([Problem(key="ALPACA_API_KEY", message=message)])
    return AlpacaSource(keys=context.alpaca, pause_s=context.cadence_s)


def produces(_: SourceContext) -> Produces:
    """Declare the signals: the symbols that are read, the strategy and the actions."""
    return Produces(symbols=SYMBOLS, strategies=(STRATEGY,), actions=ACTIONS)


def _client(keys: AlpacaKeys) -> StockHistoricalDataClient:
    client = StockHistoricalDataClient(
        keys.key, keys.secret.get_secret_value(), raw_data=True, url_override=keys.base_url
    )
    # No retries inside alpaca-py: they sleep for seconds and ignore a stop.
    client._retry = 0  # noqa: SLF001 - not an argument of the constructor
    # Neither netrc nor proxies from the environment: the keys must go to Alpaca only.
    client._session.trust_env = False  # noqa: SLF001 - the same
    client._session.mount("https://", _TimedAdapter())  # noqa: SLF001 - the same
    client._session.mount("http://", _TimedAdapter())  # noqa: SLF001 - the same
    return client


def _read(symbol: str, rows: Sequence[Mapping[str, Any]]) -> tuple[list[Bar], datetime | None]:
    """Return the last `WINDOW` bars of *rows*, and the start of the last one (None if there is no bar)."""
    try:
        window = [_bar(symbol, row) for row in rows[-WINDOW:]]
        begun_at = datetime.fromisoformat(rows[-1]["t"]).astimezone(UTC) if rows else None
    except (KeyError, TypeError, ValueError, DecimalException) as exc:
        raise SourceUnavailable(f"A bar of {symbol} cannot be read: {type(exc).__name__}.") from None
    return window, begun_at


def _bar(symbol: str, row: Mapping[str, Any]) -> Bar:
    """Read a row. Its numbers were decoded as floats; `str` gives back the digits that Alpaca sent."""
    opened, high, low, close = prices = [Decimal(str(row[key])) for key in ("o", "h", "l", "c")]
    if not all(price.is_finite() for price in prices):
        raise ValueError("not a price")
    return Bar(symbol=symbol, open=opened, high=high, low=low, close=close, volume=int(row["v"]))
