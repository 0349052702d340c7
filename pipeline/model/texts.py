"""Make any text safe to show: on a terminal, in a log line, in a mail or in a chat."""

import json
from typing import Any


def printable(text: str, *, lines: bool = False) -> str:
    r"""Return *text* on one line, with `\x1b` and the like in place of each character that does not print.

    These are control characters, which a terminal obeys, marks that turn the direction of writing, and line ends. With
    *lines*, line ends and tabs stay.
    """
    if text.isprintable():
        return text
    return "".join(mark if mark.isprintable() or (lines and mark in "\n\t") else _escaped(mark) for mark in text)


def json_text(value: Any, **options: Any) -> str:
    """Return *value* as JSON that holds no character that does not print, besides the line ends of an indentation."""
    text = json.dumps(value, ensure_ascii=False, **options)
    if text.isprintable():
        return text
    return "".join(mark if mark.isprintable() or mark == "\n" else json.dumps(mark)[1:-1] for mark in text)


def _escaped(mark: str) -> str:
    # Other spaces than the usual one, such as the narrow ones between digits, do no harm as spaces.
    return " " if mark.isspace() and mark >= "\xa0" and mark not in "\u2028\u2029" else repr(mark)[1:-1]
