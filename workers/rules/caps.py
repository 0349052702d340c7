"""Compute how much of an entry each limit still allows: position, exposure, losses, money. Pure."""

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

from pipeline.accounts.exposure import position_value
from pipeline.accounts.losses import LossLimit, uses
from pipeline.model.reasons import Code
from pipeline.model.symbols import AssetClass, asset_class
from workers.rules.case import Case
from workers.rules.entry_terms import Terms
from workers.rules.sizing import Cap, affordable

_HUNDRED = Decimal(100)
_ZERO = Decimal(0)
_CENT = Decimal("0.01")
_LOSS_CODES = {LossLimit.DAILY_LOSS: Code.DAILY_LOSS_LIMIT, LossLimit.DRAWDOWN: Code.DRAWDOWN_LIMIT}


def caps(case: Case, terms: Terms) -> tuple[Cap, ...]:
    """Return every cap on an entry at *terms*. Percentages are of the account's equity as read."""
    return (*_position(case, terms), *_exposure(case, terms), *_losses(case, terms), _money(case, terms))


def held(case: Case) -> Decimal:
    """Return the units of the symbol that are held or pending, unsigned: the larger of book and position."""
    position = abs(case.position.quantity) if case.position else _ZERO
    return max(abs(case.book.quantity(case.signal.symbol)), position)


def unseen(case: Case) -> Decimal:
    """Return by how much the symbol's position, read after the snapshot, is worth more than the book shows."""
    if case.position is None:
        return _ZERO
    return max(position_value(case.position) - case.book.gross([case.signal.symbol]), _ZERO)


def _position(case: Case, terms: Terms) -> Iterator[Cap]:
    percent, most = case.executor.size.maximum_percent, case.executor.firm.maximum_quantity
    if percent is not None:
        limit = case.account.equity * percent / _HUNDRED
        yield _cap(Code.POSITION_SIZE_LIMIT, limit=limit, used=_ZERO, terms=terms)
    if most is not None:
        facts = {"maximum_quantity": most, "held": held(case)}
        yield Cap(code=Code.POSITION_SIZE_LIMIT, quantity=max(most - held(case), _ZERO), facts=facts)


def _exposure(case: Case, terms: Terms) -> Iterator[Cap]:
    limits, book, symbol = case.executor.limits, case.book, case.signal.symbol
    more, equity = unseen(case), case.account.equity
    if limits.gross_exposure_percent is not None:
        limit = equity * limits.gross_exposure_percent / _HUNDRED
        yield _cap(Code.GROSS_EXPOSURE_LIMIT, limit=limit, used=book.gross() + more, terms=terms)
    if limits.symbol_exposure_percent is not None:
        limit = equity * limits.symbol_exposure_percent / _HUNDRED
        yield _cap(Code.SYMBOL_EXPOSURE_LIMIT, limit=limit, used=book.gross([symbol]) + more, terms=terms)
    if limits.group_exposure_percent is not None:
        limit = equity * limits.group_exposure_percent / _HUNDRED
        for name, members in case.executor.groups.items():
            if symbol in members:
                used = book.gross(members) + more
                yield _cap(Code.GROUP_EXPOSURE_LIMIT, limit=limit, used=used, terms=terms, group=name)


def _losses(case: Case, terms: Terms) -> Iterator[Cap]:
    """Cap the entry so that each limit holds even if the entry and all open positions fall to their stops."""
    if case.baseline is None:
        return
    # The account may have been read after the keeper's reading; the smaller equity counts.
    baseline = replace(case.baseline, equity=min(case.baseline.equity, case.account.equity))
    assumed = case.executor.size.default_stop_percent
    at_risk = case.book.open_risk(assumed) + unseen(case) * assumed / _HUNDRED
    for use in uses(case.executor, baseline):
        room = use.allowed - use.lost - at_risk
        facts = {
            "limit": _cents(use.allowed),
            "lost": _cents(use.lost),
            "open_risk": _cents(at_risk),
            "room": _cents(room),
            "unit_risk": _cents(terms.risk),
        }
        yield Cap(code=_LOSS_CODES[use.limit], quantity=affordable(room, terms.risk), facts=facts)


def _money(case: Case, terms: Terms) -> Cap:
    """Cap by buying power; crypto is not bought on margin. An account without equity buys nothing."""
    account, limit_percent = case.account, case.executor.limits.buying_power_percent
    crypto = case.signal.asset_class == AssetClass.CRYPTO
    # An entry waits while the broker does not report this figure, so the 0 is never used.
    power = account.non_marginable_buying_power or _ZERO if crypto else account.buying_power
    spent = _spent(case, crypto=crypto)
    # The percentage is of the whole buying power. A percentage of what is left would allow a further entry every time.
    whole = power + spent if account.equity > 0 else _ZERO
    limit = whole * (_HUNDRED if limit_percent is None else limit_percent) / _HUNDRED
    code = Code.CASH_USED_UP if crypto else Code.BUYING_POWER_USED_UP
    return _cap(code, limit=limit, used=spent + case.reserved, terms=terms)


def _spent(case: Case, *, crypto: bool) -> Decimal:
    """Return the buying power that is used already: by positions, and by our orders that the broker has deducted."""
    book, kind = case.book, AssetClass.CRYPTO if crypto else AssetClass.US_EQUITY
    named = [each.symbol for each in book.positions] + [each.symbol for each in book.pending]
    symbols = {symbol for symbol in named if asset_class(symbol) is kind}
    held = sum((position_value(each) for each in book.positions if each.symbol in symbols), _ZERO)
    # The book includes reserved amounts too, but the broker has not deducted them yet.
    return held + max(book.gross(symbols) - held - case.reserved, _ZERO)


def _cap(code: Code, *, limit: Decimal, used: Decimal, terms: Terms, **facts: str) -> Cap:
    figures = {"limit": _cents(limit), "used": _cents(used), "room": _cents(limit - used), "price": terms.price}
    return Cap(code=code, quantity=affordable(limit - used, terms.price), facts={**facts, **figures})


def _cents(amount: Decimal) -> Decimal:
    return amount.quantize(_CENT)
