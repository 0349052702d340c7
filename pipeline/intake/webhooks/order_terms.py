"""Read the terms of an order with the list of `vocabulary`: each term is carried out, or refused by its key."""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from pipeline.intake.webhooks import values
from pipeline.intake.webhooks.fields import AlertFields, is_absent
from pipeline.intake.webhooks.inner_terms import InnerTerms, objects_in
from pipeline.intake.webhooks.message import OrderTerms, RefusalCode
from pipeline.intake.webhooks.sizes import size_of
from pipeline.intake.webhooks.unknown_keys import may_change_the_order
from pipeline.intake.webhooks.values import shown
from pipeline.intake.webhooks.vocabulary import (
    CLASSES,
    POSITION_SIZES,
    TESTS,
    Term,
    joined,
    one_of,
    term_of,
    term_with,
    words_of,
)
from pipeline.model.errors import InvalidSignal
from pipeline.model.symbols import AssetClass

#: The fields of a bar. `volume` beside one of them is the bar's.
BAR = frozenset({"open", "high", "low", "close"})

_OFF = one_of("0 0.0 false f no n none null off") | {""}
_ON = one_of("1 true yes on y t live real")
_MARKET = one_of("market mkt marketorder")
_LIMIT = one_of("limit lmt limitorder")
_PLAIN = "simple"
_NO_LIMIT = (
    'a limit that must hold exactly is not carried out: send "price" without it; order.type and order.collar_percent '
    "of the executor decide how far from that price the order may be filled"
)
# A kind of order with one of these words waits for a price or a time, whatever its other words are.
_WAITING = one_of(
    """stop stp sl tp trail trailing touched mit lit moc loc moo loo trigger triggered conditional oco oto otoco bracket
    iceberg twap vwap peg pegged limit lmt auction algo"""
)
# These are also found in words that are written together: `stoplimit`, `takeprofitmarket`, `marketonclose`.
_WAITING_PARTS = re.compile(
    r"stop|trail|takeprofit|trigger|iftouched|on(close|open)|limit(order|maker|on|if)|oco$|conditional"
)
_DOLLARS = one_of("usd usdt usdc dollar dollars")
_GTC = one_of("gtc goodtilcanceled goodtilcancelled goodtillcanceled goodtillcancelled")


_Found = dict[Term, list[tuple[str, Any]]]


def read_terms(body: AlertFields, read: Collection[str], *, in_text: bool = False) -> OrderTerms:
    """Return the terms of a body. *read* are the field names that its dialect reads itself.

    Raises:
        InvalidSignal: a term cannot be carried out, or an unknown key may change the order.
    """
    found, inner, unused = _read_keys(body, read, in_text=in_text)
    if not in_text or _is_of_bar(Term.VOLUME, body):
        _refuse_volume(found.get(Term.VOLUME, ()))
    for term in found.keys() & _REFUSED:
        _refuse_unless_harmless(term, found[term])
    kind = _kind([*found.get(Term.KIND, ()), *found.get(Term.TYPE, ())])
    for key, _ in found.get(Term.LIMIT, ()):
        # A market order has no limit, so the key is not used.
        if kind != "market":
            raise _unsupported(key, _NO_LIMIT)
        unused.append(key)
    return OrderTerms(
        size=size_of(found),
        kind=kind,
        time_in_force=_time_in_force(found.get(Term.TIME_IN_FORCE, ())),
        asset_class=_asset_class([*found.get(Term.ASSET_CLASS, ()), *inner.classes]),
        exchange=inner.exchange,
        others=tuple(inner.orders),
        closes=any(not _is_off(value) for _, value in found.get(Term.REDUCE_ONLY, ())),
        for_exits=next((key for key, value in found.get(Term.FOR_EXITS, ()) if not _is_off(value)), None),
        unused=tuple(unused),
    )


def _read_keys(body: AlertFields, read: Collection[str], *, in_text: bool) -> tuple[_Found, InnerTerms, list[str]]:
    """Return the keys and values by term, the terms inside unused values, and the unused keys."""
    found: _Found = {}
    inner, unused = InnerTerms(), []
    for name, value in body.items():
        if name in read or is_absent(value):
            continue
        key = body.sent(name)
        term = None if isinstance(value, dict) else term_with(name, value)
        if _is_of_bar(term, body) and not in_text:
            unused.append(key)
        elif term in (None, Term.WORD) or (term is Term.TYPE and not _is_kind(value)):
            refuse_unread(key, value)
            unused.append(key)
            inner.read(key, value)
        else:
            found.setdefault(term, []).append((key, value))
    return found, inner, unused


