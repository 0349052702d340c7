"""Every ended order is in one message, at once or when its day is over, and no alert waits for such a message."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Any

import pytest

from config.schema.sections import HoursSettings
from pipeline.model.backoff import Backoff
from pipeline.monitoring.alerts.alert_store import AlertStore
from pipeline.monitoring.alerts.delivery import AlertDelivery
from pipeline.monitoring.alerts.kinds import AlertKind, ConditionResult, raised
from pipeline.monitoring.alerts.order_messages import OrderDelivery
from pipeline.operations.event_feed import publish
from pipeline.store.record import Record
from tests.factories import until
from tests.integration.execution_states import ExecutionStates, Rows
from tests.integration.monitoring.receivers import Receiver, alerts_at, receiving


def told_by(
    record: Record, receiver: Receiver, *, hours: Mapping[str, HoursSettings] = MappingProxyType({}), **settings: Any
) -> OrderDelivery:
    alerts = alerts_at({"ALERTS_MAIN": receiver.url}, **{"fills": "each"} | settings)
    backoff = Backoff(first_s=0.1, longest_s=0.1)
    return OrderDelivery(record=record, alerts=alerts, gathers=timedelta(0), backoff=backoff, hours=hours)


def wrong(record: Record) -> None:
    """Open an alert."""
    result = ConditionResult(
        kinds=frozenset({AlertKind.DEAD_LETTER}), raised=(raised(AlertKind.DEAD_LETTER, "1", "something is wrong"),)
    )
    store = AlertStore(calm=timedelta(0), holds_s={})
    record.run(lambda connection: store.note(connection, [result]))


def test_each_ended_order_is_in_one_message(record: Record, execution_states: ExecutionStates) -> None:
    with receiving() as (receiver,):
        telling = told_by(record, receiver)
        execution_states.reached("filled", order_id="o-1", filled=5)
        execution_states.reached("accepted", order_id="o-2")
        execution_states.reached("rejected", "rejected_by_broker", order_id="o-3")
        publish(record)
        until(lambda: telling.run_once() * 0 or receiver.messages)
        canceled = execution_states.reached("accepted", order_id="o-4")
        execution_states.moved(canceled, "canceled")
        execution_states.moved(execution_states.recorded(), "skipped", "halted")
        publish(record)
        until(lambda: telling.run_once() * 0 or len(receiver.messages) == 2)
        assert telling.run_once() == 0

    first, second = receiver.messages
    assert first["title"] == "tradewire: 2 orders ended"
    assert "argo (exchange): BUY AAPL filled, 5 at 100.5" in first["message"]
    assert "argo (exchange): BUY AAPL rejected, nothing filled: rejected_by_broker" in first["message"]
    assert second["title"] == "tradewire: argo (exchange): BUY AAPL canceled, nothing filled"
    assert len(first["message"].splitlines()) == 2


def test_orders_that_end_soon_after_a_message_share_the_next_one(
    record: Record, execution_states: ExecutionStates
) -> None:
    with receiving() as (receiver,):
        telling = told_by(record, receiver, group_s=2)
        execution_states.reached("filled", order_id="o-1", filled=5)
        publish(record)
        until(lambda: telling.run_once() * 0 or receiver.messages)
        for number in range(3):
            execution_states.reached("filled", order_id=f"p-{number}", filled=5)
            publish(record)
            telling.run_once()

        until(lambda: telling.run_once() * 0 or len(receiver.messages) > 1)

        assert receiver.messages[1]["title"] == "tradewire: 3 orders ended"


@pytest.mark.parametrize("down", [False, True])
def test_an_alert_does_not_wait_for_a_message_about_orders(
    record: Record, execution_states: ExecutionStates, rows: Rows, *, down: bool
) -> None:
    with receiving() as (receiver,):
        telling = told_by(record, receiver, group_s=3600)
        alerts = AlertDelivery(record=record, alerts=telling.alerts, gathers=timedelta(0))
        receiver.down = down
        execution_states.reached("filled", order_id="o-1", filled=5)
        publish(record)
        until(lambda: telling.run_once() * 0 or receiver.messages or receiver.refused)
        receiver.down = False
        # Now the message about orders is the oldest one that is due.
        rows("UPDATE alert_delivery SET due_at = now() - interval '1 minute' WHERE due_at IS NOT NULL")

        wrong(record)
        assert alerts.run_once() == 1

        assert "something is wrong" in receiver.bodies[-1]
        assert rows("SELECT about FROM alert_message ORDER BY made_at") == [{"about": "orders"}, {"about": "alerts"}]


def test_what_ended_while_no_message_was_wanted_is_not_told_a_day_later(
    record: Record, execution_states: ExecutionStates, rows: Rows
) -> None:
    with receiving() as (receiver,):
        execution_states.reached("filled", order_id="o-1", filled=5)
        publish(record)
        rows("UPDATE event SET at = at - interval '25 hours'")

        assert told_by(record, receiver).run_once() == 0

    assert rows("SELECT 1 AS yes FROM alert_message") == []


def test_the_orders_of_a_day_are_in_one_message_when_the_day_is_over(
    record: Record, execution_states: ExecutionStates, rows: Rows
) -> None:
    now = rows("SELECT clock_timestamp() AT TIME ZONE 'UTC' AS now")[0]["now"]
    # The account's day began an hour ago.
    hours = {"argo": HoursSettings(time_zone="UTC", day_starts_at=(now - timedelta(hours=1)).time())}
    with receiving() as (receiver,):
        telling = told_by(record, receiver, fills="day", hours=hours)
        for number in range(2):
            execution_states.reached("filled", order_id=f"o-{number}", filled=5)
        execution_states.reached("rejected", "rejected_by_broker", order_id="o-2")
        publish(record)
        assert telling.run_once() == 0
        rows("UPDATE event SET at = at - interval '2 hours'")
        execution_states.reached("filled", order_id="o-3", filled=5)
        publish(record)
        until(lambda: telling.run_once() * 0 or receiver.messages)
        assert telling.run_once() == 0
        rows("UPDATE event SET at = at - interval '2 hours'")
        until(lambda: telling.run_once() * 0 or len(receiver.messages) == 2)

    first, second = receiver.messages
    yesterday = (now - timedelta(hours=25)).date()
    assert first["title"] == f"tradewire: 3 orders ended on {yesterday}"
    assert first["message"].splitlines()[0] == "argo (exchange): 2 filled, 1 rejected"
    assert len(first["message"].splitlines()) == 4
    assert second["title"] == f"tradewire: 1 order ended on {yesterday}"
