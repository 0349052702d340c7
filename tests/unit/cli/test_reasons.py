"""The page of reasons contains the whole catalogue, and equals the output of the command."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from pipeline.entrypoints.cli.reasons import CODES, LEADS, ReasonGroup, page
from pipeline.model.reason_catalogue import CATALOGUE
from pipeline.model.reasons import Code
from tests.command import app

PAGE = Path(__file__).parents[3] / "pipeline" / "docs" / "reasons.md"


def test_every_code_stands_under_one_heading() -> None:
    listed = [code for codes in CODES.values() for code in codes]

    assert sorted(listed) == sorted(Code), "put new codes under a heading of pipeline/entrypoints/cli/reasons.py"
    assert list(LEADS) == list(ReasonGroup)
    assert set(CODES) == set(ReasonGroup)


def test_the_page_is_the_catalogue_of_today() -> None:
    assert PAGE.read_text("utf-8") == page(), "write it anew: make reasons"


def test_the_command_prints_the_page_the_list_and_json() -> None:
    markdown, listed, as_json = (
        CliRunner().invoke(app, ["reasons", *arguments]) for arguments in (["--markdown"], [], ["--json"])
    )

    assert (markdown.exit_code, markdown.stdout) == (0, page())
    assert json.loads(as_json.stdout).keys() == {code.value for code in CATALOGUE}
    assert [code.value for code in Code if f"\n{code}\n    {CATALOGUE[code].says}\n" not in listed.stdout] == []


def test_no_words_of_the_catalogue_break_the_page() -> None:
    cells = [text for meaning in CATALOGUE.values() for text in (meaning.says, meaning.remedy)]

    assert [text for text in cells if "|" in text or "\n" in text] == []
