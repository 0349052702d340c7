"""Go, skip or hold: one signal at one executor, judged on the broker's position and money. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from config.executors import ExecutorSettings
from pipeline.reasons import Code, Reason
from pipeline.routing import always_refused, refusals
from pipeline.signals import Action, Intent
from pipeline.store.rows import OrderRow, Role, SignalRow
from pipeline.symbols import AssetClass
from workers.brokers.holdings import Account, Asset, Position
from workers.brokers.orders import Side
from workers.sizing import Funds, TooSmall, entry_quantity, exit_quantity, limit_price, scale

#: An exit looks again this often at what has to end before it.
_UNDER_WAY_WAIT = timedelta(seconds=0.5)


@dataclass(frozen=True, kw_only=True)
class Case:
    """All that a decision depends on. *now* is the database's clock."""

    signal: SignalRow
    executor: ExecutorSettings
    account: Account
    #: The broker's position in the symbol; None when flat.
    position: Position | None
    asset: Asset | None
    #: Our other orders in the symbol that may still fill.
    under_way: tuple[OrderRow, ...]
    #: What other entries have reserved, in the account's currency.
    reserved: Decimal
    now: datetime
    #: A person accepted the age when requeueing.
    accept_age: bool = False


@dataclass(frozen=True, kw_only=True)
class Go:
    """Send this order."""

    role: Role
    side: Side
    quantity: Decimal
    type: str
    limit_price: Decimal | None
    time_in_force: str
    #: What one unit is taken to cost.
    reference_price: Decimal


@dataclass(frozen=True, kw_only=True)
class Skip:
    """Do not trade; every reason that applies."""

    reasons: tuple[Reason, ...]


@dataclass(frozen=True, kw_only=True)
class Hold:
    """Not now; look again after *wait*."""

    reason: Reason
    wait: timedelta
    #: Entries of ours that stand in the way of an exit and are to be canceled, by the broker's order id.
    cancel: tuple[str, ...] = ()


Verdict = Go | Skip | Hold


def decide(case: Case) -> Verdict:
    """Judge one case. An exit is what reduces the broker's position; all else is an entry."""
    refused = always_refused(case.signal, case.executor)
    if refused:
        return Skip(reasons=tuple(refused))
    held = case.position.quantity if case.position else Decimal(0)
    side = Side.BUY if case.signal.action is Action.BUY else Side.SELL
    closes = held > 0 if side is Side.SELL else held < 0
    # Whatever may still change the position, or would meet this order in the market, comes to its end first.
    blocking = tuple(order for order in case.under_way if closes or order.side != side)
    if blocking:
        return _wait_for(blocking)
    return _exit(case, side, abs(held)) if closes else _entry(case, side)


def stale_at(signal: SignalRow, executor: ExecutorSettings, *, accept_age: bool) -> datetime | None:
    """Return when an entry on *signal* is too late; None when it does not age."""
    ends = [] if signal.expires_at is None else [signal.expires_at]
    if executor.limits.entry_age_s is not None and not accept_age:
        ends.append((signal.generated_at or signal.recorded_at) + timedelta(seconds=executor.limits.entry_age_s))
    return min(ends) if ends else None


def freshness(case: Case) -> Reason | None:
    """Return why an entry is too late, or None. Exits do not expire."""
    ends = stale_at(case.signal, case.executor, accept_age=case.accept_age)
    if ends is None or case.now <= ends:
        return None
    if ends == case.signal.expires_at:
        return Reason(code=Code.EXPIRED_SIGNAL, facts={"expires_at": ends})
    age = (case.now - (case.signal.generated_at or case.signal.recorded_at)).total_seconds()
    return Reason(code=Code.TOO_OLD, facts={"age_s": round(age, 1), "limit_s": case.executor.limits.entry_age_s})


def still_go(case: Case, intent: OrderRow) -> Skip | Hold | None:
    """Judge an intent that is to be sent again, go or no-go only: its body cannot change any more."""
    held = case.position.quantity if case.position else Decimal(0)
    if intent.role is Role.EXIT:
        if case.under_way:
            return _wait_for(case.under_way)
        reducible = max(held, Decimal(0)) if intent.side == Side.SELL else max(-held, Decimal(0))
        if intent.quantity > reducible:
            facts = {"held": reducible, "intended": intent.quantity}
            return Skip(reasons=(Reason(code=Code.NO_POSITION, facts=facts),))
        return None
    stale = freshness(case)
    return Skip(reasons=(stale,)) if stale else None


