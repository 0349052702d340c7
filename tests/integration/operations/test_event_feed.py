"""Every decision, state of an order, fill and switch is one event, and a reader who goes on from an id misses none."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg import Connection

from pipeline.accounts.switches import Switches
from pipeline.model.switches import SwitchKind
from pipeline.operations.adopting import adopt
from pipeline.operations.event_feed import deliver_after, publish, published_feed
from pipeline.operations.retention import remove_details
from pipeline.store.record import Record
from pipeline.store.rows import ExecutionRow
from pipeline.store.statements import sql
from pipeline.views.event_schemas import EventView
from pipeline.views.events import events_after
from pipeline.views.schemas import ExecutionView
from tests.factories import Core, until
from tests.integration.execution_states import ExecutionStates, Rows
from tests.integration.keeper.reconciling import reconcile, trade_by_hand
from tests.integration.limited_stage import filled

SKIP = (
    "UPDATE execution SET state = 'skipped', reason_code = 'halted', ended_at = now(), due_at = NULL "
    "WHERE execution_id = %s"
)


def events(record: Record, since: int = 0) -> list[dict[str, Any]]:
    """Return the events after *since*, and those that are recorded and not published yet."""
    published_feed(record)
    return [event.to_json() for event in events_after(record, since, limit=1000)]


def of(record: Record, execution_id: UUID) -> list[dict[str, Any]]:
    return [event for event in events(record) if event["execution_id"] == str(execution_id)]


def told(found: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(event["kind"], event["data"]["status"]) for event in found]


def execution_now(record: Record, execution_id: UUID) -> dict[str, Any]:
    row = record.one(ExecutionRow, sql("lists", "execution"), {"execution_id": execution_id})
    return ExecutionView.model_validate(row).to_json()


@pytest.fixture
def late(database_url: str) -> Iterator[Connection[Any]]:
    """A transaction that is open for longer than others."""
    with psycopg.connect(database_url) as connection:
        yield connection


# --- the order of the ids ---


def test_a_change_that_is_committed_later_gets_a_later_id(
    record: Record, execution_states: ExecutionStates, rows: Rows, late: Connection[Any]
) -> None:
    slow, quick = execution_states.recorded(), execution_states.recorded(symbol="MSFT")
    seen = published_feed(record).published
    late.execute(SKIP, [slow])
    # The event of the open transaction is written, so it has the smaller number of the sequence.
    late.execute("SET CONSTRAINTS ALL IMMEDIATE")
    execution_states.moved(quick, "skipped", "halted")

    first = events(record, seen)
    late.commit()
    second = events(record, first[-1]["event_id"])

    assert [event["execution_id"] for event in first] == [str(quick)]
    assert [event["execution_id"] for event in second] == [str(slow)]
    entries = rows("SELECT execution_id FROM event WHERE event_id > %s ORDER BY entry_id", [seen])
    assert [row["execution_id"] for row in entries] == [slow, quick]


def test_two_that_publish_at_once_give_every_event_one_id_and_no_reader_sees_a_gap(
    record: Record, execution_states: ExecutionStates, rows: Rows, late: Connection[Any], database_url: str
) -> None:
    slow, quick = execution_states.recorded(), execution_states.recorded(symbol="MSFT")
    seen = published_feed(record).published
    with psycopg.connect(database_url) as later_committed:
        later_committed.execute(SKIP, [slow])
        later_committed.execute("SET CONSTRAINTS ALL IMMEDIATE")
        execution_states.moved(quick, "skipped", "halted")
        late.execute(sql("events", "lock_unpublished"))
        late.execute(sql("events", "publish"), {"limit": 1000})
    other = threading.Thread(target=publish, args=[record])
    other.start()
    until(lambda: rows("SELECT 1 AS waits FROM pg_stat_activity WHERE wait_event_type = 'Lock'"))

    before = events_after(record, seen, limit=1000)
    late.commit()
    other.join(10)
    after = events_after(record, seen, limit=1000)

    assert before == []
    assert [(event.event_id, event.execution_id) for event in after] == [(seen + 1, quick), (seen + 2, slow)]
    assert rows("SELECT count(*) AS n FROM event WHERE event_id IS NULL") == [{"n": 0}]


def test_what_is_rolled_back_is_no_event(
    record: Record, execution_states: ExecutionStates, late: Connection[Any]
) -> None:
    execution_id = execution_states.recorded()
    late.execute(SKIP, [execution_id])
    late.execute("SET CONSTRAINTS ALL IMMEDIATE")
    late.rollback()

    assert of(record, execution_id) == []


# --- what is told ---


def test_an_order_is_told_as_accepted_and_as_filled_in_the_shape_of_its_execution(core: Core) -> None:
    execution_id = filled(core)

    found = of(core.record, execution_id)
    states = [event for event in found if event["kind"] != "fill"]

    assert told(states) == [("decision", "accepted"), ("order", "filled")]
    assert all(list(event) == list(EventView.model_fields) for event in found)
    assert states[-1]["data"] == execution_now(core.record, execution_id)
    assert states[0]["data"]["order_id"] == states[-1]["data"]["order_id"] is not None
    assert (states[0]["executor_id"], states[0]["mode"], states[0]["symbol"]) == ("argo", "exchange", "AAPL")
    assert states[0]["signal_id"] == states[0]["data"]["signal_id"]


def test_an_order_that_is_filled_before_its_answer_is_read_is_accepted_first(
    record: Record, execution_states: ExecutionStates
) -> None:
    execution_id = execution_states.reached("filled", order_id="o-1", filled=5)

    accepted, whole = [event for event in of(record, execution_id) if event["kind"] != "fill"]

    assert told([accepted, whole]) == [("decision", "accepted"), ("order", "filled")]
    assert (accepted["data"]["filled_quantity"], accepted["data"]["ended_at"]) == ("0", None)
    assert (whole["data"]["filled_quantity"], whole["data"]["filled_average_price"]) == ("5", "100.5")


def test_an_event_has_what_its_transaction_wrote_after_it(
    record: Record, execution_states: ExecutionStates, late: Connection[Any]
) -> None:
    execution_id = execution_states.recorded()
    execution_states.claimed(execution_id)
    execution_states.ordered(execution_id, order_id=None)
    late.execute("UPDATE execution SET state = 'accepted', lease_until = NULL WHERE execution_id = %s", [execution_id])
    late.execute("UPDATE broker_order SET order_id = 'o-9' WHERE execution_id = %s", [execution_id])
    late.commit()

    [accepted] = of(record, execution_id)

    assert accepted["data"]["order_id"] == "o-9"


def test_what_waits_is_no_event_and_each_end_is_one(record: Record, execution_states: ExecutionStates) -> None:
    execution_id = execution_states.recorded()
    execution_states.claimed(execution_id)
    execution_states.moved(execution_id, "held", "paused")
    execution_states.claimed(execution_id)
    execution_states.moved(execution_id, "unknown")
    assert of(record, execution_id) == []

    execution_states.moved(execution_id, "dead", "unknown_too_long", after_s=60)
    execution_states.moved(execution_id, "discarded", "unknown_too_long")

    found = of(record, execution_id)
    assert told(found) == [("decision", "dead"), ("decision", "discarded")]
    assert found[0]["data"]["reason"] == "unknown_too_long after_s=60"


def test_the_newest_events_of_the_fills_add_up_to_what_is_filled(
    record: Record, execution_states: ExecutionStates, rows: Rows
) -> None:
    execution_id = execution_states.reached("filled", order_id="o-1", filled=5)

    def sums() -> Decimal:
        newest = {
            event["data"]["fill_id"]: event["data"] for event in of(record, execution_id) if event["kind"] == "fill"
        }
        counted = [data for data in newest.values() if data["status"] in {"recorded", "changed"}]
        return sum((Decimal(data["quantity"]) for data in counted), Decimal(0))

    def recorded(fill_id: str, quantity: int) -> None:
        values = {"account_number": "PA1", "fill_id": fill_id, "execution_id": execution_id, "generation": 1}
        values |= {"executor_id": "argo", "symbol": "AAPL", "side": "buy", "quantity": quantity, "price": 100}
        values |= {"cumulative_quantity": None, "filled_at": datetime.now(UTC), "source": "stream"}
        record.do(sql("fills", "insert"), values)

    assert sums() == 5
    recorded("f-1", 2)
    assert sums() == 5
    recorded("f-2", 3)
    assert sums() == 5
    rows("UPDATE fill SET fill_id = 'f-3', source = 'activity' WHERE fill_id = 'f-2'")
    assert sums() == 5
    record.do(sql("fills", "void"), {"account_number": "PA1", "fill_id": "f-1", "corrected_by": None})
    assert sums() == 3
    statuses = {event["data"]["status"] for event in of(record, execution_id) if event["kind"] == "fill"}
    assert statuses == {"recorded", "changed", "replaced", "taken_back"}


def test_a_switch_is_told_with_who_and_why(record: Record, execution_states: ExecutionStates) -> None:
    execution_states.recorded()
    switches = Switches(record)
    switches.turn("argo", SwitchKind.PAUSED, by="ada", why="lunch")
    switches.turn("argo", SwitchKind.HALTED, flatten=True, by="bob", why=None)
    switches.resume("argo", by="ada", why="back")

    found = [event for event in events(record) if event["kind"] == "switch"]

    assert [(event["executor_id"], event["mode"], event["symbol"]) for event in found] == [
        ("argo", "exchange", None)
    ] * 4
    by_turn = [(each["data"]["switch"], each["data"]["turned"], each["data"]["flatten"]) for each in found]
    assert by_turn[:2] == [("paused", "on", False), ("halted", "on", True)]
    assert sorted(by_turn[2:]) == [("halted", "off", True), ("paused", "off", False)]
    assert (found[0]["data"]["by"], found[0]["data"]["why"], found[0]["data"]["cause"]) == ("ada", "lunch", "person")


def test_a_finding_is_told_when_it_is_opened_and_when_it_ends_and_a_suspicion_is_not(core: Core) -> None:
    filled(core)
    trade_by_hand(core, 5)
    trade_by_hand(core, 2, "MSFT")
    seen = published_feed(core.record).published

    reconcile(core)
    assert events(core.record, seen) == []
    reconcile(core, times=3)
    opened = events(core.record, seen)
    assert [(each["kind"], each["executor_id"], each["mode"], each["symbol"]) for each in opened] == [
        ("finding", "argo", "exchange", symbol) for symbol in ("AAPL", "MSFT")
    ]
    assert [(each["data"]["finding"], each["data"]["status"], each["data"]["facts"]["broker"]) for each in opened] == [
        ("position_quantity", "open", "6"),
        ("foreign_position", "open", "2"),
    ]

    trade_by_hand(core, -5)
    reconcile(core)
    adopt(core.record, ["argo"], by="ada", why="mine")
    ended = [each["data"] for each in events(core.record, opened[-1]["event_id"])]
    assert [(each["status"], each["by"], each["why"]) for each in ended] == [
        ("healed", "test keeper", None),
        ("adopted", "ada", "mine"),
    ]


# --- old events ---


def test_retention_removes_old_events_that_the_receiver_has(
    record: Record, execution_states: ExecutionStates, rows: Rows
) -> None:
    for _ in range(3):
        execution_states.moved(execution_states.recorded(), "skipped", "halted")
    ids = [event["event_id"] for event in events(record)]
    rows("UPDATE event SET at = at - interval '1 year'")
    deliver_after(record, ids[0])
    before = datetime.now(UTC) - timedelta(days=90)

    counted = remove_details(record, before=before, dry_run=True, has_receiver=True)
    removed = remove_details(record, before=before, has_receiver=True)

    assert counted.events == removed.events == 1
    assert [event["event_id"] for event in events(record)] == ids[1:]
    assert remove_details(record, before=before).events == len(ids) - 1
    # The next event does not get the id of a removed one.
    execution_states.moved(execution_states.recorded(), "skipped", "halted")
    assert events(record)[0]["event_id"] > ids[-1]


def test_after_a_restore_no_event_gets_an_id_that_was_given_since_the_backup(
    record: Record, execution_states: ExecutionStates
) -> None:
    execution_states.moved(execution_states.recorded(), "skipped", "halted")
    newest = events(record)[-1]["event_id"]

    record.do(sql("restores", "note"), {"by": "ada", "file_name": "yesterday"})
    execution_states.moved(execution_states.recorded(), "skipped", "halted")

    assert events(record)[-1]["event_id"] > newest + 1_000_000
