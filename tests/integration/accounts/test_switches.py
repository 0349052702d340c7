from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import pytest
from psycopg import Connection
from psycopg.rows import DictRow

from pipeline.accounts.switches import PERSON, active_switches, turn_off, turn_on
from pipeline.model.switches import SwitchKind
from pipeline.store.record import Record
from tests.integration.execution_states import Rows

T = TypeVar("T")
HOLDER = "PA1"


@pytest.fixture
def turn(record: Record) -> Callable[..., bool]:
    def turned(kind: SwitchKind = SwitchKind.HALTED, cause: str = PERSON, **more: Any) -> bool:
        values = {"account_key": HOLDER, "kind": kind, "cause": cause, "facts": {}, "by": "ann@desk"} | more
        return record.run(lambda connection: turn_on(connection, **values))

    return turned


def off(record: Record, **more: Any) -> list[tuple[str, str]]:
    values: dict[str, Any] = {"account_key": HOLDER, "kinds": None, "causes": None, "by": "bob@desk", "why": "all well"}

    def unit(connection: Connection[DictRow]) -> list[tuple[str, str]]:
        return [(switch.kind.value, switch.cause) for switch in turn_off(connection, **values | more)]

    return record.run(unit)


def turns(rows: Rows) -> list[tuple[Any, ...]]:
    found = rows("SELECT turned, kind, cause, flatten, moved_by, why FROM switch_history ORDER BY history_id")
    return [tuple(row.values()) for row in found]


def test_a_switch_is_on_once_and_keeps_its_first_figures_name_and_time(
    record: Record, turn: Callable[..., bool], rows: Rows
) -> None:
    assert turn(cause="daily_loss", facts={"lost": "510"}, by="keeper")
    assert not turn(cause="daily_loss", facts={"lost": "530"}, by="another keeper")

    [stands] = record.run(lambda connection: active_switches(connection, HOLDER))
    assert (stands.facts, stands.set_by, stands.flatten) == ({"lost": "510"}, "keeper", False)
    assert turns(rows) == [("on", "halted", "daily_loss", False, "keeper", None)]


def test_several_causes_hold_one_switch_and_it_is_off_when_the_last_is_gone(
    record: Record, turn: Callable[..., bool]
) -> None:
    turn(SwitchKind.REDUCING, "daily_loss")
    turn(SwitchKind.REDUCING, "unreadable")

    assert off(record, kinds=[SwitchKind.REDUCING], causes=["unreadable"]) == [("reducing", "unreadable")]
    assert [switch.cause for switch in record.run(lambda connection: active_switches(connection, HOLDER))] == [
        "daily_loss"
    ]
    assert off(record) == [("reducing", "daily_loss")]
    assert record.run(lambda connection: active_switches(connection, HOLDER)) == []


def test_every_turn_is_kept_with_who_and_why(record: Record, turn: Callable[..., bool], rows: Rows) -> None:
    turn(why="lunch")
    turn(why="long lunch")
    turn(flatten=True)
    off(record)
    off(record)

    assert turns(rows) == [
        ("on", "halted", "person", False, "ann@desk", "lunch"),
        ("changed", "halted", "person", False, "ann@desk", "long lunch"),
        ("changed", "halted", "person", True, "ann@desk", None),
        ("off", "halted", "person", True, "bob@desk", "all well"),
    ]


def test_a_limit_asks_to_close_everything_once_and_a_person_each_time(turn: Callable[..., bool], rows: Rows) -> None:
    for cause in ("daily_loss", PERSON):
        assert turn(cause=cause, flatten=True)
    before = {row["cause"]: row["switch_id"] for row in rows("SELECT * FROM switch")}
    rows("UPDATE switch SET flatten = false, flattened_at = clock_timestamp()")

    assert not turn(cause="daily_loss", flatten=True)
    assert turn(cause=PERSON, flatten=True)
    after = {row["cause"]: row["switch_id"] for row in rows("SELECT * FROM switch WHERE flattened_at IS NULL")}
    assert list(after) == [PERSON]
    assert after[PERSON] != before[PERSON]


def test_another_account_is_left_alone(record: Record, turn: Callable[..., bool]) -> None:
    turn(account_key="PA2")

    assert off(record) == []
    assert len(record.run(lambda connection: active_switches(connection, "PA2"))) == 1
