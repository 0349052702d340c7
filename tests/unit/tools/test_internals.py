"""The generated pages about events, times and tables are up to date and complete."""

from __future__ import annotations

import re

from tests.faults import assert_none
from tests.tools.events import logged_events
from tests.tools.internals import DOCS, meanings, pages


def test_the_generated_pages_are_those_of_the_code() -> None:
    written = pages()

    assert_none(
        f"{name} is out of date: make internals"
        for name, text in written.items()
        if not (DOCS / name).is_file() or (DOCS / name).read_text("utf-8") != text
    )


def test_every_event_is_a_noun_and_a_verb() -> None:
    events = logged_events()
    assert len(events) > 100

    assert_none(name for name in events if not re.fullmatch(r"[a-z_]+\.([a-z_]+|<state>)", name))


def test_every_meaning_of_an_event_is_in_whole_sentences() -> None:
    assert_none(
        f"{name}: {text}"
        for name, text in meanings()["events"].items()
        if not text.endswith(".") or (not text[0].isupper() and not text.startswith(("tradewire", "rq-dashboard")))
    )
