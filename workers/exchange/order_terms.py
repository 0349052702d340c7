"""Refuse order terms that the market of an asset does not support."""

from datetime import time
from decimal import Decimal

from workers.exchange.assets import ListedAsset
from workers.exchange.clock import ClockMode
from workers.exchange.orders import ExchangeSide, OrderClass, OrderType, TimeInForce
from workers.exchange.refusals import bad_parameter, forbidden, plain, rule
from workers.exchange.tickets import Ticket, check_increment, is_multiple
from workers.exchange.venue import Venue

_CRYPTO_TYPES = frozenset({OrderType.MARKET, OrderType.LIMIT, OrderType.STOP_LIMIT})
_CRYPTO_TIMES = frozenset({TimeInForce.GTC, TimeInForce.IOC})
_EXTENDED_TIMES = frozenset({TimeInForce.DAY, TimeInForce.GTC})
_AUCTION_OPENS = time(19)
_AUCTION_CLOSES = {TimeInForce.OPG: (time(9, 28), "9:28am"), TimeInForce.CLS: (time(15, 55), "3:55pm")}


def check_terms(venue: Venue, ticket: Ticket, asset: ListedAsset, now_ns: int) -> None:
    """Refuse terms that the market of this asset does not support."""
    for price, name in (
        (ticket.limit_price, "limit_price"),
        (ticket.stop_price, "stop_price"),
        (ticket.take_profit, "take_profit.limit_price"),
        (ticket.stop_loss, "stop_loss.stop_price"),
        (ticket.stop_loss_limit, "stop_loss.limit_price"),
    ):
        check_increment(price, name, step=asset.price_increment)
    _check_quantity(ticket, asset)
    _check_stop(ticket, venue.price(asset.symbol))
    if asset.is_crypto:
        _check_crypto(ticket)
        return
    if not asset.shortable and ticket.time_in_force is TimeInForce.GTC:
        raise rule(f"only day orders are allowed for hard-to-borrow asset {asset.symbol}")
    if ticket.extended_hours and (ticket.type is not OrderType.LIMIT or ticket.time_in_force not in _EXTENDED_TIMES):
        raise rule("extended hours order must be DAY or GTC limit orders")
    if ticket.notional is not None or (ticket.qty is not None and ticket.qty % 1):
        _check_fractional(ticket, asset)
    if ticket.time_in_force in _AUCTION_CLOSES:
        _check_auction(venue, ticket, now_ns)


def _check_quantity(ticket: Ticket, asset: ListedAsset) -> None:
    """Refuse a quantity below the asset's smallest order, or one that is not a multiple of its increment."""
    qty, least, step = ticket.qty, asset.min_order_size, asset.min_trade_increment
    if qty is None:
        return
    if least is not None and qty < least:
        raise forbidden(f"minimal qty of order {plain(least)}")
    if step is not None and not is_multiple(qty, step):
        raise bad_parameter(f"invalid qty {plain(qty)}. qty increment is {plain(step)}")


def _check_stop(ticket: Ticket, market: Decimal | None) -> None:
    """Refuse a stop order whose stop price the market has passed already: it would be a market order."""
    stop = ticket.stop_price
    if ticket.type is not OrderType.STOP or stop is None or market is None:
        return
    sells = ticket.side is ExchangeSide.SELL
    if stop >= market if sells else stop <= market:
        side = "less" if sells else "greater"
        raise rule(f"stop price must be {side} than current price", market_price=plain(market), stop_price=plain(stop))


def _check_crypto(ticket: Ticket) -> None:
    if ticket.type not in _CRYPTO_TYPES:
        raise rule("invalid order type for crypto order")
    if ticket.time_in_force not in _CRYPTO_TIMES:
        raise rule("invalid crypto time_in_force")
    if ticket.order_class is not OrderClass.SIMPLE:
        raise rule("crypto orders must be simple orders")
    if ticket.extended_hours:
        raise rule("extended hours order must be DAY or GTC limit orders")


def _check_fractional(ticket: Ticket, asset: ListedAsset) -> None:
    if not asset.fractionable:
        raise forbidden(f'asset "{asset.symbol}" is not fractionable')
    if ticket.time_in_force is not TimeInForce.DAY:
        raise rule("fractional orders must be DAY orders")
    if ticket.extended_hours and not asset.fractional_eh:
        raise rule("fractional orders are not eligible for extended hours trading")
    if ticket.order_class is not OrderClass.SIMPLE:
        raise rule("fractional orders must be simple orders")


def _check_auction(venue: Venue, ticket: Ticket, now_ns: int) -> None:
    """Refuse an order outside the hours for orders of its auction. An exchange that is always open has no auction."""
    ends, written = _AUCTION_CLOSES[ticket.time_in_force]
    shown = venue.clock.shown(venue.moment(now_ns)).time()
    if venue.clock.mode is ClockMode.ALWAYS_OPEN or ends <= shown < _AUCTION_OPENS:
        raise forbidden(f"{ticket.time_in_force} orders must be submitted after 7:00pm and before {written}")
