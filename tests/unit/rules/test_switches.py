from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from pipeline.model.reason_catalogue import CATALOGUE
from pipeline.model.reasons import Code
from pipeline.model.switches import Switch, SwitchKind, reason_of
from pipeline.store.rows import Role
from tests.rule_cases import NOW, case, codes, earlier, go, signal
from workers.rules.case import Hold, Skip
from workers.rules.decide import decide, still_go
from workers.rules.switches import verdict_on


def switch(kind: SwitchKind, cause: str = "person", **more: Any) -> Switch:
    return Switch(**{"kind": kind, "cause": cause, "set_by": "ann@desk", "set_at": NOW} | more)


def test_an_entry_may_go_without_a_switch() -> None:
    assert verdict_on(()) == ([], None)


@pytest.mark.parametrize(
    ("kind", "cause", "code"),
    [
        (SwitchKind.REDUCING, "person", Code.REDUCING),
        (SwitchKind.REDUCING, "daily_loss", Code.REDUCING_DAILY_LOSS),
        (SwitchKind.REDUCING, "drawdown", Code.REDUCING_DRAWDOWN),
        (SwitchKind.REDUCING, "unreadable", Code.REDUCING_UNREADABLE),
        (SwitchKind.HALTED, "person", Code.HALTED),
        (SwitchKind.HALTED, "daily_loss", Code.HALTED_DAILY_LOSS),
        (SwitchKind.HALTED, "drawdown", Code.HALTED_DRAWDOWN),
        (SwitchKind.HALTED, "something new", Code.HALTED),
    ],
)
def test_each_switch_stops_an_entry_with_its_own_code(kind: SwitchKind, cause: str, code: Code) -> None:
    skips, hold = verdict_on([switch(kind, cause)])

    assert ([reason.code for reason in skips], hold) == ([code], None)
    assert code in CATALOGUE


def test_a_pause_holds_and_skips_nothing() -> None:
    skips, hold = verdict_on([switch(SwitchKind.PAUSED)])

    assert skips == []
    assert hold is not None
    assert hold.code is Code.PAUSED


def test_the_reason_says_the_figures_who_since_when_and_why() -> None:
    reason = reason_of(
        switch(SwitchKind.HALTED, "daily_loss", facts={"lost": "510.20", "allowed": "500.00"}, why="the day is over")
    )

    expected = f'halted_daily_loss lost=510.20 allowed=500.00 by=ann@desk since={NOW.isoformat()} why="the day is over"'
    assert str(reason) == expected


def test_all_active_switches_are_listed_the_strictest_and_then_the_oldest_first() -> None:
    skips, hold = verdict_on(
        [
            switch(SwitchKind.PAUSED),
            switch(SwitchKind.REDUCING, "unreadable"),
            switch(SwitchKind.HALTED, "drawdown", set_at=NOW + timedelta(seconds=1)),
            switch(SwitchKind.HALTED, "daily_loss"),
        ]
    )

    assert [reason.code for reason in skips] == [
        Code.HALTED_DAILY_LOSS,
        Code.HALTED_DRAWDOWN,
        Code.REDUCING_UNREADABLE,
    ]
    assert hold is not None


def test_a_halted_account_takes_no_entry_and_lists_every_reason() -> None:
    halted = switch(SwitchKind.HALTED, "daily_loss", facts={"lost": "510"})
    verdict = decide(case(signal(confidence=Decimal(10)), switches=(halted,)))

    assert codes(verdict) == ["halted_daily_loss", "confidence_below_minimum"]


def test_a_paused_entry_is_held_unless_something_else_ends_it() -> None:
    paused = (switch(SwitchKind.PAUSED),)
    verdict = decide(case(signal(), switches=paused))

    assert isinstance(verdict, Hold)
    assert verdict.reason.code is Code.PAUSED
    assert codes(decide(case(signal(confidence=Decimal(10)), switches=paused))) == ["confidence_below_minimum"]


@pytest.mark.parametrize("kind", SwitchKind)
def test_no_switch_holds_an_exit_back(kind: SwitchKind) -> None:
    exit_ = go(decide(case(signal("SELL"), held=7, switches=(switch(kind, flatten=True),))))

    assert (exit_.role, exit_.quantity) == (Role.EXIT, 7)


@pytest.mark.parametrize(
    ("kind", "ends"), [(SwitchKind.REDUCING, Skip), (SwitchKind.HALTED, Skip), (SwitchKind.PAUSED, Hold)]
)
def test_an_entry_is_not_sent_again_while_the_account_is_stopped(kind: SwitchKind, ends: type) -> None:
    assert isinstance(still_go(case(signal(), switches=(switch(kind),)), earlier()), ends)


@pytest.mark.parametrize("kind", SwitchKind)
def test_an_exit_is_sent_again_whatever_stops_the_account(kind: SwitchKind) -> None:
    sent = earlier("sell", role=Role.EXIT)

    assert still_go(case(signal("SELL"), held=7, switches=(switch(kind),)), sent) is None
