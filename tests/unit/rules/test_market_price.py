from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from pipeline.model.account import Quote
from pipeline.model.signals import Intent
from tests.rule_cases import NOW, OPEN, SHORT, case, codes, executor, go, held_for, signal
from workers.rules.case import Verdict
from workers.rules.decide import decide
from workers.rules.market_hours import Market

CLOSED = Market(is_open=False, now=NOW, next_open=NOW + timedelta(hours=1), next_close=NOW + timedelta(hours=8))


def quote(bid: Any, ask: Any, *, age_s: float = 1) -> Quote:
    return Quote(bid=Decimal(bid), ask=Decimal(ask), at=NOW - timedelta(seconds=age_s))


def decided(action: str = "BUY", latest: Quote | None = None, *, order: str = "", **changes: Any) -> Verdict:
    own = {"market": OPEN} | {key: changes.pop(key) for key in ("market", "held", "accept_age") if key in changes}
    sent = signal(action, entry_price=None, price="market", **changes)
    return decide(case(sent, settings=executor(order), quote=latest, **own))


@pytest.mark.parametrize(("action", "limit"), [("BUY", "100.60"), ("SELL", "99.50")])
def test_a_purchase_is_priced_at_the_ask_and_a_sale_at_the_bid(action: str, limit: str) -> None:
    order = go(decided(action, quote("100", "100.1"), order=SHORT))

    assert (order.limit_price, order.quantity) == (Decimal(limit), 10)


def test_a_quote_is_at_most_five_seconds_old() -> None:
    assert go(decided(latest=quote(100, 100, age_s=5)))
    assert held_for(decided(latest=quote(100, 100, age_s=5.1))) == "price_unknown"
    assert held_for(decided(latest=None)) == "price_unknown"


def test_a_spread_above_the_collar_is_skipped() -> None:
    assert go(decided(latest=quote("99.5", "100")))
    assert codes(decided(latest=quote("99.4", "100"))) == ["spread_too_wide"]


def test_while_the_market_is_closed_or_unknown_it_waits() -> None:
    assert held_for(decided(latest=quote(100, 100), market=CLOSED)) == "market_closed"
    assert held_for(decided(latest=quote(100, 100), market=None)) == "clock_unreadable"


def test_it_waits_no_longer_than_an_entry_may() -> None:
    assert codes(decided(recorded_at=NOW - timedelta(seconds=61))) == ["too_old"]


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        ({"stop_price": Decimal(99), "target_price": Decimal(101)}, None),
        ({"stop_price": Decimal(100)}, "level_reached"),
        ({"stop_price": Decimal(101)}, "level_reached"),
        ({"target_price": Decimal(99)}, "level_reached"),
    ],
)
def test_a_stop_or_target_that_is_reached_already_is_skipped(levels: dict[str, Any], expected: str | None) -> None:
    verdict = decided(latest=quote(100, 100), **levels)

    assert go(verdict) if expected is None else codes(verdict) == [expected]


def test_an_exit_waits_for_no_price() -> None:
    order = go(decided("SELL", None, held=7))

    assert (order.type, order.quantity) == ("market", 7)


def test_a_signal_without_any_price_is_no_entry() -> None:
    assert codes(decide(case(signal("BUY", entry_price=None, intent=Intent.OPEN)))) == ["entry_without_price"]
