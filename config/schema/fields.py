"""Define the types of values in executors.toml: numbers, percentages, seconds, words, symbols and lists."""

import re
from collections.abc import Mapping
from datetime import time
from decimal import Decimal
from typing import Annotated, Any, TypeVar
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

from pipeline.model.symbols import FORMS, canonical

_CLOCK = re.compile(r"([01]\d|2[0-3]):[0-5]\d")


class Section(BaseModel):
    """A table of a configuration file. It is frozen, converts no types, and refuses unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True)


def plain(value: Decimal) -> str:
    """Return *value* without an exponent and without trailing zeros."""
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def value_text(value: Any) -> str:
    """Return a JSON value of the settings as one line of text."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return "; ".join(f"{name} = {value_text(held)}" for name, held in value.items()) or "-"
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _figure(value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise ValueError("a number without quotes is expected")  # noqa: TRY004 - pydantic takes no TypeError
    figure = Decimal(value)
    if not figure.is_finite():
        raise ValueError("a finite number is expected")
    return figure


def _seconds(value: Any) -> float:
    return float(_figure(value))


def _off(value: Any) -> Any:
    if value == "off":
        return None
    if isinstance(value, str):
        raise ValueError('a number without quotes, or "off", is expected')  # noqa: TRY004 - pydantic takes no TypeError
    return value


def _words(value: Any) -> Any:
    if not isinstance(value, list | tuple):
        return value
    if not value:
        raise ValueError("a list with at least one entry is expected; leave the key out to set no list")
    return tuple(value)


def _symbol(value: str) -> str:
    try:
        return canonical(value)
    except ValueError:
        raise ValueError(f"a symbol like {FORMS} is expected") from None


def _each_once(value: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(value))


def _word(value: str) -> str:
    if not value or value != value.strip():
        raise ValueError("a name without spaces before or after it is expected")
    return value


def _clock(value: Any) -> time:
    if isinstance(value, time) and value.tzinfo is None:
        return value
    if isinstance(value, str) and _CLOCK.fullmatch(value):
        return time.fromisoformat(value)
    raise ValueError('a time of day like "09:30" is expected')


def _time_zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError):
        raise ValueError('a time zone like "America/New_York" or "Europe/Prague" is expected') from None
    return value


_T = TypeVar("_T")

#: An exact number. A TOML float is read as the Decimal of its digits.
Figure = Annotated[Decimal, BeforeValidator(_figure), PlainSerializer(plain, when_used="json")]

#: A percentage above 0, at most 100.
Percent = Annotated[Figure, Field(gt=0, le=100)]

#: A confidence in percent, 0 to 100.
Confidence = Annotated[Figure, Field(ge=0, le=100)]

#: A duration in seconds: above 0, and a year at most, because a time that far from now must still be a date.
Seconds = Annotated[float, BeforeValidator(_seconds), Field(gt=0, le=366 * 86_400)]

#: A limit: the number, or None for "off". A key that is left out has its default, which need not be off.
Limit = Annotated[_T | None, BeforeValidator(_off)]

#: A list that is not empty, as a tuple.
Words = Annotated[tuple[_T, ...], BeforeValidator(_words)]

#: A symbol in any spelling. It is converted to its canonical form, as the symbols of signals are.
Symbol = Annotated[str, AfterValidator(_symbol)]

#: A list of symbols that is not empty. A symbol that is listed twice, even in two spellings, counts once.
Symbols = Annotated[Words[Symbol], AfterValidator(_each_once)]

#: A name that the user chooses.
Word = Annotated[str, AfterValidator(_word)]

#: A time of day, in JSON like 09:30.
Clock = Annotated[time, BeforeValidator(_clock), PlainSerializer(lambda at: at.isoformat("minutes"))]

#: The name of a time zone of the tz database.
TimeZone = Annotated[str, AfterValidator(_time_zone)]
