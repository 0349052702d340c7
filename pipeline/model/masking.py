"""Mask the secrets of a payload, and cut it to the length that a row of the record holds."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

_MASKED_NAMES = r"secret|token|passw|api.?key|authorization"
_SECRET_KEY = re.compile(_MASKED_NAMES, re.IGNORECASE)
# The same for text that is not JSON: a key with such a name, and its whole value.
_SECRET_PAIR = re.compile(
    rf"""((?:{_MASKED_NAMES})[^\s"':=]{{0,40}}["']?\s*[:=]\s*)("[^"]*"?|'[^']*'?|[^,}}\n]+)""", re.IGNORECASE
)
_LONGEST_PAYLOAD = 4096
_DEEPEST_PAYLOAD = 16


def bounded(raw: Any, *, mask: Callable[[str], str] = str) -> str:
    """Return the payload *raw* as text with its secrets masked, at most 4,096 characters.

    Secrets are recognised by their names. *mask* masks those that are known by their values, before the text is cut.
    """
    if isinstance(raw, str):
        return _masked_text(mask(raw))
    # Keys are masked in the whole text, and each value also by itself, because long values are cut before.
    text = mask(json.dumps(_masked(raw, mask), default=str))
    return text[:_LONGEST_PAYLOAD]


def _masked(value: Any, mask: Callable[[str], str], depth: int = 0) -> Any:
    """Mask values whose key names a secret, because people read refusals. Nesting beyond 16 levels is left out."""
    if isinstance(value, Mapping | list | tuple) and depth >= _DEEPEST_PAYLOAD:
        return "…"
    if isinstance(value, Mapping):
        return {
            str(key): "***" if _SECRET_KEY.search(str(key)) else _masked(inner, mask, depth + 1)
            for key, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [_masked(inner, mask, depth + 1) for inner in value]
    return _masked_text(mask(value)) if isinstance(value, str) else value


def _masked_text(text: str) -> str:
    return _SECRET_PAIR.sub(r"\1***", text[:_LONGEST_PAYLOAD])
