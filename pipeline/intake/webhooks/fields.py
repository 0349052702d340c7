"""The fields of a body under one spelling: `signalPrice`, `SIGNAL_PRICE` and `signalprice` are `signal_price`."""

import re
from collections.abc import Mapping
from typing import Any

from pipeline.intake.webhooks.message import RefusalCode
from pipeline.intake.webhooks.vocabulary import joined, term_of, words_of
from pipeline.model.errors import InvalidSignal

# A key may be a whole placeholder: `strategy.market_position`.
_PLACEHOLDER = re.compile(r"^strategy(?:\.|_(?=prev_|market_|order_|position))", re.IGNORECASE)
# Under this key, some senders send the trigger price of a stop order, others the stop of the position.
_STOP_PRICE, _TRIGGER_PRICE = "stopprice", "trigger_price"


class AlertFields(dict[str, Any]):
    """The values of a body by the names of their keys, with the keys as they were sent."""

    def __init__(self) -> None:
        super().__init__()
        self._sent: dict[str, str] = {}

    def sent(self, name: str) -> str:
        """Return the key as it was sent, for messages."""
        return self._sent.get(name, name)

    def take(self, other: "AlertFields") -> None:
        """Add the fields of *other*. They replace fields of the same name, except instructions about the order.

        Raises:
            InvalidSignal: both contain the same instruction about the order, with different values.
        """
        for name, value in other.items():
            if name in self and term_of(name) is None and not is_absent(value):
                self[name] = value
            self.add(name, other.sent(name), value)

    def add(self, name: str, key: str, value: Any) -> None:
        """Add one field.

        Raises:
            InvalidSignal: a key of the same name has another value.
        """
        before = self.get(name)
        if not is_absent(before) and not is_absent(value) and before != value:
            message = f"{self.sent(name)[:60]} and {key[:60]} have different values: send one of them"
            raise InvalidSignal(RefusalCode.NOT_UNDERSTOOD, message)
        if is_absent(before):
            self[name] = value
            self._sent[name] = key


def fields_of(body: Mapping[str, Any], known: Mapping[str, str], **renamed: str) -> AlertFields:
    """Return the fields of *body*. *known* maps joined words to names; *renamed* replaces some of these names.

    Raises:
        InvalidSignal: two keys of the same name have different values.
    """
    fields = AlertFields()
    for key, value in body.items():
        name = known.get(joined(key)) or known.get(joined(_PLACEHOLDER.sub("", key))) or "_".join(words_of(key)) or key
        if joined(key) == _STOP_PRICE and "_" not in key:
            name = _TRIGGER_PRICE
        fields.add(renamed.get(name, name), key, value)
    return fields


def is_absent(value: Any) -> bool:
    """Return whether a value is missing: None or empty text."""
    return value is None or value == ""
