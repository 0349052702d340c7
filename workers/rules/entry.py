"""Judge an entry: what speaks against it, and how much it may buy or sell. Pure."""

from __future__ import annotations

from decimal import Decimal

from pipeline.reasons import Code, Reason
from pipeline.routing import refusals
from pipeline.signals import Intent
from pipeline.store.rows import Role
from pipeline.symbols import AssetClass
from workers.brokers.orders import Side
from workers.rules.case import Case, Go, Skip, Verdict
from workers.rules.freshness import freshness
from workers.rules.orders import collared, time_in_force
from workers.sizing import Funds, TooSmall, entry_quantity, scale


def judge_entry(case: Case, side: Side) -> Verdict:
    """Return the sized order, or every reason against it."""
    signal, executor = case.signal, case.executor
    reasons = _entry_refusals(case, side)
    if reasons or signal.entry_price is None or case.asset is None:
        return Skip(reasons=tuple(reasons) or (Reason(code=Code.ENTRY_WITHOUT_PRICE),))
    limited = executor.order.type == "limit"
    limit = collared(case, side, signal.entry_price, case.asset)
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
        time_in_force=time_in_force(signal.asset_class),
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
