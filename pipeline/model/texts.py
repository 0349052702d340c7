"""Make any text safe to show: on a terminal, in a log line, in a mail or in a chat."""

import json
from typing import Any


def printable(text: str, *, lines: bool = False) -> str:
    r"""Return *text* on one line, with an escape such as `\x1b` in place of each unprintable character.

    Unprintable are control characters, which a terminal obeys, marks that change the direction of writing, and line
    ends. With *lines*, line feeds and tabs stay.
    """
    if text.isprintable():
        return text
    return "".join(mark if mark.isprintable() or (lines and mark in "\n\t") else _escaped(mark) for mark in text)


def json_text(value: Any, **options: Any) -> str:
    """Return *value* as JSON, with each unprintable character escaped. The line ends of an indentation stay."""
    text = json.dumps(value, ensure_ascii=False, **options)
    if text.isprintable():
        return text
    return "".join(mark if mark.isprintable() or mark == "\n" else json.dumps(mark)[1:-1] for mark in text)


def _escaped(mark: str) -> str:
    # Spaces of other kinds, such as the narrow one between digits, can safely become ordinary spaces.
    return " " if mark.isspace() and mark >= "\xa0" and mark not in "\u2028\u2029" else repr(mark)[1:-1]
