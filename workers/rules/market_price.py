"""Price an entry that has no price of its own: at the ask for a BUY, at the bid for a SELL. Pure."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from pipeline.model.orders import OrderSide
from pipeline.model.reasons import Code, Reason
from pipeline.model.symbols import AssetClass
from pipeline.store.rows import SignalRow
from workers.rules.case import Case, Hold, Skip
from workers.rules.closed_market import closed_now
from workers.rules.market_hours import Market
from workers.rules.retry_policy import broker_hold

#: An older quote is not used as a price.
QUOTE_AGE = timedelta(seconds=5)


def is_at_market(signal: SignalRow) -> bool:
    """Return whether the signal has no price of its own, and asks for the market's."""
    return signal.price == "market" and signal.entry_price is None


def market_trades(signal: SignalRow, market: Market | None) -> bool:
    """Return whether the symbol trades in regular hours now."""
    return signal.asset_class == AssetClass.CRYPTO or (market is not None and market.is_open)


def with_price(case: Case, side: OrderSide) -> Case | Hold | Skip:
    """Return the case at the price of its quote; a hold if it has no fresh quote, or the market is closed.

    Return a skip if the spread is above the collar, or if the price has reached the signal's stop or target.
    """
    signal, quote = case.signal, case.quote
    if not market_trades(signal, case.market):
        return closed_now(case)
    if quote is None or case.now - quote.at > QUOTE_AGE:
        facts: dict[str, Any] = {"symbol": signal.symbol} | ({} if quote is None else {"quoted_at": quote.at})
        wait = broker_hold(age=case.now - signal.recorded_at)
        return Hold(reason=Reason(code=Code.PRICE_UNKNOWN, facts=facts), wait=wait)
    price = quote.ask if side is OrderSide.BUY else quote.bid
    spread, most = (quote.ask - quote.bid) * 100 / price, case.executor.order.collar_percent
    if spread > most:
        facts = {"spread_percent": round(spread, 2), "collar_percent": most, "bid": quote.bid, "ask": quote.ask}
        return Skip(reasons=(Reason(code=Code.SPREAD_TOO_WIDE, facts=facts),))
    up = side is OrderSide.BUY
    for name, level, above in (("target_price", signal.target_price, up), ("stop_price", signal.stop_price, not up)):
        if level is not None and (level == price or (level > price) != above):
            return Skip(reasons=(Reason(code=Code.LEVEL_REACHED, facts={name: level, "price": price}),))
    return replace(case, signal=replace(signal, entry_price=price))
