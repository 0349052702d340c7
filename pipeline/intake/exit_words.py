"""Recognise input that reads as an exit, so that its refusal is reported at once: a position stays open."""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

_PLACEHOLDER = re.compile(r"\{\{[^}]*\}\}")
# In text, `close:` and `close=` are the price of a bar. `sell` may open a short position, but it mostly closes one.
_WORD = re.compile(
    r"(?:\b|_)(?:closed?|closing|exit|exits|flat|flatten|reverse|flip|cover|sell|closelong|closeshort|closeall|exitlong"
    r"|exitshort)(?:\b|_)(?![\"']?\s*[:=])",
    re.IGNORECASE,
)
_OPENS = re.compile(r"\bsell_(?:short|to_open)\b", re.IGNORECASE)
_KEYS = re.compile(r"(?:close|exit)_?(?:percent|pct|percentage)|reduce_?only|percent_?of_?position", re.IGNORECASE)
_DEEPEST = 16


def reads_as_exit(raw: Any) -> bool:
    """Return whether *raw*, a body or a signal as it was sent, may be an exit."""
    if isinstance(raw, str):
        with suppress(ValueError, RecursionError):
            raw = json.loads(raw)
    return any(_WORD.search(_OPENS.sub("", _PLACEHOLDER.sub("", text))) for text in _texts(raw))


def _texts(value: Any, depth: int = 0) -> Iterator[str]:
    """Yield the texts of a value, and `close` for a key that only an exit has."""
    if isinstance(value, str):
        yield value
    elif depth < _DEEPEST and isinstance(value, Mapping):
        for key, inner in value.items():
            if _KEYS.fullmatch(str(key)) and inner not in (None, "", False, 0):
                yield "close"
            yield from _texts(inner, depth + 1)
    elif depth < _DEEPEST and isinstance(value, list):
        for inner in value:
            yield from _texts(inner, depth + 1)
