"""Recognise input that reads as an exit, so that its refusal is reported at once: a position stays open."""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from pipeline.intake.sources.protocol import UNREADABLE_TEXT

_PLACEHOLDER = re.compile(r"\{\{[^{}]*+\}\}")
# In text, `close:` and `close=` are the price of a bar. `sell` may open a short position, but it mostly closes one.
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
# A value such as `false`, `none` or nothing after one of these keys means that it is no exit.
_NO = r"\s|[\"',;}]|$|\[\s*\]|\{\s*\}|(?:false|no|off|none|null|0(?:\.0*)?)(?![\w.])"
_KEY_IN_TEXT = re.compile(rf"\b(?:{_KEYS})[\"']?\s*[:=]\s*[\"']?(?!{_NO})", re.IGNORECASE)
# A purchase closes a position if the sender is short before or after it.
_BUYS = re.compile(r"[:=]\s*[\"']?buy\b", re.IGNORECASE)
_SHORT = re.compile(r"(?:position|sentiment)(?:_?side)?[\"']?\s*[:=]\s*[\"']?(?:short|bearish)\b", re.IGNORECASE)
_DEEPEST = 16


def reads_as_exit(raw: Any) -> bool:
    """Return whether *raw*, a body or a signal as it was sent, may be an exit."""
    if isinstance(raw, Mapping) and isinstance(raw.get(UNREADABLE_TEXT), str):
        # The name of a file, beside it, may be any word.
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
    """Yield the texts of a value."""
    if isinstance(value, str):
        yield value
    elif depth < _DEEPEST and isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner, depth + 1)
    elif depth < _DEEPEST and isinstance(value, list):
        for inner in value:
            yield from _texts(inner, depth + 1)