def refuse_unread(key: str, value: Any, *, sizes: bool = True) -> None:
    """Raise InvalidSignal when *key*, or a key inside *value*, may change the order; a size only if *sizes*."""
    term, inner = term_with(key, value), list(objects_in(value))
    if term is None and (_is_off(value) or "_".join(words_of(key)) in POSITION_SIZES):
        return
    if inner and (term is Term.OPTION or may_change_the_order(key, value)):
        raise _unsupported(key, "it may change the order and cannot be read: a signal is one order for one symbol")
    if (term is Term.LIMIT and not _is_off(value)) or (_is_kind_term(term) and joined(str(value)) in _LIMIT):
        raise _unsupported(key, _NO_LIMIT)
    ignored = term in _SIZES and not sizes
    if (
        not inner
        and not ignored
        and (may_change_the_order(key, value) if term is None else not _is_harmless(term, value))
    ):
        raise _unsupported(key, "it may change the order and is not read here: remove it, or rename it if it does not")
    for each in inner:
        for inner_key, inner_value in each.items():
            if not _is_of_bar(term_of(inner_key), each):
                refuse_unread(inner_key, inner_value, sizes=sizes)


def _is_of_bar(term: Term | None, body: Mapping[str, Any]) -> bool:
    return term is Term.VOLUME and not BAR.isdisjoint(str(name).lower() for name in body)


def _is_kind_term(term: Term | None) -> bool:
    return term in (Term.KIND, Term.TYPE)


def _refuse_volume(found: Collection[tuple[str, Any]]) -> None:
    for key, _ in found:
        raise _unsupported(key, 'it may be the size or the volume of a bar: send "quantity", or the fields of the bar')


def _refuse_unless_harmless(term: Term, found: Collection[tuple[str, Any]]) -> None:
    for key, value in found:
        if not _is_harmless(term, value):
            raise _unsupported(key, f"{shown(value)} {_REFUSED[term]}")


def _is_harmless(term: Term, value: Any) -> bool:
    """Return whether the term can be left out without changing the order."""
    word = joined(value) if isinstance(value, str) else ""
    match term:
        case Term.LIVE:
            return value is True or str(value).strip().lower() in _ON
        case Term.MODE:
            texts = [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, str)]
            return all(TESTS.isdisjoint([joined(each), *words_of(each)]) for each in texts)
        case Term.ASSET_CLASS | Term.CURRENCY:
            return word in (CLASSES if term is Term.ASSET_CLASS else _DOLLARS)
        case Term.LEVERAGE:
            return str(value).lower().strip(" x") in ("1", "1.0") or _is_off(value)
        case Term.KIND | Term.TYPE:
            return word in _MARKET or word == _PLAIN or (term is Term.TYPE and not _is_kind(value))
        case _:
            return term is Term.WORD or _is_off(value)


def _is_kind(value: Any) -> bool:
    """Return whether a value names a kind of order, and not the sender's word for something else."""
    sent = str(value)
    waits = not _WAITING.isdisjoint(words_of(sent)) or _WAITING_PARTS.search(joined(sent)) is not None
    return joined(sent) in _MARKET or waits


def _is_off(value: Any) -> bool:
    return value in (None, False, 0) or value in ([], {}) or (isinstance(value, str) and value.strip().lower() in _OFF)


def _kind(found: Sequence[tuple[str, Any]]) -> str | None:
    kind = None
    for key, value in found:
        word = joined(values.text({key: value}, key) or "")
        if word in _LIMIT:
            raise _unsupported(key, _NO_LIMIT)
        if word in _MARKET:
            kind = "market"
        elif word != _PLAIN:
            raise _unsupported(key, f"{shown(value)} is not carried out: a signal is a new order that acts at once")
    return kind


def _time_in_force(found: Collection[tuple[str, Any]]) -> tuple[str, str] | None:
    for key, value in found:
        word = joined(values.text({key: value}, key) or "")
        word = "gtc" if word in _GTC else word
        if word not in ("day", "gtc"):
            raise _unsupported(key, f"{shown(value)} is not carried out; shares are ordered for the day, crypto as gtc")
        return key, word
    return None


def _asset_class(found: Collection[tuple[str, Any]]) -> tuple[str, AssetClass] | None:
    classes = [(key, named) for key, value in found if (named := CLASSES[joined(str(value))]) is not None]
    for key, named in classes[1:]:
        if named is not classes[0][1]:
            raise _unsupported(key, f"it names another class than {classes[0][0]}: send one of them")
    return classes[0] if classes else None


def _unsupported(key: str, message: str) -> InvalidSignal:
    return InvalidSignal(RefusalCode.NOT_SUPPORTED, f"{key[:60]}: {message}")


_SIZES = frozenset({Term.QUANTITY, Term.AMOUNT, Term.VOLUME, Term.NOTIONAL, Term.EQUITY_PERCENT, Term.UNIT})
_REFUSED = {
    Term.EFFECT: 'is not read: write it as the action, such as "close_long" or "close_short"',
    Term.OPTION: "names an option; only shares and crypto are traded",
    Term.ASSET_CLASS: "is not traded; only shares and crypto are",
    Term.LEVERAGE: "is not carried out; the executor decides how much is bought on margin",
    Term.OTHER: "is not carried out: remove it, and send the alert when the order is to go",
    Term.MORE: 'is not followed: a signal is for one symbol, and for the executors in "executors"',
    Term.CURRENCY: "is not converted: prices are in US dollars",
    Term.TEST: "says that this message is a test; nothing was recorded",
    Term.LIVE: "says that this message is not for real; nothing was recorded",
    Term.MODE: "says that this message is not for real; nothing was recorded",
}
