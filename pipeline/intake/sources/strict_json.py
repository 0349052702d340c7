"""Decode JSON text strictly: decimals are exact, and a text with two possible meanings is an error."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from pipeline.model.nesting import is_too_deep

#: The white space of JSON.
BLANK = " \t\r\n"
_TOO_DEEP = "not a signal: nested too deeply"


class NotJson(ValueError):
    """The text is not JSON; the message says why.

    Attributes:
        offset: The number of characters before the fault.
        unfinished: The text is the beginning of an object or an array; more text may complete it.
    """

    def __init__(self, message: str, *, offset: int, unfinished: bool = False) -> None:
        super().__init__(message)
        self.offset = offset
        self.unfinished = unfinished


@dataclass(frozen=True, kw_only=True)
class Element:
    """One element: *value* if it is an object, else the reason in *error*. *offset* is its position in the text."""

    offset: int
    value: dict[str, Any] | None = None
    error: str | None = None


# Takes the place of a value that is not accepted, so that decoding goes on with the other elements.
@dataclass(frozen=True)
class _Refused:
    why: str


def decode(text: str) -> list[Element]:
    """Return the one value of *text*, or the elements if it is an array. One that is not an object has an *error*.

    Numbers with a point or an exponent become Decimals. NaN, Infinity, a key given twice, characters that cannot be
    encoded and more than 64 levels are errors of their element only.

    Raises:
        NotJson: *text* is not JSON, or is nested too deeply.
    """
    start = _skip(text, 0)
    try:
        found = list(_array(text, start)) if text.startswith("[", start) else [(start, _single(text, start))]
    except json.JSONDecodeError as exc:
        unfinished = text.startswith(("{", "["), start) and exc.pos >= len(text.rstrip(BLANK))
        why = "it ends too early" if unfinished else exc.msg
        raise NotJson(f"not JSON: {why}", offset=exc.pos, unfinished=unfinished) from None
    except RecursionError:
        raise NotJson(_TOO_DEEP, offset=0) from None
    return [_element(offset, value) for offset, value in found]


def _single(text: str, start: int) -> Any:
    value, end = _DECODER.raw_decode(text, start)
    if text[end:].strip(BLANK):
        raise json.JSONDecodeError("more text after the end of the value", text, end)
    return value


# The standard decoder does not give the offsets of an array's elements.
def _array(text: str, start: int) -> Iterator[tuple[int, Any]]:
    at = _skip(text, start + 1)
    if not text.startswith("]", at):
        while True:
            value, end = _DECODER.raw_decode(text, at)
            yield at, value
            at = _skip(text, end)
            if text.startswith("]", at):
                break
            if not text.startswith(",", at):
                raise json.JSONDecodeError("expecting ',' or ']' after an element", text, at)
            at = _skip(text, at + 1)
    if _skip(text, at + 1) < len(text):
        raise json.JSONDecodeError("more text after the end of the array", text, at + 1)


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in BLANK:
        at += 1
    return at


def _element(offset: int, value: Any) -> Element:
    if is_too_deep(value):
        return Element(offset=offset, error=_TOO_DEEP)
    refused = _first_refused(value)
    if refused is not None:
        return Element(offset=offset, error=refused.why)
    if not isinstance(value, dict):
        return Element(offset=offset, error=f"a signal is a JSON object, not {_NAMES.get(type(value), 'a number')}")
    return Element(offset=offset, value=value)


def _first_refused(value: Any) -> _Refused | None:
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, _Refused):
            return one
        if isinstance(one, str) and not one.isascii() and not _encodes(one):
            return _Refused("a text holds half of a character (a lone surrogate)")
        if isinstance(one, dict):
            waiting += [*one.keys(), *one.values()]
        elif isinstance(one, list):
            waiting += one
    return None


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


# A key that is given twice is refused: the sender may have meant either value.
def _once(pairs: list[tuple[str, Any]]) -> Any:
    value = dict(pairs)
    if len(value) == len(pairs):
        return value
    keys = [key for key, _ in pairs]
    twice = next(key for key in keys if keys.count(key) > 1)
    return _Refused(f"{twice!r} is given more than once")


def _decimal(digits: str) -> Decimal | _Refused:
    try:
        return Decimal(digits)
    except InvalidOperation:
        return _Refused("a number is out of range")


def _integer(digits: str) -> int | _Refused:
    try:
        return int(digits)
    except ValueError:
        return _Refused("a number is out of range")


_NAMES = {list: "an array", str: "a text", bool: "true or false", type(None): "null"}

_DECODER = json.JSONDecoder(
    object_pairs_hook=_once,
    parse_float=_decimal,
    parse_int=_integer,
    parse_constant=lambda name: _Refused(f"{name} is not a number that JSON or a price can be"),
)
