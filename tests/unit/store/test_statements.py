"""The named SQL statements: each is used, each that is used exists, and each is one plain statement."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from pipeline.store.statements import names, sql
from tests.faults import assert_none
from tests.tools.sources import ROOT, sources

FILES = sorted((ROOT / "pipeline/sql").glob("*.sql"))
ALL = [(path.stem, name) for path in FILES for name in names(path.stem)]
CALL = re.compile(r"""sql\(\s*"(\w+)",\s*"(\w+)"\s*\)""")


def test_every_statement_is_used() -> None:
    texts = [source.text for source in sources()]
    assert len(ALL) > 150

    # A statement is used by a call, or by a loop over names in a module that names its file.
    assert_none(
        f"{file}.{name} is not used"
        for file, name in ALL
        if not any(f'"{file}"' in text and f'"{name}"' in text for text in texts)
    )


def test_every_statement_that_is_used_exists() -> None:
    used = {(found[1], found[2]) for source in sources() for found in CALL.finditer(source.text)}
    assert len(used) > 100

    assert_none(f"{file}.{name} does not exist" for file, name in sorted(used - set(ALL)))


def test_every_statement_is_one_plain_statement() -> None:
    assert_none(f"{file}.{name}: {fault}" for file, name in ALL for fault in faults_of(sql(file, name)))


def faults_of(statement: str) -> Iterator[str]:
    """Yield what would make PostgreSQL or psycopg misread a statement."""
    if not statement:
        yield "it is empty"
    yield from (f"it has a comment, {mark}" for mark in ("--", "/*") if mark in statement)
    if ";" in statement:
        # With parameters, PostgreSQL takes one statement only.
        yield "it has a semicolon"
    if "%" in re.sub(r"%\(\w+\)s", "", statement):
        yield "it has a percent sign that is no named parameter"


def test_no_comment_has_a_percent_sign() -> None:
    # psycopg would read it as a parameter.
    assert_none(
        f"{path.name}:{number}: {line}"
        for path in FILES
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if line.lstrip().startswith("--") and "%" in line
    )


def test_a_statement_that_does_not_exist_raises() -> None:
    with pytest.raises(KeyError):
        sql("executions", "steal")
