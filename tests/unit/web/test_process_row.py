"""The page shows a process's facts in words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from pipeline.entrypoints.web.page.panels import ProcessRow


@pytest.mark.parametrize(
    ("facts", "text"),
    [
        (
            {"leads": True, "slowest": "exits prop_firm", "behind_s": 0.04},
            "it leads, its slowest task, exits prop_firm, is 0.0 s behind",
        ),
        ({"leads": False}, "another keeper leads"),
        ({"done": 3}, "done 3"),
    ],
)
def test_a_keepers_facts_are_words(facts: dict[str, Any], text: str) -> None:
    row = ProcessRow(
        process_id=uuid4(),
        kind="keeper",
        name="keeper",
        host="here",
        pid=1,
        healthy=True,
        facts=facts,
        started_at=datetime.now(UTC),
        silent=timedelta(0),
    )

    assert row.facts_text == text
