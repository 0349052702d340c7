"""Move accepted orders on: into the book, through fills, to their end."""

import uuid
from decimal import ROUND_DOWN, Decimal

from workers.exchange.accounts import QUANTUM, ZERO, ExchangeAccount, Fill
from workers.exchange.checks import size_of
from workers.exchange.clock import TradingSession
from workers.exchange.groups import exits_beside, is_armed, others
from workers.exchange.matching import match
from workers.exchange.orders import WORKING, ExchangeOrder, ExchangeOrderStatus, ExchangeSide, OrderClass, TimeInForce
from workers.exchange.venue import Venue

_ONE_SHOT = frozenset({TimeInForce.IOC, TimeInForce.FOK, TimeInForce.OPG, TimeInForce.CLS})
_AUCTIONS = frozenset({TimeInForce.OPG, TimeInForce.CLS})
_ENDS = {
    ExchangeOrderStatus.CANCELED: "canceled_ns",
    ExchangeOrderStatus.EXPIRED: "expired_ns",
    ExchangeOrderStatus.REJECTED: "failed_ns",
}
_NANO = 1_000_000_000
#: `frozen_until_ns` of an order that never fills: later than any time.
FOR_EVER = 2**62


def in_session(venue: Venue, order: ExchangeOrder, now_ns: int) -> bool:
    """Return whether *order* can trade now: coins always, shares in the sessions that the order allows."""
    if order.is_crypto:
        return True
    session = venue.clock.session(venue.moment(now_ns))
    return session is TradingSession.REGULAR or (session is TradingSession.EXTENDED and order.extended_hours)


def advance(venue: Venue, order: ExchangeOrder, now_ns: int) -> None:
    """Do the next step of *order*: put it into the book, finish its cancel, or match it again."""
    match order.status:
        case ExchangeOrderStatus.PENDING_NEW:
            activate(venue, order, now_ns)
        case ExchangeOrderStatus.PENDING_CANCEL:
            finish(venue, order, ExchangeOrderStatus.CANCELED, now_ns)
        case ExchangeOrderStatus.NEW | ExchangeOrderStatus.PARTIALLY_FILLED:
            match_now(venue, order, now_ns)
            _schedule_match(venue, order, now_ns)
        case ExchangeOrderStatus.ACCEPTED if order.time_in_force not in _AUCTIONS and in_session(venue, order, now_ns):
            activate(venue, order, now_ns)


def activate(venue: Venue, order: ExchangeOrder, now_ns: int) -> None:
    """Put *order* into the book and match it for the first time. Cancel the rest if it must fill at once."""
    if order.reject_later:
        finish(venue, order, ExchangeOrderStatus.REJECTED, now_ns)
        return
    # The stop of a group is held while its take-profit is in the book.
    order.status = ExchangeOrderStatus.HELD
    if not is_armed(venue, order):
        order.status = ExchangeOrderStatus.NEW
        venue.add_event(order, "new", now_ns)
    venue.mark_changed(order, now_ns)
    match_now(venue, order, now_ns, arriving=True)
    _schedule_match(venue, order, now_ns)
    if order.status in WORKING and order.time_in_force in _ONE_SHOT and order.frozen_until_ns <= now_ns:
        finish(venue, order, ExchangeOrderStatus.CANCELED, now_ns)
    elif order.is_open and order.order_class is OrderClass.OCO and order.parent is None:
        _activate_legs(venue, order, now_ns)


def match_now(venue: Venue, order: ExchangeOrder, now_ns: int, *, arriving: bool = False) -> None:
    """Match *order* against the price, if it is in the book and can trade now."""
    price = venue.price(order.symbol)
    if (
        price is None
        or not (order.status in WORKING or is_armed(venue, order))
        or order.frozen_until_ns > now_ns
        or not in_session(venue, order, now_ns)
    ):
        return
    found = match(order, price, arriving=arriving)
    if (found.triggered and not order.triggered) or (found.hwm is not None and found.hwm != order.hwm):
        order.triggered = found.triggered
        order.hwm = found.hwm
        order.stop_price = found.stop_price or order.stop_price
        if order.status is ExchangeOrderStatus.HELD:
            order.status = ExchangeOrderStatus.NEW
            venue.add_event(order, "new", now_ns)
        venue.mark_changed(order, now_ns)
    if found.fill is not None:
        _fill(venue, order, found.fill, now_ns)


