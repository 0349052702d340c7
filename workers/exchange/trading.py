"""Accept, replace and cancel orders."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from decimal import Decimal
from typing import Any

from workers.exchange.accounts import ExchangeAccount
from workers.exchange.assets import ListedAsset
from workers.exchange.checks import (
    Reservation,
    check_account,
    check_client_id,
    check_wash_trade,
    find_asset,
    reserve,
)
from workers.exchange.groups import is_armed
from workers.exchange.legs import add_legs, check_base_price, check_legs
from workers.exchange.order_terms import check_terms
from workers.exchange.orders import WORKING, ExchangeOrder, ExchangeOrderStatus, OrderClass, OrderType, TimeInForce
from workers.exchange.refusals import RequestRefused, bad_parameter, rule
from workers.exchange.settlement import FOR_EVER, finish, in_session
from workers.exchange.tickets import Ticket, client_id, number, read_ticket
from workers.exchange.trading_days import NEW_YORK
from workers.exchange.venue import Venue

#: Seconds from the acceptance of an order or a cancel until it reaches the book.
ROUTING_S = 0.003
_NANO = 1_000_000_000


@dataclass(frozen=True, kw_only=True)
class OrderFaults:
    """The injected faults of one order."""

    #: Fill a part first and the rest this many seconds later.
    part_then_s: float | None = None
    #: Do not fill for this many seconds. With 0 the order never fills.
    no_fill_s: float | None = None
    reject_later: bool = False


NO_FAULTS = OrderFaults()


def submit(
    venue: Venue, account: ExchangeAccount, body: Mapping[str, Any], now_ns: int, faults: OrderFaults = NO_FAULTS
) -> ExchangeOrder:
    """Accept the order that *body* describes, or refuse it. After a refusal the client id can be used again."""
    ticket = read_ticket(body)
    asset = find_asset(venue, ticket.symbol)
    check_terms(venue, ticket, asset, now_ns)
    ticket = check_legs(ticket)
    check_base_price(venue, ticket, asset.symbol)
    check_account(account, ticket, asset)
    check_wash_trade(account, ticket, asset.symbol)
    reservation = reserve(venue, account, ticket, asset)
    order = _order(venue, account, ticket, asset, reservation, now_ns)
    _apply_faults(order, faults, now_ns)
    # The first limit order gives a price to a symbol that has none.
    if venue.price(asset.symbol) is None and ticket.limit_price is not None:
        venue.last[asset.symbol] = ticket.limit_price
        venue.changes.prices.add(asset.symbol)
    _enter(venue, account, order, now_ns)
    add_legs(venue, account, order, ticket, now_ns)
    return order


def cancel(venue: Venue, order: ExchangeOrder, now_ns: int) -> None:
    """Cancel *order*, at once if it is held or waits for its session or auction, else within about `ROUTING_S`.

    An order whose cancel is done or pending is left as it is; for one that has ended otherwise, the cancel is refused.
    """
    if order.status in {ExchangeOrderStatus.CANCELED, ExchangeOrderStatus.PENDING_CANCEL}:
        return
    if not order.is_open:
        raise rule(f'order is already in "{order.status}" state')
    order.cancel_requested_ns = now_ns
    if order.status in {ExchangeOrderStatus.ACCEPTED, ExchangeOrderStatus.HELD}:
        finish(venue, order, ExchangeOrderStatus.CANCELED, now_ns)
        return
    order.status = ExchangeOrderStatus.PENDING_CANCEL
    venue.mark_changed(order, now_ns)
    venue.changes.advance_later.append((order.id, ROUTING_S))


def replace_order(
    venue: Venue, account: ExchangeAccount, order: ExchangeOrder, body: Mapping[str, Any], now_ns: int
) -> ExchangeOrder:
    """Replace *order* by an order with other terms, or refuse to. After a refusal the old order is unchanged."""
    _check_replaceable(venue, order, body)
    asset = find_asset(venue, order.symbol)
    ticket = _changed(order, body)
    check_terms(venue, ticket, asset, now_ns)
    check_client_id(account, ticket.client_order_id)
    reservation = _reserve_again(venue, account, order, ticket, asset)
    new = _order(venue, account, ticket, asset, reservation, now_ns)
    new.replaces, new.parent, new.legs = order.id, order.parent, order.legs
    new.order_class = order.order_class
    _adopt(venue, order, new, now_ns)
    order.status, order.replaced_ns, order.replaced_by = ExchangeOrderStatus.REPLACED, now_ns, new.id
    venue.mark_changed(order, now_ns)
    venue.add_event(order, "replaced", now_ns)
    _enter(venue, account, new, now_ns)
    return new


def close_position(
    venue: Venue, account: ExchangeAccount, symbol: str, qty: Decimal | None, now_ns: int
) -> ExchangeOrder:
    """Place a market order that closes *qty* of the position, or all of it if *qty* is None."""
    position = account.positions[symbol]
    body = {
        "symbol": symbol,
        "qty": str(abs(position.qty) if qty is None else qty),
        "side": "sell" if position.qty > 0 else "buy",
        "type": "market",
        "time_in_force": "gtc" if position.is_crypto else "day",
    }
    return submit(venue, account, body, now_ns)


def _order(
    venue: Venue, account: ExchangeAccount, ticket: Ticket, asset: ListedAsset, reservation: Reservation, now_ns: int
) -> ExchangeOrder:
    at = venue.next_time(now_ns)
    lasts = ticket.time_in_force is TimeInForce.GTC
    return ExchangeOrder(
        seq=venue.next_seq(),
        id=str(uuid.uuid4()),
        account=account.key,
        client_order_id=ticket.client_order_id or str(uuid.uuid4()),
        symbol=asset.symbol,
        is_crypto=asset.is_crypto,
        side=ticket.side,
        type=ticket.type,
        time_in_force=ticket.time_in_force,
        qty=ticket.qty,
        notional=ticket.notional,
        limit_price=ticket.limit_price,
        stop_price=ticket.stop_price,
        trail_price=ticket.trail_price,
        trail_percent=ticket.trail_percent,
        extended_hours=ticket.extended_hours,
        order_class=ticket.order_class,
        position_intent=reservation.position_intent,
        status=ExchangeOrderStatus.PENDING_NEW,
        created_ns=at,
        submitted_ns=at,
        updated_ns=at,
        expires_ns=_gtc_ends_ns(venue, asset, now_ns) if lasts else venue.day_ends_ns(now_ns),
        held=reservation.held,
        reserved=reservation.reserved,
    )


def _gtc_ends_ns(venue: Venue, asset: ListedAsset, now_ns: int) -> int:
    """Return the expiry that a `gtc` order shows: after 90 days, or 89 for coins. The exchange never expires it."""
    days, ends = (89, time(16)) if asset.is_crypto else (90, time(16, 15))
    day = venue.moment(now_ns).astimezone(NEW_YORK).date() + timedelta(days=days)
    return int(datetime.combine(day, ends, NEW_YORK).timestamp()) * _NANO


def _enter(venue: Venue, account: ExchangeAccount, order: ExchangeOrder, now_ns: int) -> None:
    auction = order.time_in_force in {TimeInForce.OPG, TimeInForce.CLS}
    if auction or not in_session(venue, order, now_ns):
        order.status = ExchangeOrderStatus.ACCEPTED
    venue.add(account, order)
    venue.mark_changed(order, order.submitted_ns)
    venue.add_event(order, order.status.value, now_ns)
    if order.status is ExchangeOrderStatus.PENDING_NEW:
        venue.changes.advance_later.append((order.id, ROUTING_S))


def _apply_faults(order: ExchangeOrder, faults: OrderFaults, now_ns: int) -> None:
    order.part_then_s = faults.part_then_s
    order.reject_later = faults.reject_later
    if faults.no_fill_s is not None:
        forever = faults.no_fill_s <= 0
        order.frozen_until_ns = FOR_EVER if forever else now_ns + int(faults.no_fill_s * _NANO)


def _check_replaceable(venue: Venue, order: ExchangeOrder, body: Mapping[str, Any]) -> None:
    if not order.is_open:
        raise rule("unable to replace order, order is not open")
    if order.status not in WORKING and not is_armed(venue, order):
        raise rule(f"cannot replace order in {order.status} status")
    if order.notional is not None:
        raise rule("notional orders cannot be replaced")
    if order.order_class is not OrderClass.SIMPLE and body.get("qty") is not None:
        raise rule(f"qty of {order.order_class} orders cannot be replaced")


def _changed(order: ExchangeOrder, body: Mapping[str, Any]) -> Ticket:
    """Return the terms of *order* with the changes in *body*. `qty` includes the filled part in *body* only."""
    qty = number(body, "qty") or order.qty or Decimal(0)
    if qty <= order.filled_qty:
        raise bad_parameter("qty must be > filled_qty")
    trail = number(body, "trail")
    by_percent = order.trail_percent is not None
    fields: dict[str, Any] = {
        "symbol": order.symbol,
        "side": order.side,
        "type": order.type,
        "time_in_force": body.get("time_in_force") or order.time_in_force,
        "qty": qty - order.filled_qty,
        "limit_price": number(body, "limit_price") or order.limit_price,
        "stop_price": number(body, "stop_price") or order.stop_price,
        "trail_price": None if by_percent else trail or order.trail_price,
        "trail_percent": trail or order.trail_percent if by_percent else None,
        "extended_hours": order.extended_hours,
        "client_order_id": client_id(body),
    }
    if order.type is OrderType.TRAILING_STOP:
        fields["stop_price"] = None
    return read_ticket(fields)


def _reserve_again(
    venue: Venue, account: ExchangeAccount, order: ExchangeOrder, ticket: Ticket, asset: ListedAsset
) -> Reservation:
    """Remove *order* from the books and return what its replacement holds back instead."""
    held, reserved = order.held, order.reserved
    venue.remove(order)
    if order.order_class is not OrderClass.SIMPLE:
        # The orders of a group close the same position, so the group holds back as much as before.
        return Reservation(held=held, reserved=reserved, position_intent=order.position_intent)
    try:
        return reserve(venue, account, ticket, asset)
    except RequestRefused:
        venue.restore(order, held=held, reserved=reserved)
        raise


def _adopt(venue: Venue, old: ExchangeOrder, new: ExchangeOrder, now_ns: int) -> None:
    """Put *new* in the place of *old* in its group."""
    for leg in [venue.orders[each] for each in old.legs]:
        leg.parent = new.id
        venue.mark_changed(leg, now_ns)
    if old.parent is not None:
        parent = venue.orders[old.parent]
        parent.legs = [new.id if each == old.id else each for each in parent.legs]
        venue.mark_changed(parent, now_ns)
