from __future__ import annotations

from decimal import Decimal

import pytest

from pipeline.queues.dispatcher import description, job_id


@pytest.mark.parametrize(
    ("confidence", "text"),
    [
        (Decimal(98), "BUY AAPL 98.0 % → argo"),
        (Decimal("75.34"), "BUY AAPL 75.3 % → argo"),
        (Decimal(0), "BUY AAPL 0.0 % → argo"),
        (None, "BUY AAPL → argo"),
    ],
)
def test_a_person_can_read_a_jobs_description(confidence: Decimal | None, text: str) -> None:
    assert description(action="BUY", symbol="AAPL", confidence=confidence, executor_id="argo") == text


def test_every_job_of_an_execution_has_its_own_id() -> None:
    assert len({job_id("e", enqueues) for enqueues in range(1, 5)}) == 4
