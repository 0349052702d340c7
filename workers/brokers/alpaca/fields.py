"""Read single fields of a broker's raw JSON: no floats, and every value is checked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final, TypeVar

from pipeline.model.errors import BrokerUnreadable
from pipeline.model.nesting import is_too_deep
from pipeline.model.orders import OrderSide

#: The largest distance, in digits, of an amount's first digit from the units digit. A number beyond it is refused,
#: because it could be extremely long when written out.
GREATEST_EXPONENT: Final = 30

#: The years in which a broker's times can be. With others, later calculations would leave the range of dates.
_YEARS: Final = range(1970, 2200)
#: Programs written in Go send this year when they have no time.
_NO_YEAR: Final = 1

T = TypeVar("T")


def read_json(text: str) -> Any:
    """Parse an answer. Fractions become strings, not floats, so that no digit is lost.

    Raises:
        BrokerUnreadable: it is not JSON, or is nested too deeply.
    """
    try:
        value = json.loads(text, parse_float=str, parse_constant=str)
    except (ValueError, RecursionError):
        raise BrokerUnreadable("The broker's answer is not JSON.") from None
    if is_too_deep(value):
        raise BrokerUnreadable("The broker's answer is nested too deeply.")
    return value


@dataclass(frozen=True, kw_only=True)
class Fields:
    """The fields of one JSON object; *kind* names it in errors.

    The methods that read a field raise `BrokerUnreadable` if the field is not readable, or is required and missing.
    """

    kind: str
    raw: Mapping[str, Any]

    @classmethod
    def of(cls, kind: str, raw: Any) -> Fields:
        """Return the fields of *raw*, which must be a JSON object."""
        if not isinstance(raw, dict):
            raise BrokerUnreadable(f"The broker's answer is not the {kind} that was asked for.")
        return cls(kind=kind, raw=raw)

    def unreadable(self, key: str) -> BrokerUnreadable:
        """Return the error that names the field *key*."""
        return BrokerUnreadable(f"The broker's {self.kind} has no readable {key}.")

    def word(self, key: str) -> str:
        """Return an id, a symbol or a keyword: printable ASCII, not empty."""
        word = self.raw.get(key)
        # PostgreSQL and logs do not accept every character that JSON can hold.
        if not isinstance(word, str) or not word or not word.isascii() or not word.isprintable():
            raise self.unreadable(key)
        return word

    def side(self) -> OrderSide:
        """Return the side."""
        try:
            return OrderSide(self.word("side"))
        except ValueError:
            raise self.unreadable("side") from None

    def amount(self, key: str) -> Decimal:
        """Return a required number."""
        return self._required(key, self.amount_or_none(key))

    def amount_or_none(self, key: str) -> Decimal | None:
        """Return a number; None when the field is absent, null or empty."""
        value = self.raw.get(key)
        if value is None or value == "":
            return None
        if isinstance(value, bool) or not isinstance(value, (str, int)):
            raise self.unreadable(key)
        try:
            amount = Decimal(value)
        except InvalidOperation:
            raise self.unreadable(key) from None
        if not amount.is_finite() or abs(amount.adjusted()) > GREATEST_EXPONENT:
            raise self.unreadable(key)
        return amount

    def time(self, key: str) -> datetime:
        """Return a required time, in UTC."""
        return self._required(key, self.time_or_none(key))

    def time_or_none(self, key: str) -> datetime | None:
        """Return a time in UTC; None when the field is absent, null, empty or in the year 1."""
        value = self.raw.get(key)
        if value is None or value == "":
            return None
        try:
            # Nanoseconds are cut to microseconds here.
            moment = datetime.fromisoformat(value)
            if moment.year == _NO_YEAR:
                return None
            if moment.tzinfo is None or moment.year not in _YEARS:
                raise self.unreadable(key)
            return moment.astimezone(UTC)
        except (TypeError, ValueError):
            raise self.unreadable(key) from None

    def _required(self, key: str, value: T | None) -> T:
        if value is None:
            raise self.unreadable(key)
        return value
