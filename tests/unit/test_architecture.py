"""ARCHITECTURE.md says what the code does: its diagram, tables and figures are compared with the code."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from datetime import timedelta
from importlib import import_module
from pathlib import Path

import pytest

from pipeline.model.crash_points import POINTS
from pipeline.model.states import MOVES, State

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
PACKAGES = ("config", "pipeline", "workers")
LEVELS = {"debug": "debug", "info": "info", "warning": "warning", "error": "error", "exception": "error"}


def section(title: str) -> str:
    """Return what stands below the heading *title*, up to the next heading of its rank or above."""
    match = re.search(rf"^(#+) {re.escape(title)}\n(.*?)(?=^#{{1,2}} |\Z)", TEXT, re.MULTILINE | re.DOTALL)
    assert match is not None, f"ARCHITECTURE.md has no section {title!r}"
    return match[2]


def fenced(title: str, language: str) -> str:
    match = re.search(rf"^```{language}\n(.*?)^```", section(title), re.MULTILINE | re.DOTALL)
    assert match is not None, f"section {title!r} has no block of {language}"
    return match[1]


def table(title: str) -> list[list[str]]:
    """Return the cells of the rows of the section's table, without its two head lines."""
    lines = [line for line in section(title).splitlines() if line.startswith("|")]
    assert len(lines) > 2, f"section {title!r} has no table"
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def names(cell: str) -> list[str]:
    """Return what stands between backticks."""
    return re.findall(r"`([^`]+)`", cell)


def sources() -> Iterator[Path]:
    for package in PACKAGES:
        yield from (ROOT / package).rglob("*.py")


# --- states ---


def drawn_moves() -> set[tuple[str, str]]:
    """Return the diagram's edges; one to a group of states is one to each of them."""
    diagram = fenced("States", "mermaid")
    groups: dict[str, set[str]] = {}
    for name, body in re.findall(r"state (\w+) \{(.*?)\}", diagram, re.DOTALL):
        groups[name] = {word for word in re.findall(r"\w+", body) if word in set(State)}
    edges = re.findall(r"^\s*(\w+) --> (\w+)", diagram, re.MULTILINE)
    return {(old, new) for old, target in edges for new in groups.get(target, {target})}


def test_the_state_diagram_shows_the_moves_of_the_code_and_no_others() -> None:
    moves = {(old.value, new.value) for old, targets in MOVES.items() for new in targets}

    assert drawn_moves() == moves


def test_every_state_is_explained() -> None:
    explained = [name for row in table("States") for name in names(row[0])]

    assert sorted(explained) == sorted(State)


# --- the record ---


def test_the_tables_of_the_record_are_those_of_the_migrations() -> None:
    created: set[str] = set()
    for migration in (ROOT / "pipeline" / "sql" / "migrations").glob("*.sql"):
        created |= set(
            re.findall(r"^CREATE TABLE (?:IF NOT EXISTS )?(\w+)", migration.read_text("utf-8"), re.MULTILINE)
        )

    assert {name for row in table("The record") for name in names(row[0])} == created


# --- crash points ---


def test_the_crash_table_has_every_point_in_its_order() -> None:
    rows = table("Crash table")

    assert [names(row[1])[0] for row in rows] == list(POINTS)
    assert [row[0] for row in rows] == [str(number) for number in range(1, len(POINTS) + 1)]


def test_every_crash_point_is_reached_somewhere_in_the_code() -> None:
    reached = set()
    for path in sources():
        reached |= set(re.findall(r'\breached\("([a-z_.]+)"\)', path.read_text("utf-8")))

    assert reached == set(POINTS)


@pytest.mark.parametrize("row", table("Times"), ids=lambda row: row[0])
def test_a_time_in_the_table_is_the_one_in_the_code(row: list[str]) -> None:
    module, _, name = names(row[2])[0].rpartition(".")
    value = getattr(import_module(module), name)
    seconds = value.total_seconds() if isinstance(value, timedelta) else value

    assert row[1] == f"{seconds:g} s"


# --- log events ---


def test_the_event_table_has_every_event_of_the_code_with_its_levels() -> None:
    logged: dict[str, set[str]] = {}
    for path in sources():
        for event, level in events_of(ast.parse(path.read_text("utf-8")), path):
            logged.setdefault(event, set()).add(level)
    documented = {name: set(row[1].split(", ")) for row in table("Events in the log") for name in names(row[0])}

    assert documented == logged


def test_every_event_is_a_noun_and_a_verb() -> None:
    for row in table("Events in the log"):
        for name in names(row[0]):
            assert re.fullmatch(r"[a-z_]+\.([a-z_]+|<state>)", name)


def events_of(tree: ast.Module, path: Path) -> Iterator[tuple[str, str]]:
    """Yield every (event, level) that a module logs, also when either is chosen at run time."""
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        local = {
            node.targets[0].id: node.value
            for node in ast.walk(function)
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
        }
        for call in ast.walk(function):
            if isinstance(call, ast.Call) and call.args and (levels := levels_of(call.func, local)):
                events = texts_of(call.args[0], local)
                assert events, f"{path}:{call.lineno}: which event is this?"
                yield from ((event, level) for event in events for level in levels)


def levels_of(node: ast.expr, local: dict[str, ast.expr]) -> set[str]:
    match node:
        case ast.Attribute(value=ast.Name(id="log"), attr=attr) if attr in LEVELS:
            return {LEVELS[attr]}
        case ast.IfExp(body=body, orelse=other):
            return levels_of(body, local) | levels_of(other, local)
        case ast.Name(id=name) if name in local:
            return levels_of(local[name], {})
    return set()


def texts_of(node: ast.expr, local: dict[str, ast.expr]) -> set[str]:
    match node:
        case ast.Constant(value=str(text)):
            return {text}
        case ast.IfExp(body=body, orelse=other):
            return texts_of(body, local) | texts_of(other, local)
        case ast.JoinedStr(values=parts):
            return {"".join(part.value if isinstance(part, ast.Constant) else "<state>" for part in parts)}
        case ast.Name(id=name) if name in local:
            return texts_of(local[name], {})
    return set()


# --- layers ---


def test_the_layers_are_those_that_the_imports_are_checked_against() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    contracts = {contract["id"]: contract for contract in project["tool"]["importlinter"]["contracts"]}
    checked = [re.findall(r"[\w.]+", layer) for layer in contracts["layers"]["layers"]]
    drawn = [re.findall(r"[\w.]+", line) for line in fenced("Imports", "text").splitlines()]

    assert [sorted(layer) for layer in drawn] == [sorted(layer) for layer in checked]
