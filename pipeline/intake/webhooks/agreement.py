"""Refuse an alert that says two things under names that are read, or a value there that would not be read."""

from collections.abc import Collection, Mapping
from contextlib import suppress
from decimal import Decimal, InvalidOperation
from typing import Any

from pipeline.intake.webhooks import values
from pipeline.intake.webhooks.fields import is_absent
from pipeline.intake.webhooks.message import RefusalCode
from pipeline.model.errors import InvalidSignal


def refuse_objects(body: Mapping[str, Any], names: Collection[str]) -> None:
    """Raise InvalidSignal when there is no single value under one of *names*: `"close": {"percent": 50}`."""
    for name in names:
        value = body.get(name)
        if value is True or isinstance(value, dict | list):
            key = values.first(body, name)[0]
            message = f"{key[:60]}: {values.shown(value)} cannot be read under this name: send a single value"
            raise InvalidSignal(RefusalCode.BAD_VALUE, message)


def refuse_two(body: Mapping[str, Any], names: Collection[str]) -> None:
    """Raise InvalidSignal when two of *names*, which mean the same, have different values."""
    found = [name for name in names if not is_absent(body.get(name))]
    for name in found[1:]:
        if not same(body[name], body[found[0]]):
            one, other = (values.first(body, each)[0] for each in (found[0], name))
            message = f"{other[:60]}: it has another value than {one[:60]}: send one of them"
            raise InvalidSignal(RefusalCode.NOT_UNDERSTOOD, message)


def refuse_lone_size(body: Mapping[str, Any], positions: Collection[str]) -> None:
    """Raise InvalidSignal for `positionSize` without the side of a position: it may be the size of the order."""
    if values.number(body, "position_size") and values.position(body, *positions) is None:
        key = values.first(body, "position_size")[0]
        message = f"{key}: it may be the size of the order or of your position: send quantity, or market_position too"
        raise InvalidSignal(RefusalCode.NOT_SUPPORTED, message)


def same(one: Any, other: Any) -> bool:
    """Return whether two values are the same number or the same text."""
    return bool(_comparable(one) == _comparable(other))


def _comparable(value: Any) -> Any:
    if isinstance(value, dict | list):
        return value
    text = str(value).strip().lower()
    with suppress(InvalidOperation):
        return Decimal(text)
    return text
