"""tests/ORIGIN.md is complete: every entry is in it, and it names tests that exist."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.faults import assert_none

TESTS = Path(__file__).parents[2]
ROOT = TESTS.parent
ROW = re.compile(r"^\| ([A-Z])(\d+) \| (.+?) \| (.+) \|$", re.MULTILINE)
ROWS = {f"{row[0]}{row[1]}": row[3] for row in ROW.findall((TESTS / "ORIGIN.md").read_text("utf-8"))}
GROUPS = {"A": 13, "B": 9, "C": 8, "D": 9, "E": 6, "F": 11, "G": 9, "H": 14, "I": 8, "J": 10}
# Each of these groups has a test file of its own. Tests with a wider purpose cover the other groups.
OWN_FILES = frozenset("BCDGHI")
ENTRIES = [f"{letter}{number}" for letter, count in GROUPS.items() for number in range(1, count + 1)]
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def collectable(path: Path) -> set[str]:
    """Return the names of the tests in a file, or none when the file does not exist."""
    if not path.is_file():
        return set()
    body = ast.parse(path.read_text("utf-8")).body
    return {node.name for node in body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


def test_every_entry_is_in_the_table_once_in_order() -> None:
    text = (TESTS / "ORIGIN.md").read_text("utf-8")

    assert [f"{letter}{number}" for letter, number, _, _ in ROW.findall(text)] == ENTRIES


def test_every_entry_names_tests_that_exist_or_the_reason_why_it_cannot_occur() -> None:
    assert_none(f"{entry}: {fault}" for entry, held_by in ROWS.items() for fault in faults_of(held_by))


def faults_of(held_by: str) -> Iterator[str]:
    """Yield the faults in the last cell of a row."""
    named = NAMED.findall(held_by)
    if not named and not (held_by.startswith("Cannot occur: ") and held_by.endswith(".")):
        yield f"no test and no reason in {held_by!r}"
    yield from (f"{path}::{name} does not exist" for path, name in named if name not in collectable(ROOT / path))


def test_every_test_of_a_groups_own_file_is_in_the_table() -> None:
    named = {pair for entry, held_by in ROWS.items() if entry[0] in OWN_FILES for pair in NAMED.findall(held_by)}
    there = {(path, name) for path, _ in named for name in collectable(ROOT / path)}

    assert_none(f"{path}::{name} is in no row" for path, name in sorted(there - named))
