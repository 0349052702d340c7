"""Answer the market data API's latest trades: `/v2/stocks` and `/v1beta3/crypto`."""

from typing import Any

from starlette.routing import Route

from workers.exchange.calls import Call, Reply
from workers.exchange.refusals import RequestRefused
from workers.exchange.wire import timestamp


def latest_of_share(call: Call) -> Reply:
    """`GET /v2/stocks/{symbol}/trades/latest`."""
    symbol = call.path["symbol"]
    asset = call.venue.assets.known(symbol)
    if asset is None or asset.is_crypto:
        raise RequestRefused(400, f"invalid symbol: {symbol}")
    trade = _trade(call, asset.symbol)
    if trade is None:
        raise RequestRefused(404, f"no trade found for {symbol}")
    return Reply(json={"symbol": asset.symbol, "trade": trade | {"x": "V", "c": ["@"], "z": "C"}})


def latest_of_shares(call: Call) -> Reply:
    """`GET /v2/stocks/trades/latest` for *symbols*."""
    return _latest(call, crypto=False)


def latest_of_coins(call: Call) -> Reply:
    """`GET /v1beta3/crypto/us/latest/trades` for *symbols*, pairs written with a slash."""
    return _latest(call, crypto=True)


def _latest(call: Call, *, crypto: bool) -> Reply:
    """Answer with the latest trades of *symbols*. A symbol without a price is left out."""
    wanted = call.query.get("symbols", "").split(",")
    trades = {}
    for symbol in wanted:
        asset = call.venue.assets.known(symbol)
        if asset is None or asset.is_crypto is not crypto or asset.symbol != symbol:
            raise RequestRefused(400, f"invalid symbol: {symbol}")
        trade = _trade(call, symbol)
        if trade is not None:
            trades[symbol] = trade
    return Reply(json={"trades": trades})


def _trade(call: Call, symbol: str) -> dict[str, Any] | None:
    """Return the latest trade. Market data has numbers where the trading API has strings."""
    price = call.venue.price(symbol)
    if price is None:
        return None
    return {"t": timestamp(call.now_ns), "p": float(price), "s": 100, "i": 1}


ROUTES = [
    Route("/v2/stocks/trades/latest", latest_of_shares, methods=["GET"]),
    Route("/v2/stocks/{symbol}/trades/latest", latest_of_share, methods=["GET"]),
    Route("/v1beta3/crypto/us/latest/trades", latest_of_coins, methods=["GET"]),
]
