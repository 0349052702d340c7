"""A fault applies only to the requests that its plan describes."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from workers.exchange.faults import FaultKind, FaultPlan, FaultTarget


def plan(*faults: dict[str, object], seed: int = 1) -> FaultPlan:
    return FaultPlan.model_validate({"seed": seed, "faults": list(faults)})


def hits(made: FaultPlan, on: FaultTarget = FaultTarget.SUBMIT, times: int = 1000) -> list[int]:
    return [number for number in range(times) if made.draw(on, "key", {FaultKind.LATENCY})]


def test_the_same_seed_affects_the_same_requests_and_another_does_not() -> None:
    fault = {"on": "submit", "kind": "latency", "probability": 0.1}

    assert hits(plan(fault)) == hits(plan(fault))
    assert hits(plan(fault)) != hits(plan(fault, seed=2))
    assert 50 < len(hits(plan(fault))) < 150


def test_any_affects_every_kind_of_request_and_other_targets_only_their_own() -> None:
    assert len(hits(plan({"on": "any", "kind": "latency"}), FaultTarget.CLOCK)) == 1000
    assert hits(plan({"on": "submit", "kind": "latency"}), FaultTarget.CLOCK) == []


def test_a_fault_ends_after_its_count() -> None:
    made = plan({"on": "submit", "kind": "latency", "count": 3})

    assert hits(made) == [0, 1, 2]
    assert made.faults[0].hits == 3


def test_a_fault_of_another_kind_uses_no_random_number() -> None:
    lone = plan({"on": "submit", "kind": "latency", "probability": 0.1})
    made = plan({"on": "submit", "kind": "latency", "probability": 0.1})
    for _ in range(10):
        made.draw(FaultTarget.SUBMIT, "key", {FaultKind.REJECT})

    assert hits(made) == hits(lone)


@pytest.mark.parametrize("on", [target for target in FaultTarget if target is not FaultTarget.SUBMIT])
def test_a_fault_that_no_symbol_can_limit_is_refused_with_a_symbol(on: FaultTarget) -> None:
    with pytest.raises(ValidationError, match="only a fault of `submit` can be limited to a symbol"):
        plan({"on": on, "kind": "latency", "symbol": "AAPL"})
