"""Read any JSON by the template of its webhook: constants, and paths into the body."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from config.webhooks import Template
from pipeline.intake.webhooks import values
from pipeline.intake.webhooks.agreement import same
from pipeline.intake.webhooks.fields import fields_of, is_absent
from pipeline.intake.webhooks.inner_terms import ACTION, InnerTerms
from pipeline.intake.webhooks.message import Alert, AlertAction, RefusalCode
from pipeline.intake.webhooks.order_terms import BAR, read_terms, refuse_unread
from pipeline.intake.webhooks.tradingview import KNOWN, POSITION, PREVIOUS, SIZE, agreed, at_market
from pipeline.intake.webhooks.values import shown
from pipeline.intake.webhooks.vocabulary import Term, joined, may_name_an_action, term_of
from pipeline.model.errors import InvalidSignal

_SIZES = ("quantity", "notional", "equity_percent", "close_percent")
# Names that the other dialects read, with the template's field for each. A key with such a name is refused when the
# template lacks the field, because it would be ignored.
_MAPPED = (
    dict.fromkeys(POSITION, "position")
    | dict.fromkeys(PREVIOUS, "previous_position")
    | dict.fromkeys(SIZE, "position_size")
    | {name: name for name in ("confidence", "expires_at", "executors", "intent")}
)
_FIELDS = tuple(name for name in Template.model_fields if name != "words")


def read(sent: Mapping[str, Any], template: Template, *, sizes: bool) -> Alert:
    """Return the alert that *template* finds in a body.

    If *sizes* is true, a size in the body that the template does not map is refused.

    Raises:
        InvalidSignal: a value is missing or cannot be read, or an unmapped key may change the order.
    """
    body = {field: _value_of(sent, field, getattr(template, field)) for field in _FIELDS}
    body["action"] = template.words.get(str(body["action"]), body["action"])
    unmapped = list(_unmapped(sent, {str(getattr(template, field)) for field in _FIELDS}))
    inner = InnerTerms()
    for key, value in unmapped:
        refuse_unread(key, value, sizes=sizes)
        _refuse_unmapped(key, value, body, sizes=sizes)
        inner.read_symbol(key, value)
        inner.read(key, value)
    terms = read_terms(fields_of({key: body[key] for key in _SIZES} | dict(inner.classes), {}), ())
    return Alert(
        symbol=_needed(values.text(body, "symbol"), "symbol", template),
        action=_agreed(_action(body, template), unmapped),
        price=None if at_market(body) else values.number(body, "price"),
        at_market=at_market(body),
        terms=replace(
            terms,
            exchange=inner.exchange,
            others=tuple(inner.orders),
            unused=tuple(key for key, value in unmapped if not is_absent(value)),
        ),
        stop_price=values.number(body, "stop_price"),
        target_price=values.number(body, "target_price"),
        confidence=values.number(body, "confidence"),
        strategy=values.text(body, "strategy"),
        source_id=values.text(body, "source_id"),
        fired_at=values.time(body, "time"),
        expires_at=values.time(body, "expires_at"),
        position=values.position(body, "position"),
        previous=values.position(body, "previous_position"),
    )


def _unmapped(sent: Any, mapped: Collection[str], path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the keys and values that the template does not name."""
    inner = sent.items() if isinstance(sent, Mapping) else enumerate(sent)
    bar = isinstance(sent, Mapping) and not BAR.isdisjoint(sent)
    for key, value in inner:
        here = f"{path}.{key}" if path else str(key)
        if f"{{{here}}}" in mapped:
            continue
        if isinstance(value, Mapping | list) and any(each.startswith(f"{{{here}.") for each in mapped):
            yield from _unmapped(value, mapped, here)
        elif not (bar and term_of(str(key)) is Term.VOLUME):
            yield str(key), value


def _refuse_unmapped(key: str, value: Any, body: Mapping[str, Any], *, sizes: bool) -> None:
    """Refuse an unmapped key that the other dialects read, if it would change the order."""
    name = KNOWN.get(joined(key), "")
    field = _MAPPED.get(name)
    if field is None or is_absent(value) or isinstance(value, dict | list | bool):
        return
    if field == "position_size":
        harmful = sizes and body["position"] is None and same(value, 0) is False
    elif field.endswith("position"):
        harmful = str(value).strip().lower() in values.POSITIONS and not same(value, body[field])
    else:
        # A constant in the template is a decision that such a key cannot change.
        harmful = body.get(field) is None
    if harmful:
        message = f"{key[:60]}: it changes the order, and the template does not map it: map it, or leave it out"
        raise InvalidSignal(RefusalCode.NOT_SUPPORTED, message)


def _agreed(action: AlertAction, unmapped: Sequence[tuple[str, Any]]) -> AlertAction:
    """Return *action*, on which the keys that the template does not map must agree."""
    for key, value in unmapped:
        if isinstance(value, str) and (KNOWN.get(joined(key)) in ACTION or may_name_an_action(key)):
            action = agreed({KNOWN.get(joined(key), key): value}, action)
    return action


def _action(body: Mapping[str, Any], template: Template) -> AlertAction:
    sent = _needed(values.text(body, "action"), "action", template)
    action = values.action({"action": sent}, "action")
    assert action is not None
    return action


def _needed(value: str | None, field: str, template: Template) -> str:
    if value is None:
        raise InvalidSignal(RefusalCode.NOT_UNDERSTOOD, f"{field}: there is nothing at {getattr(template, field)}")
    return value


def _value_of(sent: Mapping[str, Any], field: str, mapped: str | Decimal | None) -> Any:
    """Return the template's constant, or the value at the end of its path; None when there is none."""
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
            RefusalCode.BAD_VALUE, f"{field}: {mapped} leads to {shown(value)}, which is not a single value"
        )
    return value
