"""Decide on the stop order that protects a holding, and on orders that such a stop is in the way of. Pure."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from pipeline.model.orders import OrderSide
from pipeline.model.reasons import Code, Reason
from pipeline.model.sources import PROBE, has_final_limit
from pipeline.model.symbols import AssetClass
from pipeline.store.rows import OrderRow, OrderUnderWay, Role
from workers.rules.case import Case, Go, Hold, Skip, Verdict
from workers.rules.coin_fees import covered, held_of
from workers.rules.exit_forms import taken
from workers.rules.orders import reduces, side_of
from workers.rules.sizing import limit_price
from workers.rules.stale_position import hold_lagging

#: A coin's stop order needs a limit, since the broker takes no other stops in coins. It is this far beyond the stop, in
#: percent, so that it fills when the price falls fast.
_COIN_LIMIT = Decimal(5)
_SOON = timedelta(seconds=0.25)


def protections(orders: Iterable[OrderUnderWay]) -> tuple[OrderUnderWay, ...]:
    """Return the protecting stops among *orders*."""
    return tuple(order for order in orders if order.role is Role.PROTECTION)


def decide_protection(case: Case) -> Verdict | None:
    """Return the stop order of the signal's strategy; None if the price has passed the stop: close at once.

    The order is skipped while an entry or an exit of the symbol works, unless that is a person's limit close, which may
    rest for hours. The keeper records another one afterwards.
    """
    side = side_of(case.signal.action)
    waits = _refusal(case, side)
    if waits is not None:
        return waits
    left = _unprotected(case, side)
    # A later entry may have changed the stop of the holding meanwhile.
    stop = case.own.stop_price or case.signal.stop_price
    if left <= 0 or stop is None:
        return Skip(reasons=(Reason(code=Code.NO_POSITION, facts={"symbol": case.signal.symbol, "unprotected": left}),))
    if _has_passed(case, side, stop):
        return None
    available = abs(case.position.available) if case.position else Decimal(0)
    quantity = taken(case, min(left, available))
    if case.position is None or quantity <= 0:
        code = Code.QUANTITY_HELD if taken(case, left) else Code.DUST
        return Skip(reasons=(Reason(code=code, facts={"quantity": left, "available": available}),))
    covers = covered(case, quantity, most=_own(case), bought=abs(case.own.quantity), read=abs(case.position.quantity))
    return replace(_stop_order(case, side, stop, quantity), covers=covers)


def protection_still_goes(case: Case, intent: OrderRow) -> Skip | Hold | None:
    """Return why the identical stop order must not be sent again, or None."""
    side = OrderSide(intent.side)
    waits = _refusal(case, side)
    if waits is not None:
        return waits
    left = _unprotected(case, side)
    if intent.quantity <= left:
        return None
    code = Code.EXIT_NOT_DONE if left > 0 else Code.NO_POSITION
    return Skip(reasons=(Reason(code=code, facts={"held": left, "intended": intent.quantity}),))


def hold_for_protections(case: Case, side: OrderSide, *, whole: bool) -> Hold | None:
    """Cancel the stops that hold the quantity of an exit on *side*, and hold it until they have ended; None: go on.

    A stop that fills meanwhile closes the position itself. For a person's limit close no stop is canceled, since it may
    rest, and the position needs its stop meanwhile.
    """
    if has_final_limit(case.signal.source, case.signal.entry_price):
        return None
    strategy = case.signal.strategy or ""
    stops = [each for each in protections(case.under_way) if each.side == side and (whole or each.strategy == strategy)]
    if not stops:
        return None
    facts = {"order_id": stops[0].order_id, "order_status": stops[0].order_status or "unknown"}
    return Hold(
        reason=Reason(code=Code.ORDER_UNDER_WAY, facts=facts),
        wait=_SOON,
        cancel=tuple(each.order_id for each in stops if each.order_id),
        waits_for=tuple(stops),
    )


def refuse_against_stop(case: Case, side: OrderSide) -> Reason | None:
    """Return why an entry is refused while a stop on the other side rests: it would be refused as a wash trade."""
    opposed = [order for order in protections(case.under_way) if order.side != side]
    if not opposed:
        return None
    return Reason(code=Code.STOP_RESTS, facts={"symbol": case.signal.symbol, "order_id": opposed[0].order_id})


def refuse_without_stop(case: Case) -> Reason | None:
    """Return why an entry without a stop is refused: `order.unprotected` refuses it, or no stop could be added."""
    signal, handling = case.signal, case.executor.order.unprotected
    # An entry at the market's price gets its stop when it has a price; without an asset, it is refused anyway.
    gets_one = handling == "guard" and (signal.entry_price is None or case.asset is None)
    if handling == "allow" or gets_one or signal.stop_price is not None or signal.source == PROBE:
        return None
    return Reason(code=Code.ENTRY_WITHOUT_STOP, facts={"symbol": signal.symbol, "unprotected": handling})


def refuse_passed_stop(case: Case, side: OrderSide) -> Reason | None:
    """Return why an entry is refused whose stop the market's price has passed: it would be closed once it is filled."""
    stop, price = case.signal.stop_price, case.price
    if stop is None or price is None or case.signal.source == PROBE:
        return None
    passed = price <= stop if side is OrderSide.BUY else price >= stop
    return Reason(code=Code.LEVEL_REACHED, facts={"stop_price": stop, "price": price}) if passed else None


