"""Recognise input that reads as an exit. If it is refused, a position may stay open, so an alert reports it."""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from pipeline.intake.sources.protocol import UNREADABLE_TEXT

_PLACEHOLDER = re.compile(r"\{\{[^{}]*+\}\}")
# A word before `:` or `=` does not count: `close:` and `close=` give the price of a bar. `sell` counts, although it may
# open a short position.
_WORD = re.compile(
    r"(?:\b|_)(?:closed?|closing|exit|exits|flat|flatten|reverse|flip|cover|sell|stc|liquidate|liquidation|unwind|trim"
    r"|reduce(?!_?only)|stopped|scale[\s_-]?out|take[\s_-]?profit(?!\s*\$?\d)"
    r"|(?:close|exit)_?(?:position|long|short|all|buy|sell))(?:\b|_)"
    r"(?![\"']?\s*[:=])",
    re.IGNORECASE,
)
_OPENS = re.compile(r"\bsell_(?:short|to_open)\b", re.IGNORECASE)
_KEYS = (
    r"(?:close|exit)_?(?:percent|pct|percentage|position|all|long|short)|(?:is_?)?(?:exit|flatten)"
    r"|(?:reduce|close)_?only|percent_?of_?position"
)
# A key of `_KEYS` does not count if its value is missing, empty, zero, or a word such as `false` or `none`.
_NO = r"\s|[\"',;}]|$|\[\s*\]|\{\s*\}|(?:false|no|off|none|null|0(?:\.0*)?)(?![\w.])"
_KEY_IN_TEXT = re.compile(rf"\b(?:{_KEYS})[\"']?\s*[:=]\s*[\"']?(?!{_NO})", re.IGNORECASE)
# A purchase may close a position if the message reports a short position, before or after it.
_BUYS = re.compile(r"[:=]\s*[\"']?buy\b", re.IGNORECASE)
_SHORT = re.compile(r"(?:position|sentiment)(?:_?side)?[\"']?\s*[:=]\s*[\"']?(?:short|bearish)\b", re.IGNORECASE)
_DEEPEST = 16


def reads_as_exit(raw: Any) -> bool:
    """Return whether *raw*, a body or a signal as it was sent, may be an exit."""
    if isinstance(raw, Mapping) and isinstance(raw.get(UNREADABLE_TEXT), str):
        # Only this text is searched: the name of the file beside it may contain any word.
        raw = raw[UNREADABLE_TEXT]
    written = raw if isinstance(raw, str) else ""
    with suppress(ValueError, TypeError, RecursionError):
        if isinstance(raw, str):
            raw = json.loads(raw)
        else:
            written = json.dumps(raw, default=str)
    if _KEY_IN_TEXT.search(written) or (_BUYS.search(written) and _SHORT.search(written)):
        return True
    return any(_WORD.search(_OPENS.sub("", _PLACEHOLDER.sub("", text))) for text in _texts(raw))


def _texts(value: Any, depth: int = 0) -> Iterator[str]:
    """Yield the strings in a value, without the keys of its objects."""
    if isinstance(value, str):
        yield value
    elif depth < _DEEPEST and isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner, depth + 1)
    elif depth < _DEEPEST and isinstance(value, list):
        for inner in value:
            yield from _texts(inner, depth + 1)