def finish(venue: Venue, order: ExchangeOrder, status: ExchangeOrderStatus, now_ns: int) -> None:
    """End *order* before it is completely filled, and activate or cancel the other orders of its group."""
    order.status = status
    setattr(order, _ENDS[status], now_ns)
    venue.remove(order)
    venue.mark_changed(order, now_ns)
    venue.add_event(order, status.value, now_ns)
    _after_end(venue, order, now_ns)


def settle_cancels(venue: Venue, account: ExchangeAccount, now_ns: int) -> None:
    """Finish the account's pending cancels, so that the orders release what they hold back."""
    for order in account.open_orders():
        if order.status is ExchangeOrderStatus.PENDING_CANCEL:
            finish(venue, order, ExchangeOrderStatus.CANCELED, now_ns)


def settle_routing(venue: Venue, now_ns: int) -> None:
    """Put all pending orders into the book, and finish all pending cancels."""
    for book in list(venue.book.values()):
        for order in list(book.values()):
            if order.status in {ExchangeOrderStatus.PENDING_NEW, ExchangeOrderStatus.PENDING_CANCEL}:
                advance(venue, order, now_ns)


def reprice(venue: Venue, symbol: str, now_ns: int) -> None:
    """Match the resting orders of *symbol* against its new price."""
    # A copy, because a filled order leaves the book during the loop.
    for order in list(venue.book.get(symbol, {}).values()):
        match_now(venue, order, now_ns)


def change_session(venue: Venue, before: TradingSession, after: TradingSession, now_ns: int) -> None:
    """Activate, expire and match the orders on shares when the session changes from *before* to *after*."""
    orders = [order for book in venue.book.values() for order in book.values() if not order.is_crypto]
    for order in sorted(orders, key=lambda each: each.seq):
        at_close = order.time_in_force is TimeInForce.CLS
        waits = order.status is ExchangeOrderStatus.ACCEPTED
        if waits and (at_close if before is TradingSession.REGULAR else _opens(order, after)):
            _auction(venue, order, now_ns) if at_close else activate(venue, order, now_ns)
        elif order.status in WORKING and order.time_in_force is TimeInForce.DAY and _ends(order, before, after):
            finish(venue, order, ExchangeOrderStatus.EXPIRED, now_ns)
        elif after is TradingSession.REGULAR:
            match_now(venue, order, now_ns)


def _opens(order: ExchangeOrder, session: TradingSession) -> bool:
    if order.time_in_force is TimeInForce.CLS:
        return False
    return session is TradingSession.REGULAR or (session is TradingSession.EXTENDED and order.extended_hours)


def _ends(order: ExchangeOrder, before: TradingSession, after: TradingSession) -> bool:
    return after is TradingSession.CLOSED or (before is TradingSession.REGULAR and not order.extended_hours)


def _auction(venue: Venue, order: ExchangeOrder, now_ns: int) -> None:
    """Fill an order for the closing auction at the last price of the session, or cancel it."""
    order.status = ExchangeOrderStatus.NEW
    venue.add_event(order, "new", now_ns)
    price = venue.price(order.symbol)
    found = match(order, price, arriving=True) if price is not None else None
    if found is not None and found.fill is not None:
        _fill(venue, order, found.fill, now_ns)
    else:
        finish(venue, order, ExchangeOrderStatus.CANCELED, now_ns)


