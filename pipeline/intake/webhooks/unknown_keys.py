"""Recognise unknown keys whose names suggest that they change the order."""

import re
from collections.abc import Sequence
from typing import Any

from pipeline.intake.webhooks.vocabulary import one_of, words_of

# A key with one of these words may change the order. Some words of `vocabulary` are left out, since they name other
# things, too: type, order, mode, volume, price.
_WORDS = one_of(
    """
    quantity qty size sizing share shares lot lots contract contracts unit units coins amount notional dollar dollars
    usd cash percent pct percentage perc leverage lev margin risk reduce
    trail trailing stop sl tp take target targets trigger oco oto bracket iceberg hidden aon
    tif duration gtc gtd ioc fok
    half partial scale tps sls
    option options strike strikes expiry expiration leg legs call put dte
    test testing testnet dry paper demo sandbox simulate simulated simulation
    """
)
# These words are also found at the beginning and the end of a longer word. Shorter ones are parts of unrelated words.
_LONG_WORDS = tuple(word for word in _WORDS if len(word) >= 5 and word != "testing")  # noqa: PLR2004 -- `latest`
# These are found only as whole words, since unrelated words begin or end with them: `mistake`, `proportion`,
# `capitalization`.
_AMBIGUOUS = one_of(
    """
    allocation allocate investment invest capital budget stake fraction portion multiplier multiple limit limits
    callback activation cancel delay exposure
    """
)
_WORDS |= _AMBIGUOUS | one_of("amt sz lmt")
# In these keys, a word of the list is about something other than an order: a service, a feed, the change of a price.
_OTHER_LIMITS = re.compile(
    r"""(?:^|_)(?:(?:rate|api|request|message|character)_?limits?(?:_(?:remaining|reset|used|left))?
    |(?:data|feed|quote|exchange)_?delay)$
    |^(?:(?:price|day|daily|bar)_)?(?:(?:percent|percentage|pct)_?change|change_?(?:percent|percentage|pct))$""",
    re.VERBOSE,
)
# The last word of a key is the noun, and the words before it describe it: `cancel_url`, `capital_city`.
_ADDRESSES = one_of("url uri link href")
_LABELS = one_of("city label title color colour icon emoji")
_PRACTICE = one_of("test testing testnet dry paper demo sandbox simulate simulated simulation")
_YES_OR_NO = one_of("true false yes no on off y n t f none null")
# A key that consists only of these words and of those above is several words written together.
_BESIDE = one_of(
    """
    account base buy by close daily day entry exit fixed for id initial is long loss max min mode my number num of only
    open order orders per position price profit quote rate ratio sell short symbol the to total trade trading type
    use value
    """
)
_LONGEST = 64
_EVERY = _WORDS | _BESIDE


def may_change_the_order(key: str, value: Any) -> bool:
    """Return whether the name of an unknown key contains a word of `_WORDS`, and *value* may be an instruction."""
    words = words_of(_OTHER_LIMITS.sub("", "_".join(words_of(key))))
    if _names_something_else(words, value):
        return False
    if not _WORDS.isdisjoint(words) or any(map(_is_joined, words)):
        return True
    return len(words) == 1 and (words[0].startswith(_LONG_WORDS) or words[0].endswith(_LONG_WORDS))


def _names_something_else(words: Sequence[str], value: Any) -> bool:
    """Return whether the last word makes the key an address or a label, and *value* looks like one."""
    if len(words) < 2 or not isinstance(value, str):  # noqa: PLR2004 -- a word, and the noun that it describes
        return False
    if words[-1] in _ADDRESSES:
        return value.startswith(("http://", "https://")) and _PRACTICE.isdisjoint(words)
    is_text = len(value.split()) > 0 and not any(map(str.isdigit, value)) and value.strip().lower() not in _YES_OR_NO
    return words[-1] in _LABELS and is_text and not any(word in _WORDS - _AMBIGUOUS for word in words)


def _is_joined(word: str) -> bool:
    """Return whether *word* is several words written together, at least one of them from the list."""
    if len(word) > _LONGEST:
        return False
    # The positions at which a word may end, and those of them that come after a word of the list.
    ends, listed = {0}, set[int]()
    for begin in range(len(word)):
        for each in _EVERY if begin in ends else ():
            if word.startswith(each, begin):
                end = begin + len(each)
                ends.add(end)
                if begin in listed or each in _WORDS:
                    listed.add(end)
    return len(word) in listed
