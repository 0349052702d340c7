"""Find the product's log events and their levels in the syntax trees of its code."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator

from tests.tools.sources import Function, Source, sources

#: The methods of a logger and their levels, the lowest level first.
LEVELS = {"debug": "debug", "info": "info", "warning": "warning", "error": "error", "exception": "error"}


def logged_events() -> dict[str, list[str]]:
    """Return every event that the product logs, with its levels, the lowest first.

    Raises: LookupError: A call logs an event whose name cannot be read from the code.
    """
    levels: dict[str, set[str]] = defaultdict(set)
    for source in sources():
        for function in source.functions():
            for event, level in _events_of(function, source):
                levels[event].add(level)
    order = list(LEVELS)
    return {event: sorted(levels[event], key=order.index) for event in sorted(levels)}


def _events_of(function: Function, source: Source) -> Iterator[tuple[str, str]]:
    """Yield every (event, level) that a function may log, including those chosen at run time."""
    local = {
        node.targets[0].id: node.value
        for node in ast.walk(function)
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    for call in ast.walk(function):
        if isinstance(call, ast.Call) and call.args and (levels := _levels_of(call.func, local)):
            events = _texts_of(call.args[0], local)
            if not events:
                raise LookupError(f"{source.name}:{call.lineno}: the event's name cannot be read from the code")
            yield from ((event, level) for event in events for level in levels)


def _levels_of(node: ast.expr, local: dict[str, ast.expr]) -> set[str]:
    match node:
        case ast.Attribute(value=ast.Name(id="log"), attr=attr) if attr in LEVELS:
            return {LEVELS[attr]}
        case ast.IfExp(body=body, orelse=other):
            return _levels_of(body, local) | _levels_of(other, local)
        case ast.Name(id=name) if name in local:
            return _levels_of(local[name], {})
    return set()


def _texts_of(node: ast.expr, local: dict[str, ast.expr]) -> set[str]:
    match node:
        case ast.Constant(value=str(text)):
            return {text}
        case ast.IfExp(body=body, orelse=other):
            return _texts_of(body, local) | _texts_of(other, local)
        case ast.JoinedStr(values=parts):
            return {"".join(part.value if isinstance(part, ast.Constant) else "<state>" for part in parts)}
        case ast.Name(id=name) if name in local:
            return _texts_of(local[name], {})
    return set()
