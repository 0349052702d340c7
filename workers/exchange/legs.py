"""Check and place the legs of bracket, OCO and OTO orders."""

import uuid
from dataclasses import replace
from decimal import Decimal

from workers.exchange.accounts import ExchangeAccount
from workers.exchange.orders import ExchangeOrder, ExchangeOrderStatus, ExchangeSide, OrderClass, OrderType, TimeInForce
from workers.exchange.refusals import plain, rule
from workers.exchange.tickets import CENT, Ticket
from workers.exchange.venue import Venue

_TIMES = frozenset({TimeInForce.DAY, TimeInForce.GTC})


def check_legs(ticket: Ticket) -> Ticket:
    """Return *ticket* with legs that fit its class, or refuse it. The limit price of an OCO is its take-profit."""
    if ticket.order_class is OrderClass.OCO:
        if ticket.type is not OrderType.LIMIT:
            raise rule("oco orders must be limit orders")
        profit = ticket.take_profit or ticket.limit_price
        ticket = replace(ticket, limit_price=profit, take_profit=profit)
    given = (ticket.take_profit is not None, ticket.stop_loss is not None)
    match ticket.order_class:
        case OrderClass.SIMPLE:
            if any(given):
                raise rule("order_class must be bracket, oco or oto for orders with take_profit or stop_loss")
            return ticket
        case OrderClass.OCO | OrderClass.BRACKET if not all(given):
            detail = "require take_profit.limit_price and stop_loss.stop_price"
            raise rule(f"{ticket.order_class} orders {detail}")
        case OrderClass.OTO if all(given) or not any(given):
            raise rule("oto orders require either take_profit or stop_loss")
    if ticket.time_in_force not in _TIMES:
        raise rule(f"{ticket.order_class} orders must be DAY or GTC orders")
    if ticket.extended_hours:
        raise rule(f"{ticket.order_class} orders are not eligible for extended hours trading")
    _check_sides(ticket)
    return ticket


def check_base_price(venue: Venue, ticket: Ticket, symbol: str) -> None:
    """Refuse a leg that is less than a cent beyond the base price.

    For an entry, the base price is its own price, or else the market's. For an OCO it is the market's, and only the
    stop is checked, because the take-profit is the order itself.
    """
    is_oco = ticket.order_class is OrderClass.OCO
    own = None if is_oco else ticket.limit_price or ticket.stop_price
    base = own or venue.price(symbol)
    if base is None:
        return
    exits_by_selling = (ticket.side is ExchangeSide.SELL) == is_oco
    for price, name, is_above in (
        (None if is_oco else ticket.take_profit, "take_profit.limit_price", exits_by_selling),
        (ticket.stop_loss, "stop_loss.stop_price", not exits_by_selling),
    ):
        if price is None:
            continue
        if is_above and price < base + CENT:
            raise rule(f"{name} must be >= base_price + 0.01", base_price=plain(base))
        if not is_above and price > base - CENT:
            raise rule(f"{name} must be <= base_price - 0.01", base_price=plain(base))


def add_legs(venue: Venue, account: ExchangeAccount, parent: ExchangeOrder, ticket: Ticket, now_ns: int) -> None:
    """Place the legs of *parent*. They wait until *parent* ends with a fill, or in an OCO until it is in the book."""
    legs = []
    if ticket.take_profit is not None and ticket.order_class is not OrderClass.OCO:
        legs.append(_leg(venue, parent, OrderType.LIMIT, limit=ticket.take_profit, now_ns=now_ns))
    if ticket.stop_loss is not None:
        kind = OrderType.STOP if ticket.stop_loss_limit is None else OrderType.STOP_LIMIT
        legs.append(_leg(venue, parent, kind, limit=ticket.stop_loss_limit, stop=ticket.stop_loss, now_ns=now_ns))
    for leg in legs:
        venue.add(account, leg)
        venue.mark_changed(leg, leg.submitted_ns)
        parent.legs.append(leg.id)


def _check_sides(ticket: Ticket) -> None:
    """Refuse a take-profit on the wrong side of the stop-loss."""
    profit, loss = ticket.take_profit, ticket.stop_loss
    if profit is None or loss is None:
        return
    exits_by_selling = (ticket.side is ExchangeSide.SELL) == (ticket.order_class is OrderClass.OCO)
    if exits_by_selling and profit <= loss:
        raise rule("take_profit.limit_price must be > stop_loss.stop_price")
    if not exits_by_selling and profit >= loss:
        raise rule("take_profit.limit_price must be < stop_loss.stop_price")


def _leg(
    venue: Venue,
    parent: ExchangeOrder,
    kind: OrderType,
    *,
    limit: Decimal | None,
    stop: Decimal | None = None,
    now_ns: int,
) -> ExchangeOrder:
    at = venue.next_time(now_ns)
    is_oco = parent.order_class is OrderClass.OCO
    side = parent.side if is_oco else parent.side.opposite
    return ExchangeOrder(
        seq=venue.next_seq(), id=str(uuid.uuid4()), account=parent.account, client_order_id=str(uuid.uuid4()),
        symbol=parent.symbol, is_crypto=parent.is_crypto, side=side, type=kind,
        time_in_force=parent.time_in_force, qty=parent.qty, limit_price=limit, stop_price=stop,
        order_class=parent.order_class, position_intent=f"{side}_to_close", status=ExchangeOrderStatus.HELD,
        created_ns=at, submitted_ns=at, updated_ns=at, expires_ns=parent.expires_ns, parent=parent.id,
    )  # fmt: skip
