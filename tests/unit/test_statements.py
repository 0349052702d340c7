from __future__ import annotations

import re
from pathlib import Path

import pytest

from pipeline.store.statements import names, sql

REPOSITORY = Path(__file__).parents[2]
ROOMS = sorted(path.stem for path in (REPOSITORY / "pipeline/sql").glob("*.sql"))
ALL = [(room, name) for room in ROOMS for name in names(room)]
CALL = re.compile(r"""sql\(\s*"(\w+)",\s*"(\w+)"\s*\)""")


def sources() -> list[str]:
    return [path.read_text() for folder in ("pipeline", "workers") for path in (REPOSITORY / folder).rglob("*.py")]


def calls() -> set[tuple[str, str]]:
    return {(found[1], found[2]) for source in sources() for found in CALL.finditer(source)}


@pytest.mark.parametrize(("room", "name"), ALL)
def test_a_statement_is_asked_for_somewhere(room: str, name: str) -> None:
    # By a call, or by a loop over names in a module that asks the room.
    assert [source for source in sources() if f'"{room}"' in source and f'"{name}"' in source]


def test_every_statement_that_is_asked_for_is_there() -> None:
    assert calls() - set(ALL) == set()


@pytest.mark.parametrize(("room", "name"), ALL)
def test_a_statement_is_text_without_comments(room: str, name: str) -> None:
    statement = sql(room, name)

    assert statement
    assert "--" not in statement
    assert "/*" not in statement
    # One statement each: with parameters, PostgreSQL takes no second one.
    assert ";" not in statement


@pytest.mark.parametrize("room", ROOMS)
def test_no_comment_holds_what_would_become_a_parameter(room: str) -> None:
    lines = (REPOSITORY / f"pipeline/sql/{room}.sql").read_text().splitlines()

    assert [line for line in lines if line.lstrip().startswith("--") and "%" in line] == []


@pytest.mark.parametrize(("room", "name"), ALL)
def test_a_percent_sign_is_a_named_parameter(room: str, name: str) -> None:
    assert "%" not in re.sub(r"%\(\w+\)s", "", sql(room, name))


def test_a_statement_that_is_not_there_is_a_mistake() -> None:
    with pytest.raises(KeyError):
        sql("executions", "steal")
