"""The keeper reconciles the sooner again the more there is to confirm."""

from __future__ import annotations

import pytest

from workers.keeper.finding_store import NotSaved, Saved
from workers.keeper.reconcile_task import EVERY_S, OPEN_EVERY_S, SUSPECTED_EVERY_S, pause_s


@pytest.mark.parametrize(
    ("saved", "pause"),
    [
        (Saved(), EVERY_S),
        (Saved(open=1), OPEN_EVERY_S),
        (Saved(suspected=1), SUSPECTED_EVERY_S),
        (Saved(open=1, suspected=1), SUSPECTED_EVERY_S),
        (Saved(unread=1), SUSPECTED_EVERY_S),
        (NotSaved.REFUSED, EVERY_S),
        (NotSaved.OUTDATED, SUSPECTED_EVERY_S),
    ],
)
def test_the_next_reconcile_follows_the_result_of_the_last(saved: Saved | NotSaved, pause: float) -> None:
    assert pause_s(saved, failures=0) == pause


def test_one_that_was_not_completed_is_tried_again_with_growing_pauses() -> None:
    assert [pause_s(NotSaved.FAILED, failures=each) for each in (1, 2, 3, 100)] == [0.5, 1.0, 2.0, 10.0]
