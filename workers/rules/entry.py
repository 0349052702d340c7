"""Decide on an entry: the reasons against it, the holds, and its size. Pure."""

from decimal import Decimal

from pipeline.intake.routing import refusals
from pipeline.model.account import Asset
from pipeline.model.orders import OrderSide
from pipeline.model.reasons import Code, Reason
from pipeline.model.signals import Intent
from pipeline.model.sources import FLIP, PROBE
from pipeline.model.symbols import AssetClass, quoted_in
from pipeline.store.rows import Role
from workers.rules import limits, repeats
from workers.rules.caps import caps
from workers.rules.case import Case, Go, Hold, Skip, Verdict
from workers.rules.closed_market import hold_entry, hold_price, out_of_hours, refusal
from workers.rules.entry_terms import Terms, terms_of
from workers.rules.freshness import freshness
from workers.rules.holds import hold
from workers.rules.market_price import is_at_market, with_price
from workers.rules.orders import time_in_force
from workers.rules.protection import (
    refuse_after_stop,
    refuse_against_stop,
    refuse_passed_stop,
    refuse_without_stop,
    with_stop,
)
from workers.rules.requested_size import requested_units
from workers.rules.sizing import TooSmall, calm, configured, entry_quantity, lot, scale
from workers.rules.switches import PAUSE_WAIT, verdict_on

_DOLLAR = "USD"
_WORTH_A_DOLLAR = frozenset({"USDC", "USDT"})


def decide_entry(case: Case, side: OrderSide) -> Verdict:
    """Return every reason against the entry, else a hold, else the sized order."""
    case = with_stop(case, side)
    stopped, paused = verdict_on(case.switches)
    closed = hold_entry(case)
    # The account's switches come first, since a person can change them.
    reasons = [*stopped, *_refusals(case, side, waits=closed is not None)]
    price, asset = case.signal.entry_price, case.asset
    waits_for_price = is_at_market(case.signal)
    if reasons or asset is None or (price is None and not waits_for_price):
        return Skip(reasons=tuple(reasons))
    if closed is not None:
        return closed
    if paused is not None:
        return Hold(reason=paused, wait=PAUSE_WAIT)
    if price is None:
        return _at_market(case, side)
    return hold_price(case) or hold(case, side) or _sized(case, terms_of(case, side, price, asset), asset)


def _at_market(case: Case, side: OrderSide) -> Verdict:
    """Decide again at the market's price, so that every check that needs a price is made; hold while there is none."""
    priced = with_price(case, side)
    if not isinstance(priced, Case):
        return priced
    return decide_entry(priced, side)


def _refusals(case: Case, side: OrderSide, *, waits: bool) -> list[Reason]:
    """Return every reason against an entry. While it *waits* for an open market, limits and repeats are not checked."""
    if case.signal.intent is Intent.CLOSE:
        return [Reason(code=Code.NO_POSITION, facts={"symbol": case.signal.symbol})]
    reasons = [_shorting(case) if side is OrderSide.SELL else None, freshness(case)]
    reasons += refusals(case.signal, case.executor)
    reasons += [_flip(case), refuse_after_stop(case), refuse_against_stop(case, side)]
    reasons += [refuse_without_stop(case), refuse_passed_stop(case, side)]
    reasons += [_price(case), _asset(case), _currency(case), refusal(case)]
    if not waits:
        reasons += [repeats.refusal(case), *limits.refusals(case)]
    return [reason for reason in reasons if reason is not None]


def _flip(case: Case) -> Reason | None:
    """Return why an entry that would open the other side after an exit is not sent."""
    if case.recent.flat_since is not None:
        return Reason(code=Code.SUPERSEDED, facts={"by": str(case.recent.flat_since)})
    if case.signal.source != FLIP or case.executor.order.flip == "reverse":
        return None
    return Reason(code=Code.NO_FLIP, facts={"symbol": case.signal.symbol, "flip": case.executor.order.flip})


def _shorting(case: Case) -> Reason | None:
    """Return why a SELL may not open a short position, or add to one."""
    symbol, allowed = case.signal.symbol, case.executor.order.allow_short
    if case.signal.asset_class == AssetClass.CRYPTO:
        return Reason(code=Code.NO_POSITION, facts={"symbol": symbol, "crypto": "never short"})
    if not (allowed and case.account.shorting_enabled):
        meant = case.signal.intent is Intent.OPEN or case.position is not None
        code = Code.NO_SHORTING if meant else Code.NO_POSITION
        return Reason(code=code, facts={"symbol": symbol, "allow_short": allowed})
    if case.asset is not None and not case.asset.shortable:
        return Reason(code=Code.NO_SHORTING, facts={"symbol": symbol, "shortable": False})
    return None


def _price(case: Case) -> Reason | None:
    """Return a reason when the entry has no price, or one below the asset's smallest price step."""
    price = case.signal.entry_price
    if price is None:
        return None if is_at_market(case.signal) else Reason(code=Code.ENTRY_WITHOUT_PRICE)
    if case.asset is not None and terms_of(case, OrderSide.BUY, price, case.asset).limit <= 0:
        return Reason(code=Code.ENTRY_WITHOUT_PRICE, facts={"price": price, "below": "the smallest step of a price"})
    return None


def _asset(case: Case) -> Reason | None:
    if case.asset is not None and case.asset.tradable:
        return None
    return Reason(code=Code.ASSET_NOT_TRADABLE, facts={"symbol": case.signal.symbol})


def _currency(case: Case) -> Reason | None:
    """Return a reason when the price is not in the account's money. Every limit is in that money."""
    symbol, money = case.signal.symbol, case.account.currency
    quote = quoted_in(symbol)
    if quote is None or quote == money or (money == _DOLLAR and quote in _WORTH_A_DOLLAR):
        return None
    facts = {"symbol": symbol, "quoted_in": quote, "account_in": money}
    return Reason(code=Code.QUOTED_IN_ANOTHER_CURRENCY, facts=facts)


def _sized(case: Case, terms: Terms, asset: Asset) -> Go | Skip:
    """Return the order in the size that every cap allows, or the caps that make it too small."""
    executor, wanted = case.executor, requested_units(case, per_unit=terms.limit)
    if wanted is None:
        wanted = configured(
            executor.size, factor=_factor(case), equity=case.account.equity, price=terms.price, risk=terms.risk
        )
    lots = lot(executor.size, asset, side=terms.side, price=terms.lowest)
    sized = entry_quantity(wanted, caps=caps(case, terms), lot=lots, asset=asset)
    if isinstance(sized, TooSmall):
        return Skip(reasons=sized.reasons)
    extended = out_of_hours(case)
    # A probe must not be a market order, which would trade at any price.
    limited = executor.order.type == "limit" or extended or case.signal.source == PROBE
    return Go(
        role=Role.ENTRY,
        side=terms.side,
        quantity=sized.quantity,
        type="limit" if limited else "market",
        limit_price=terms.limit if limited else None,
        time_in_force=time_in_force(case.signal.asset_class),
        reference_price=terms.price,
        stop_price=case.signal.stop_price,
        risk=sized.quantity * terms.risk,
        extended_hours=extended,
    )


def _factor(case: Case) -> Decimal:
    """Return the factor by which confidence and volatility change the size."""
    size, confidence = case.executor.size, case.signal.confidence or Decimal(0)
    sure = scale(size, confidence=confidence, minimum_confidence=case.executor.route.minimum_confidence)
    return sure * calm(size, volatility_percent=case.signal.volatility_percent)
