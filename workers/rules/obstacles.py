"""Decide on an exit while other orders are in its way: they hold its quantity, or make it a wash trade. Pure."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from pipeline.model.orders import BrokerOrder, OrderSide
from pipeline.model.reasons import Code, Reason
from pipeline.model.sources import FLIP, PROBE, RETRY, has_final_limit, is_own
from pipeline.model.symbols import AssetClass
from workers.brokers.protocol import RefusalKind
from workers.rules.case import Case, Go, Hold, Skip
from workers.rules.exit_forms import taken

#: The broker takes no order of these classes, and no trailing stop, for the other side of a wash trade.
_GROUPS = frozenset({"bracket", "oco", "oto"})
_CANCELED_WAIT = timedelta(seconds=0.5)
#: The pauses of a blocked exit grow to this: each check costs requests.
_LONGEST_WAIT = timedelta(seconds=10)
#: A person's limit close that is blocked for this long is skipped, since later exits of the symbol wait for it.
_LIMIT_WAITS_AT_MOST = timedelta(seconds=15)


def clear_way(case: Case, go: Go) -> Go | Hold | Skip:
    """Return the exit reduced to the quantity that no other order holds, or a hold if it cannot be sent yet.

    For a person's limit close no order is canceled, since it may rest, and the position needs its stop meanwhile. It is
    skipped when it stays blocked.
    """
    opposing = tuple(order for order in case.foreign if order.side is not go.side and _opposes(case, go, order))
    available = _available(case)
    # A quantity that the broker never takes needs no free way: `take_form` skips it.
    if not opposing and (go.quantity <= available or taken(case, go.quantity) == 0):
        return go
    # A part that the broker never takes, or has just refused as too small, waits with the rest.
    part = Decimal(0) if case.refused.kind is RefusalKind.TOO_SMALL else taken(case, available)
    if not opposing and part > 0:
        return replace(go, quantity=part, rest=go.quantity - part)
    holders = tuple(order for order in case.foreign if order.side is go.side)
    cancels = opposing if available >= go.quantity else opposing + holders
    # The orders that hold the quantity may protect the position. They are canceled only if the exit can fill at once.
    is_limit_close = has_final_limit(case.signal.source, case.signal.entry_price)
    if cancels and not is_limit_close and _may_cancel(case) and (cancels == opposing or _fills_at_once(case, go)):
        reason = Reason(code=Code.FOREIGN_CANCELED, facts={"orders": named(cancels)})
        return Hold(reason=reason, wait=_CANCELED_WAIT, cancel_foreign=cancels)
    facts = {"quantity": go.quantity, "available": available}
    if cancels:
        facts["orders"] = named(cancels)  # type: ignore[assignment]
    age = case.now - case.signal.recorded_at
    if is_limit_close and age > _LIMIT_WAITS_AT_MOST:
        return Skip(reasons=(Reason(code=Code.QUANTITY_HELD, facts=facts),))
    wait = max(_CANCELED_WAIT, min(_LONGEST_WAIT, age / 2))
    return Hold(reason=Reason(code=Code.QUANTITY_HELD, facts=facts), wait=wait)


def is_forced(source: str, *, by_person: bool) -> bool:
    """Return whether an exit is forced: a person sent it, or tradewire did to protect the account."""
    return by_person or (is_own(source) and source not in (RETRY, FLIP, PROBE))


def named(orders: Sequence[BrokerOrder]) -> str:
    """Describe the orders so that a person can find them at the broker."""
    return "; ".join(str(order) for order in orders)[:1000]


def _available(case: Case) -> Decimal:
    return abs(case.position.available) if case.position else Decimal(0)


def _may_cancel(case: Case) -> bool:
    policy = case.executor.order.cancel_foreign
    return policy == "always" or (policy == "forced" and case.forced)


def _opposes(case: Case, go: Go, order: BrokerOrder) -> bool:
    """Return whether the broker may take the exit and *order* for a trade of the account with itself (a wash trade)."""
    if case.refused.kind is RefusalKind.OPPOSED and order.order_id in case.refused.named:
        return True
    if order.terms.get("order_class") in _GROUPS or order.terms.get("type") == "trailing_stop":
        return False
    theirs = order.terms.get("limit_price")
    if go.limit_price is None or theirs is None or order.terms.get("type") != "limit":
        return True
    ours, theirs = go.limit_price, Decimal(theirs)
    return ours <= theirs if go.side is OrderSide.SELL else ours >= theirs


def _fills_at_once(case: Case, go: Go) -> bool:
    """Return whether the market is certainly open, and the exit is a market order or its limit is at the market."""
    is_open = case.signal.asset_class == AssetClass.CRYPTO or (case.market is not None and case.market.is_open)
    if not is_open or go.limit_price is None:
        return is_open
    price = case.position.current_price if case.position else None
    return price is not None and (price >= go.limit_price if go.side is OrderSide.SELL else price <= go.limit_price)
