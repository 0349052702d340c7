"""tests/ORIGIN.md is whole: every entry is in it, and it names the tests that there are."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
ROW = re.compile(r"^\| ([A-Z])(\d+) \| (.+?) \| (.+) \|$", re.MULTILINE)
ROWS = {f"{row[0]}{row[1]}": row[3] for row in ROW.findall((TESTS / "ORIGIN.md").read_text("utf-8"))}
GROUPS = {"B": 9, "C": 8, "D": 9, "G": 9, "H": 14, "I": 8}
ENTRIES = [f"{letter}{number}" for letter, count in GROUPS.items() for number in range(1, count + 1)]
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def collectable(path: Path) -> set[str]:
    body = ast.parse(path.read_text("utf-8")).body
    return {node.name for node in body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


def test_every_entry_stands_once_and_nothing_else() -> None:
    assert [f"{letter}{number}" for letter, number, _, _ in ROW.findall((TESTS / "ORIGIN.md").read_text("utf-8"))] == (
        ENTRIES
    )


@pytest.mark.parametrize("entry", ENTRIES)
def test_an_entry_names_tests_that_are_there_and_bear_its_name_or_says_why_it_cannot_occur(entry: str) -> None:
    held_by = ROWS[entry]
    named = NAMED.findall(held_by)

    if not named:
        assert held_by.startswith("Cannot occur: ")
        assert held_by.endswith(".")
    for path, name in named:
        assert name in collectable(TESTS.parent / path)
        assert name.startswith(f"test_{entry.lower()}_")


def test_every_test_that_bears_the_name_of_an_entry_is_listed() -> None:
    bearing = {
        (str(path.relative_to(TESTS.parent)), name)
        for path in TESTS.rglob("test_origin_*.py")
        for name in collectable(path)
    }

    assert bearing == {pair for held_by in ROWS.values() for pair in NAMED.findall(held_by)}
