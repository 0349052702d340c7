from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.model.reason_catalogue import CATALOGUE
from pipeline.model.reasons import Code, Reason, sentence, storable
from tests.faults import assert_none

REPOSITORY = Path(__file__).parents[3]
CODE_IN_SQL = re.compile(r"reason_code\s*(?:=|<>)\s*'(\w+)'|THEN '(\w+)' END")


def test_every_code_has_a_meaning_and_a_remedy_in_whole_sentences() -> None:
    assert set(CATALOGUE) == set(Code)
    assert_none(
        f"{code}: {text!r} does not end with a full stop"
        for code, meaning in CATALOGUE.items()
        for text in (meaning.says, meaning.remedy)
        if not text.endswith(".")
    )


def test_every_code_that_sql_writes_exists() -> None:
    written = {
        found[1] or found[2]
        for path in (REPOSITORY / "pipeline/sql").rglob("*.sql")
        for found in CODE_IN_SQL.finditer(path.read_text())
    }

    assert {"requeued", "discarded", "lease_ran_out"} <= written
    assert written - {"unknown"} <= set(Code)


def test_every_code_is_used() -> None:
    sources = "".join(
        path.read_text()
        for folder in ("pipeline", "workers")
        for pattern in ("*.py", "*.sql")
        for path in (REPOSITORY / folder).rglob(pattern)
        if path.name not in ("reasons.py", "reason_catalogue.py", "limit_reasons.py")
    )

    unused = {code.value for code in Code if f"Code.{code.name}" not in sources and f"'{code}'" not in sources}

    # The code for executors that were removed from the file is not used yet.
    assert unused <= {"executor_gone"}


def test_a_reason_reads_as_its_code_and_its_figures() -> None:
    reason = Reason(code=Code.CONFIDENCE_BELOW_MINIMUM, facts={"minimum": Decimal(82), "was": Decimal("75.3")})

    assert str(reason) == "confidence_below_minimum minimum=82 was=75.3"


def test_figures_keep_their_digits_in_json() -> None:
    at = datetime(2026, 1, 31, tzinfo=UTC)
    facts = {
        "price": Decimal("1E+3"),
        "small": Decimal("0.00000010"),
        "at": at,
        "n": 3,
        "says": "no",
        "code": Code.TOO_OLD,
    }

    assert Reason(code=Code.NO_ANSWER, facts=facts).to_json() == {
        "price": "1000",
        "small": "0.00000010",
        "at": "2026-01-31T00:00:00+00:00",
        "n": 3,
        "says": "no",
        "code": "too_old",
    }


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("plain", "x=plain"),
        (None, "x=none"),
        ("", 'x=""'),
        ("two words", 'x="two words"'),
        ("a=b", 'x="a=b"'),
        ('say "no"', r'x="say \"no\""'),
        ("line\nbreak", r'x="line\nbreak"'),
        ("\x1b[2J", r'x="\x1b[2J"'),
        ("\u202eltr", r'x="\u202eltr"'),
    ],
)
def test_foreign_text_cannot_break_the_line(value: Any, shown: str) -> None:
    assert sentence("code", {"x": value}) == f"code {shown}"


@given(st.text())
def test_a_sentence_is_one_printable_line(text: str) -> None:
    assert sentence("code", {"says": text}).isprintable()


@given(st.text(alphabet=st.characters(codec=None)))
def test_stored_text_has_neither_nul_nor_unpaired_surrogates(text: str) -> None:
    stored = storable(text)

    assert "\x00" not in stored
    assert stored.encode("utf-8").decode() == stored


def test_ordinary_text_is_stored_as_it_is() -> None:
    assert storable("insufficient buying power: 12 €") == "insufficient buying power: 12 €"