def _wait_for(blocking: tuple[OrderRow, ...]) -> Hold:
    """Wait for orders that may still change the position, and cancel the entries among them."""
    first = blocking[0]
    return Hold(
        reason=Reason(
            code=Code.ORDER_UNDER_WAY,
            facts={"order_id": first.order_id, "order_status": first.order_status or "unknown"},
        ),
        wait=_UNDER_WAY_WAIT,
        cancel=tuple(order.order_id for order in blocking if order.role is Role.ENTRY and order.order_id),
    )


def _exit(case: Case, side: Side, held: Decimal) -> Go:
    signal, asset = case.signal, case.asset
    quantity = exit_quantity(held, requested=signal.quantity)
    price = signal.entry_price
    reference = price or (case.position.current_price if case.position else None) or Decimal(1)
    limited = case.executor.order.type == "limit" and price is not None and asset is not None
    return Go(
        role=Role.EXIT,
        side=side,
        quantity=quantity,
        type="limit" if limited else "market",
        limit_price=_collared(case, side, price, asset) if limited and price and asset else None,
        time_in_force=_time_in_force(case.signal.asset_class),
        reference_price=reference,
    )


def _entry(case: Case, side: Side) -> Verdict:
    signal, executor = case.signal, case.executor
    reasons = _entry_refusals(case, side)
    if reasons or signal.entry_price is None or case.asset is None:
        return Skip(reasons=tuple(reasons) or (Reason(code=Code.ENTRY_WITHOUT_PRICE),))
    limited = executor.order.type == "limit"
    limit = _collared(case, side, signal.entry_price, case.asset)
    # A market order may cost as much as the collar would allow; a short is sized at the signal's price.
    reference = max(limit, signal.entry_price)
    confidence = signal.confidence or Decimal(0)
    sized = entry_quantity(
        executor.size,
        factor=scale(executor.size, confidence=confidence, minimum_confidence=executor.route.minimum_confidence),
        price=reference,
        funds=Funds(equity=case.account.equity, spendable=_spendable(case)),
        asset=case.asset,
        requested=signal.quantity,
    )
    if isinstance(sized, TooSmall):
        return Skip(reasons=(sized.reason,))
    return Go(
        role=Role.ENTRY,
        side=side,
        quantity=sized.quantity,
        type="limit" if limited else "market",
        limit_price=limit if limited else None,
        time_in_force=_time_in_force(signal.asset_class),
        reference_price=reference,
    )


def _entry_refusals(case: Case, side: Side) -> list[Reason]:
    """Return every reason against an entry, the plainest first."""
    signal, executor = case.signal, case.executor
    if signal.intent is Intent.CLOSE:
        return [Reason(code=Code.NO_POSITION, facts={"symbol": signal.symbol})]
    reasons = []
    if side is Side.SELL and signal.asset_class == AssetClass.CRYPTO:
        reasons.append(Reason(code=Code.NO_POSITION, facts={"symbol": signal.symbol, "crypto": "never short"}))
    elif side is Side.SELL and not (executor.order.allow_short and case.account.shorting_enabled):
        code = Code.NO_SHORTING if signal.intent is Intent.OPEN else Code.NO_POSITION
        reasons.append(Reason(code=code, facts={"symbol": signal.symbol, "allow_short": executor.order.allow_short}))
    stale = freshness(case)
    if stale:
        reasons.append(stale)
    reasons += refusals(signal, executor)
    if case.asset is None or not case.asset.tradable:
        reasons.append(Reason(code=Code.ASSET_NOT_TRADABLE, facts={"symbol": signal.symbol}))
    return reasons


def _spendable(case: Case) -> Decimal:
    account = case.account
    crypto = case.signal.asset_class == AssetClass.CRYPTO
    power = account.non_marginable_buying_power if crypto else account.buying_power
    share = case.executor.limits.buying_power_percent
    return power * (Decimal(100) if share is None else share) / 100 - case.reserved


def _collared(case: Case, side: Side, price: Decimal, asset: Asset) -> Decimal:
    return limit_price(price, side=side, collar_percent=case.executor.order.collar_percent, asset=asset)


def _time_in_force(asset_class: str) -> str:
    return "gtc" if asset_class == AssetClass.CRYPTO else "day"