def _fill(venue: Venue, order: ExchangeOrder, price: Decimal, now_ns: int) -> None:
    total = order.qty if order.qty is not None else size_of(order.notional or ZERO, price)
    remaining = total - order.filled_qty
    qty = _part(order, remaining, now_ns)
    account = venue.accounts[order.account]
    position = account.book(order, qty, price)
    order.filled_qty += qty
    order.filled_value += qty * price
    order.filled_ns = now_ns
    fill = Fill(
        id=str(uuid.uuid4()), account=order.account, order_id=order.id, symbol=order.symbol, side=order.side,
        qty=qty, price=price, cum_qty=order.filled_qty, leaves_qty=remaining - qty, at_ns=now_ns,
        position_qty=position,
    )  # fmt: skip
    account.fills.append(fill)
    venue.changes.fills.append(fill)
    venue.changes.positions.add((account.key, order.symbol))
    venue.changes.accounts[account.key] = account
    order.status = ExchangeOrderStatus.FILLED if fill.is_last else ExchangeOrderStatus.PARTIALLY_FILLED
    if fill.is_last:
        venue.remove(order)
    else:
        account.release(order, held=min(order.held, qty), reserved=order.reserved * qty / remaining)
        for other in exits_beside(venue, order):
            other.qty = (other.qty or ZERO) - qty
            venue.mark_changed(other, now_ns)
    venue.mark_changed(order, now_ns)
    venue.add_event(order, "fill" if fill.is_last else "partial_fill", now_ns, fill)
    if fill.is_last:
        _after_end(venue, order, now_ns)


def _part(order: ExchangeOrder, remaining: Decimal, now_ns: int) -> Decimal:
    """Return the quantity to fill: all of *remaining*, or once half of it if a fault asks for a partial fill."""
    if order.part_then_s is None or order.time_in_force is TimeInForce.FOK:
        return remaining
    whole = not order.is_crypto and remaining % 1 == 0
    half = (remaining / 2).quantize(Decimal(1) if whole else QUANTUM, ROUND_DOWN)
    later_s, order.part_then_s = order.part_then_s, None
    if not half:
        return remaining
    order.frozen_until_ns = now_ns + int(later_s * _NANO)
    return half


def _schedule_match(venue: Venue, order: ExchangeOrder, now_ns: int) -> None:
    """Schedule the next match of an order that an injected fault keeps from filling now."""
    if order.status in WORKING and now_ns < order.frozen_until_ns < FOR_EVER:
        venue.changes.advance_later.append((order.id, (order.frozen_until_ns - now_ns) / _NANO))


def _after_end(venue: Venue, order: ExchangeOrder, now_ns: int) -> None:
    """If *order* is an entry that filled completely, activate its legs; else cancel the other orders of its group."""
    is_entry = order.parent is None and order.order_class in {OrderClass.BRACKET, OrderClass.OTO}
    # Alpaca's legs wake on a complete fill only: of an entry that ended with a part, the part has no stop.
    if is_entry and order.status is ExchangeOrderStatus.FILLED:
        _activate_legs(venue, order, now_ns)
        return
    for other in others(venue, order):
        if other.is_open:
            finish(venue, other, ExchangeOrderStatus.CANCELED, now_ns)


def _activate_legs(venue: Venue, parent: ExchangeOrder, now_ns: int) -> None:
    """Activate the legs for the quantity that the parent opened and that is still held. If that is 0, cancel them."""
    legs = [venue.orders[each] for each in parent.legs if venue.orders[each].status is ExchangeOrderStatus.HELD]
    if parent.order_class is not OrderClass.OCO and legs:
        account = venue.accounts[parent.account]
        qty = min(parent.filled_qty, _closable(account, legs[0]))
        if not qty:
            finish(venue, legs[0], ExchangeOrderStatus.CANCELED, now_ns)
            return
        # The legs close the same position, so only one of them holds it back.
        account.hold(legs[0], qty)
        for leg in legs:
            leg.qty = qty
    for leg in legs:
        # If a leg fills at once, it ends the others.
        if leg.status is ExchangeOrderStatus.HELD:
            activate(venue, leg, now_ns)


def _closable(account: ExchangeAccount, leg: ExchangeOrder) -> Decimal:
    """Return the quantity that an order on this side can close and that no other order holds back."""
    position = account.quantity(leg.symbol)
    closes = position < 0 if leg.side is ExchangeSide.BUY else position > 0
    return account.available(leg.symbol) if closes else ZERO
