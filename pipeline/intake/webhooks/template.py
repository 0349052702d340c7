"""Read any other JSON by the template of its webhook: constants, and paths into the body."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from config.webhooks import Template
from pipeline.intake.webhooks import values
from pipeline.intake.webhooks.message import Alert, RefusalCode, Word
from pipeline.intake.webhooks.values import shown
from pipeline.model.errors import InvalidSignal

_FIELDS = tuple(name for name in Template.model_fields if name != "words")


def read(sent: Mapping[str, Any], template: Template) -> Alert:
    """Return what a body says at the places that *template* names.

    Raises:
        InvalidSignal: something is missing or cannot be read.
    """
    body = {field: _held(sent, field, getattr(template, field)) for field in _FIELDS}
    body["action"] = template.words.get(str(body["action"]), body["action"])
    return Alert(
        symbol=_needed(values.text(body, "symbol"), "symbol", template),
        word=_word(body, template),
        price=values.number(body, "price"),
        quantity=values.number(body, "quantity"),
        stop_price=values.number(body, "stop_price"),
        target_price=values.number(body, "target_price"),
        confidence=values.number(body, "confidence"),
        strategy=values.text(body, "strategy"),
        source_id=values.text(body, "source_id"),
        fired_at=values.moment(body, "time"),
        expires_at=values.moment(body, "expires_at"),
        position=values.position(body, "position"),
        previous=values.position(body, "previous_position"),
    )


def _word(body: Mapping[str, Any], template: Template) -> Word:
    said = _needed(values.text(body, "action"), "action", template)
    word = values.word({"action": said}, "action")
    assert word is not None
    return word


def _needed(value: str | None, field: str, template: Template) -> str:
    if value is None:
        raise InvalidSignal(RefusalCode.NOT_UNDERSTOOD, f"{field}: there is nothing at {getattr(template, field)}")
    return value


def _held(sent: Mapping[str, Any], field: str, mapped: str | Decimal | None) -> Any:
    """Return the constant, or what stands at the end of the path; None where the path leads nowhere."""
    if not isinstance(mapped, str) or not mapped.startswith("{"):
        return mapped
    value: Any = sent
    for step in mapped[1:-1].split("."):
        if isinstance(value, Mapping):
            value = value.get(step)
        elif isinstance(value, list):
            value = value[int(step)] if step.isdecimal() and int(step) < len(value) else None
        else:
            return None
    if isinstance(value, Mapping | list):
        raise InvalidSignal(
            RefusalCode.BAD_VALUE, f"{field}: {mapped} leads to {shown(value)}, and not to a single value"
        )
    return value
