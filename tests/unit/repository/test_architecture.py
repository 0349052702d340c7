"""The diagram of states and the layers in ARCHITECTURE.md, and the crash table, equal those of the code."""

from __future__ import annotations

import re

from pipeline.model.crash_points import POINTS
from pipeline.model.states import MOVES, State
from tests.tools.rooms import layers
from tests.tools.sources import ROOT, sources

TEXT = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
CRASHES = (ROOT / "pipeline/docs/crashes.md").read_text("utf-8")


def section(title: str) -> str:
    """Return the text below the heading *title*, up to the next heading of the same or a higher rank."""
    match = re.search(rf"^(#+) {re.escape(title)}\n(.*?)(?=^#{{1,2}} |\Z)", TEXT, re.MULTILINE | re.DOTALL)
    assert match is not None, f"ARCHITECTURE.md has no section {title!r}"
    return match[2]


def fenced(title: str, language: str) -> str:
    match = re.search(rf"^```{language}\n(.*?)^```", section(title), re.MULTILINE | re.DOTALL)
    assert match is not None, f"section {title!r} has no block of {language}"
    return match[1]


def table(text: str) -> list[list[str]]:
    """Return the cells of each row of the only table in *text*, without its two header lines."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len(lines) > 2, "there is no table"
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def names(cell: str) -> list[str]:
    """Return the texts between backticks."""
    return re.findall(r"`([^`]+)`", cell)


# --- states ---


def drawn_moves() -> set[tuple[str, str]]:
    """Return the diagram's edges; an edge to a group stands for one to each of its states."""
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
    explained = [name for row in table(section("States")) for name in names(row[0])]

    assert sorted(explained) == sorted(State)


# --- crash points ---


def test_the_crash_table_has_every_point_in_its_order() -> None:
    rows = table(CRASHES)

    assert [names(row[1])[0] for row in rows] == list(POINTS)
    assert [row[0] for row in rows] == [str(number) for number in range(1, len(POINTS) + 1)]


def test_every_crash_point_is_reached_somewhere_in_the_code() -> None:
    reached = {name for source in sources() for name in re.findall(r'\breached\("([a-z_.]+)"\)', source.text)}

    assert reached == set(POINTS)


# --- layers ---


def test_the_layers_are_those_that_the_imports_are_checked_against() -> None:
    drawn = [re.findall(r"[\w.]+", line) for line in fenced("Imports", "text").splitlines()]

    assert [sorted(layer) for layer in drawn] == [sorted(layer) for layer in layers()]
