from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from pipeline.accounts.exposure import StrategyHolding
from pipeline.store.rows import Role
from tests.rule_cases import NOW, SHORT, case, codes, earlier, go, held_for, signal
from workers.rules.case import Hold
from workers.rules.decide import decide, still_go
from workers.rules.stale_position import READS_LAG


def own(recorded: int, *, ago: timedelta = timedelta(seconds=0.1)) -> StrategyHolding:
    return StrategyHolding(quantity=Decimal(recorded), recorded=Decimal(recorded), changed_at=NOW - ago)


@pytest.mark.parametrize(("read", "recorded"), [(0, 7), (3, 7), (7, 0), (7, 3)])
def test_an_exit_waits_for_a_position_that_does_not_show_the_last_fill_yet(read: int, recorded: int) -> None:
    assert held_for(decide(case(signal("SELL"), held=read, own=own(recorded)))) == "account_unreadable"
    short = case(signal("BUY"), held=-read, own=own(-recorded), order=SHORT)
    assert held_for(decide(short)) == "account_unreadable"
    again: Any = still_go(case(signal("SELL"), held=read, own=own(recorded)), earlier("sell", Role.EXIT))
    assert held_for(again) == "account_unreadable"


def test_an_exit_looks_less_and_less_often_until_the_brokers_word_stands() -> None:
    waits, ago = list[float](), 0.0
    while ago < READS_LAG.total_seconds():
        verdict = decide(case(signal("SELL"), own=own(7, ago=timedelta(seconds=ago))))
        assert isinstance(verdict, Hold)
        waits.append(verdict.wait.total_seconds())
        ago += waits[-1]

    assert (waits, ago) == ([0.25, 0.25, 0.5, 1.0], 2.0)


def test_after_a_while_the_brokers_word_stands() -> None:
    assert codes(decide(case(signal("SELL"), own=own(7, ago=READS_LAG)))) == ["no_position"]
    assert go(decide(case(signal("SELL"), held=3, own=own(7, ago=READS_LAG)))).quantity == 3


def test_a_position_that_shows_the_fill_is_closed_at_once() -> None:
    assert go(decide(case(signal("SELL"), held=7, own=own(7)))).quantity == 7


def test_an_entry_waits_for_no_such_thing() -> None:
    assert go(decide(case(signal("BUY"), own=own(7)))).role is Role.ENTRY


def test_a_coin_from_which_a_fee_was_taken_is_shown_as_it_is() -> None:
    sent = signal("SELL", symbol="BTC/USD", asset_class="crypto")

    assert go(decide(case(sent, held="6.98", own=own(7)))).quantity == Decimal("6.98")
    assert held_for(decide(case(sent, held="6", own=own(7)))) == "account_unreadable"
