"""Turn the errors of pydantic into problems with the key and the expected value."""

from collections.abc import Callable, Iterable, Sequence
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from pipeline.model.errors import Problem

Location = tuple[int | str, ...]

_LONGEST_ECHO = 40

_BOUNDS = {
    "greater_than": ("gt", "more than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
}

_EXPECTED = {
    "bool_type": "true or false without quotes",
    "int_type": "a whole number without quotes",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "float_parsing": "a number",
    "model_type": "a table of keys",
    "string_type": "text in quotes",
    "tuple_type": 'a list like ["AAPL", "MSFT"]',
    "finite_number": "a finite number",
}


def problems_of(
    error: ValidationError,
    *,
    key: Callable[[Location], str],
    describe: Callable[[Location], str | None],
    known: Callable[[Location], Sequence[str]] = lambda _location: (),
    secret: Callable[[Location], bool] = lambda _location: False,
) -> list[Problem]:
    """Return one problem for each fault in *error*.

    Args:
        error: The error that pydantic raised.
        key: Returns the key of a location as the user wrote it.
        describe: Returns the description of a location's key, for the end of the message.
        known: Returns the keys that are allowed at the location of an unknown key.
        secret: Returns whether the message must not repeat the value of a location.
    """
    return [
        Problem(key=key(fault["loc"]), message=_message(fault, describe, known, secret))
        for fault in error.errors(include_url=False)
    ]


def did_you_mean(word: object, words: Iterable[str]) -> str:
    """Return `; did you mean "…"` when one of *words* is close to *word*, else an empty text."""
    close = get_close_matches(str(word).lower(), list(words), n=1)
    return f'; did you mean "{close[0]}"' if close else ""


def echo(value: object) -> str:
    """Return *value* for a message: text in double quotes; `this value` for a table, a list, long text or a login."""
    if isinstance(value, dict | list):
        return "this value"
    text = f'"{value}"' if isinstance(value, str) else str(value).lower() if value is None else str(value)
    if isinstance(value, bool):
        text = text.lower()
    return "this value" if len(text) > _LONGEST_ECHO or "@" in text else text


def _message(
    fault: ErrorDetails,
    describe: Callable[[Location], str | None],
    known: Callable[[Location], Sequence[str]],
    secret: Callable[[Location], bool],
) -> str:
    location, kind = fault["loc"], fault["type"]
    if kind == "extra_forbidden":
        names = known(location)
        return f"is not a key here{did_you_mean(location[-1], names)} (known: {', '.join(sorted(names))})"
    shown = "this value" if secret(location) else echo(fault["input"])
    text = "is missing" if kind == "missing" else _fault(kind, shown, fault.get("ctx", {}), fault)
    description = describe(location)
    return f"{text}. {description}" if description else text


def _fault(kind: str, shown: str, context: dict[str, Any], fault: ErrorDetails) -> str:
    if kind in _BOUNDS:
        name, words = _BOUNDS[kind]
        return f"{shown} is out of range: {words} {context[name]} would be right"
    if kind == "literal_error":
        choices = str(context["expected"]).replace("'", '"')
        words_of = choices.replace('"', "").replace(" or ", ", ").split(", ")
        return f"{shown} is none of {choices}{did_you_mean(fault['input'], words_of)}"
    if kind == "value_error":
        return f"{shown} is not right: {context['error']}"
    return f"{shown} is not right: {_EXPECTED.get(kind, fault['msg'])} is expected"
