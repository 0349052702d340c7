"""How `order.unprotected` handles an entry without a stop."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from pipeline.accounts.exposure import StrategyHolding
from pipeline.model.sources import PROBE
from tests.rule_cases import NOW, case, codes, go, held_for, signal, tuned
from workers.rules.decide import decide


def judged(
    unprotected: str, action: str = "BUY", *, percent: float = 3, changes: dict[str, Any] | None = None, **more: Any
) -> Any:
    settings = tuned(
        order={"unprotected": unprotected, "allow_short": True, "type": "limit"}, size={"default_stop_percent": percent}
    )
    return decide(case(signal(action, **changes or {}), settings=settings, **more))


def test_an_entry_without_a_stop_is_sent_where_it_is_allowed() -> None:
    assert go(judged("allow")).stop_price is None


def test_an_entry_without_a_stop_is_skipped_where_it_is_refused() -> None:
    assert codes(judged("refuse")) == ["entry_without_stop"]
    assert codes(judged("refuse", changes={"entry_price": None, "price": "market"})) == ["entry_without_stop"]


@pytest.mark.parametrize("unprotected", ["allow", "guard", "refuse"])
def test_the_stop_of_the_signal_is_kept(unprotected: str) -> None:
    assert go(judged(unprotected, changes={"stop_price": Decimal(91)})).stop_price == 91


@pytest.mark.parametrize(("action", "stop"), [("BUY", 97), ("SELL", 103)])
def test_an_entry_gets_a_stop_that_counts_as_its_risk(action: str, stop: int) -> None:
    order = go(judged("guard", action))

    assert order.stop_price == stop
    limit = order.limit_price or Decimal(0)
    assert order.risk == order.quantity * abs(limit - stop)


def test_the_new_stop_is_on_a_step_of_the_price_and_not_farther_than_the_percentage() -> None:
    assert go(judged("guard", changes={"entry_price": Decimal("33.33")}, price=None)).stop_price == Decimal("32.34")


def test_an_entry_at_the_market_gets_its_stop_with_its_price() -> None:
    assert held_for(judged("guard", changes={"entry_price": None, "price": "market"})) == "price_unknown"


@pytest.mark.parametrize(("stop", "expected"), [(99, 99), (95, 97)])
def test_the_new_stop_is_not_farther_away_than_the_stop_of_the_holding(stop: int, expected: int) -> None:
    own = StrategyHolding(quantity=Decimal(1), recorded=Decimal(1), changed_at=NOW, stop_price=Decimal(stop))

    assert go(judged("guard", held=1, own=replace(own, changed_at=None))).stop_price == expected


@pytest.mark.parametrize(("action", "stop"), [("BUY", 105), ("BUY", 100), ("SELL", 95)])
def test_an_entry_is_refused_when_its_price_has_passed_the_stop_of_the_holding(action: str, stop: int) -> None:
    own = 1 if action == "BUY" else -1
    holding = StrategyHolding(quantity=Decimal(own), recorded=Decimal(own), changed_at=None, stop_price=Decimal(stop))

    assert codes(judged("guard", action, held=own, own=holding)) == ["entry_without_stop"]


def test_the_stop_of_a_holding_on_the_other_side_is_no_stop_of_the_entry() -> None:
    own = StrategyHolding(quantity=Decimal(-1), recorded=Decimal(5), changed_at=None, stop_price=Decimal(110))

    assert go(judged("guard", held=5, own=own)).stop_price == 97


def test_a_price_too_low_for_a_stop_is_refused() -> None:
    assert codes(judged("guard", percent=100)) == ["entry_without_stop"]


def test_exits_and_probes_need_no_stop() -> None:
    assert go(judged("refuse", "SELL", held=10)).quantity == 10
    assert go(judged("refuse", changes={"source": PROBE})).stop_price is None
    assert go(judged("guard", changes={"source": PROBE})).stop_price is None
