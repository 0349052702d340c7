"""The regular expressions of the product, and texts on which each may be slow."""

from __future__ import annotations

import ast
import importlib
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.tools.sources import Source, sources

_FUNCTIONS = ("compile", "sub", "split", "findall", "finditer", "search", "match", "fullmatch")
#: The methods that try to begin a match at every character.
_SEARCHES = ("sub", "split", "findall", "finditer", "search")
_FOREIGN: tuple[str | bytes, ...] = ("\x00", "a", "Z", "0", " ", "_", ".", "-")
_MOST_PIECES = 14
_LONGEST_PIECE = 60
_MOST_LETTERS = 7


@dataclass(frozen=True, kw_only=True)
class UsedPattern:
    """A pattern, and the method with which the product uses it."""

    where: str
    pattern: re.Pattern[Any]
    method: str

    def run(self, text: str | bytes) -> None:
        """Use the pattern on *text*."""
        if self.method == "sub":
            self.pattern.sub("" if isinstance(text, str) else b"", text)
        elif self.method == "finditer":
            list(self.pattern.finditer(text))
        else:
            getattr(self.pattern, self.method)(text)


def used_patterns() -> list[UsedPattern]:
    """Return every pattern of the product with each method that uses it.

    Raises: NameError: A function compiles a pattern from a local value; compile it at the top of its module.
    """
    return [used for source in sources() for used in _used_in(source)]


def _used_in(source: Source) -> Iterator[UsedPattern]:
    for node in ast.walk(source.tree):
        if not (isinstance(node, ast.Call) and _is_of_re(node.func) and isinstance(node.func, ast.Attribute)):
            continue
        where = f"{source.name}:{node.lineno}"
        arguments = [*node.args[:1], *(node.args[1:] if node.func.attr == "compile" else [])]
        flags = [keyword for keyword in node.keywords if keyword.arg == "flags"]
        call = ast.Call(func=ast.parse("re.compile", mode="eval").body, args=arguments, keywords=flags)
        expression = ast.fix_missing_locations(ast.Expression(call))
        names = vars(importlib.import_module(source.module))
        pattern = eval(compile(expression, where, "eval"), dict(names) | {"re": re})
        for method in sorted(_methods(source, node)) if node.func.attr == "compile" else [node.func.attr]:
            yield UsedPattern(where=where, pattern=pattern, method=method)


def _is_of_re(function: ast.expr) -> bool:
    return (
        isinstance(function, ast.Attribute)
        and isinstance(function.value, ast.Name)
        and function.value.id == "re"
        and function.attr in _FUNCTIONS
    )


def _methods(source: Source, call: ast.Call) -> set[str]:
    """Return the methods that the module calls on the pattern's name, or `search` if there are none."""
    names = {
        target.id
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is call
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name)
    }
    found = {
        node.func.attr
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id in names
        and node.func.attr in _FUNCTIONS
    }
    return found or {"search"}


def slow_texts(used: UsedPattern) -> Iterator[tuple[Any, Any, Any]]:
    """Yield triples of beginning, piece to repeat, and end. A slow pattern is slow on at least one of them.

    Each text is a match of a part, or a character of `_FOREIGN`. A piece is one or two texts, or three characters.
    """
    tree = re._parser.parse(used.pattern.pattern, used.pattern.flags & ~re.UNICODE)  # type: ignore[attr-defined]
    found = dict.fromkeys(piece[:_LONGEST_PIECE] for piece in _pieces(tree) if piece)
    pieces = [*itertools.islice(found, _MOST_PIECES), *(str(mark) for mark in _FOREIGN)]
    starts = ["", *itertools.islice((piece for piece in found if len(piece) > 1), 12)]
    letters = list(dict.fromkeys(piece for piece in [*pieces, *found] if len(piece) == 1))[:_MOST_LETTERS]
    repeated = [
        *((start, one) for one in pieces for start in starts),
        *((start, one + other) for one, other in itertools.product(pieces, pieces) for start in starts[:2]),
        *(("a=", "".join(three)) for three in itertools.product(letters, repeat=3)),
    ]
    for (start, piece), end in itertools.product(repeated, ("\x00", "=")):
        text = (start, piece, end)
        yield text if isinstance(used.pattern.pattern, str) else tuple(part.encode("latin-1") for part in text)


def _pieces(tree: Any) -> Iterator[str]:
    """Yield a text for the whole pattern, for each beginning of it, and for each part."""
    parts = list(tree)
    for end, (operation, _) in enumerate(parts):
        if str(operation) not in ("LITERAL", "AT"):
            yield _example(parts[:end])
    yield _example(parts)
    yield _example(parts, last=True)
    for operation, argument in parts:
        for inner in _inner(operation, argument):
            yield from _pieces(inner)
        yield _one(operation, argument, last=False)
        yield _one(operation, argument, last=True)


def _inner(operation: Any, argument: Any) -> list[Any]:
    match str(operation):
        case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
            return [argument[2]]
        case "SUBPATTERN":
            return [argument[3]]
        case "BRANCH":
            return list(argument[1])
        case "ATOMIC_GROUP":
            return [argument]
        case _:
            return []


def _example(tree: Any, *, last: bool = False) -> str:
    return "".join(_one(operation, argument, last=last) for operation, argument in tree)


def _one(operation: Any, argument: Any, *, last: bool) -> str:
    """Return a text that this part matches, with the first or the last choice of each alternative."""
    if inner := _inner(operation, argument):
        times = max(1, min(argument[0], 8)) if "REPEAT" in str(operation) else 1
        return _example(inner[-1 if last else 0], last=last) * times
    match str(operation):
        case "LITERAL":
            return chr(argument)
        case "IN":
            return _of_set(argument, last=last)
        case "NOT_LITERAL" | "ANY":
            return "a"
        case _:
            return ""


def _of_set(items: Any, *, last: bool) -> str:
    if str(items[0][0]) == "NEGATE":
        refused = re.compile("[" + "".join(_in_set(item) for item in items[1:]) + "]")
        return next((mark for mark in ("-", "a", "0", " ") if not refused.match(mark)), "é")
    operation, argument = items[-1 if last else 0]
    match str(operation):
        case "LITERAL":
            return chr(argument)
        case "RANGE":
            return chr(argument[1 if last else 0])
        case _:
            return {"CATEGORY_DIGIT": "0", "CATEGORY_SPACE": " ", "CATEGORY_WORD": "a"}.get(str(argument), "-")


def _in_set(item: tuple[Any, Any]) -> str:
    operation, argument = item
    match str(operation):
        case "LITERAL":
            return re.escape(chr(argument))
        case "RANGE":
            return f"{re.escape(chr(argument[0]))}-{re.escape(chr(argument[1]))}"
        case _:
            return {"CATEGORY_DIGIT": r"\d", "CATEGORY_SPACE": r"\s", "CATEGORY_WORD": r"\w"}.get(str(argument), r"\W")