def with_stop(case: Case, side: OrderSide) -> Case:
    """Return the case with a stop for an entry without one, where `order.unprotected` gives it one.

    The new stop counts for the strategy's whole holding, so it is never farther from the price than the present one.
    """
    signal, order = case.signal, case.executor.order
    if order.unprotected != "guard" or signal.stop_price is not None or signal.entry_price is None:
        return case
    if signal.source == PROBE:  # It is not meant to be filled.
        return case
    buys, distance = side is OrderSide.BUY, case.executor.size.default_stop_percent
    stop = _rounded(case, OrderSide.SELL if buys else OrderSide.BUY, signal.entry_price, beyond=distance)
    if case.own.stop_price is not None and not reduces(side, case.own.quantity):
        stop = max(stop, case.own.stop_price) if buys else min(stop, case.own.stop_price)
    # A price of few steps has no step between itself and its stop. Or the price has passed the stop of the holding, as
    # when a person canceled its order: the entry would be closed at once, and the holding with it.
    if not (0 < stop < signal.entry_price if buys else stop > signal.entry_price):
        return case
    return replace(case, signal=replace(signal, stop_price=stop))


def refuse_after_stop(case: Case) -> Reason | None:
    """Return why a signal that came as an exit is refused: its stop was filled first, and an entry would sell twice."""
    return Reason(code=Code.NO_POSITION, facts={"symbol": case.signal.symbol}) if case.recent.closed_by_stop else None


def hold_for_filled_stop(case: Case) -> Hold | None:
    """Hold an entry while a stop is recorded as open whose position is gone: it has probably just been filled."""
    held = case.position.quantity if case.position else Decimal(0)
    gone = [order for order in protections(case.under_way) if not reduces(OrderSide(order.side), held)]
    if not gone:
        return None
    facts = {"order_id": gone[0].order_id, "order_status": gone[0].order_status or "unknown"}
    return Hold(reason=Reason(code=Code.ORDER_UNDER_WAY, facts=facts), wait=2 * _SOON, waits_for=tuple(gone))


def _refusal(case: Case, side: OrderSide) -> Skip | Hold | None:
    others = [
        order
        for order in case.under_way
        if order.role is not Role.PROTECTION and not (order.is_limit_close and order.order_id)
    ]
    if others:
        facts = {"order_id": others[0].order_id, "order_status": others[0].order_status or "unknown"}
        return Skip(reasons=(Reason(code=Code.ORDER_UNDER_WAY, facts=facts),))
    return hold_lagging(case, side)


def _unprotected(case: Case, side: OrderSide) -> Decimal:
    """Return how much of the strategy's part of the position no stop of ours protects."""
    held = case.position.quantity if case.position else Decimal(0)
    if not (reduces(side, held) and reduces(side, case.own.quantity)):
        return Decimal(0)
    strategy = case.signal.strategy or ""
    stops = [order for order in protections(case.under_way) if order.strategy == strategy]
    resting = sum(((each.replacement_quantity or each.quantity) - each.filled_quantity for each in stops), Decimal(0))
    return _own(case) - resting


def _own(case: Case) -> Decimal:
    """Return the strategy's part of the position, without a fee that was taken from coins."""
    held = case.position.quantity if case.position else Decimal(0)
    return held_of(case, abs(case.own.quantity), abs(held))


def _has_passed(case: Case, side: OrderSide, stop: Decimal) -> bool:
    """Return whether the price has passed the stop while the market is open. Otherwise a stop order can rest."""
    price = case.position.current_price if case.position else None
    is_open = case.signal.asset_class == AssetClass.CRYPTO or (case.market is not None and case.market.is_open)
    return is_open and price is not None and (price <= stop if side is OrderSide.SELL else price >= stop)


def _stop_order(case: Case, side: OrderSide, stop: Decimal, quantity: Decimal) -> Go:
    is_coin = case.signal.asset_class == AssetClass.CRYPTO
    trigger = _rounded(case, side, stop, beyond=Decimal(0))
    return Go(
        role=Role.PROTECTION,
        side=side,
        quantity=quantity,
        type="stop_limit" if is_coin else "stop",
        limit_price=_rounded(case, side, stop, beyond=_COIN_LIMIT) if is_coin else None,
        time_in_force="gtc" if is_coin or _may_last(case, quantity) else "day",
        reference_price=trigger,
        stop_price=trigger,
    )


def _may_last(case: Case, quantity: Decimal) -> bool:
    """Return whether the broker takes the order for longer than a day; else the keeper places one for each day."""
    day_only = case.asset is not None and case.asset.day_orders_only
    return not day_only and quantity == quantity.to_integral_value()


def _rounded(case: Case, side: OrderSide, price: Decimal, *, beyond: Decimal) -> Decimal:
    """Return *price*, moved by *beyond* percent to the worse side, on a step of the asset's prices."""
    if case.asset is None:
        return price
    return limit_price(price, side=side, collar_percent=beyond, asset=case.asset)
