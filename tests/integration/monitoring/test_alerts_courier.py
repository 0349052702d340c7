"""A message arrives once at the first channel that works, later at those before it, and again if its sender died."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from pipeline.model.backoff import Backoff
from pipeline.monitoring.alerts.alert_store import AlertStore
from pipeline.monitoring.alerts.channels import send
from pipeline.monitoring.alerts.delivery import AlertDelivery
from pipeline.monitoring.alerts.kinds import AlertKind, ConditionResult, Raised, Severity
from pipeline.monitoring.alerts.messages import Message
from pipeline.store.record import Record
from tests.factories import until
from tests.integration.execution_states import Rows
from tests.integration.monitoring.receivers import Receiver, alerts_at, receiving


def delivery(record: Record, *receivers: Receiver, **changes: Any) -> AlertDelivery:
    channels = dict(
        zip(("ALERTS_MAIN", "ALERTS_SECOND", "ALERTS_THIRD"), (each.url for each in receivers), strict=False)
    )
    settings = changes.pop("settings", {})
    given = {"gathers": timedelta(0), "backoff": Backoff(first_s=0.1, longest_s=60.0)} | changes
    return AlertDelivery(record=record, alerts=alerts_at(channels, **settings), **given)


def trouble(which: object = "1", kind: AlertKind = AlertKind.DEAD_LETTER) -> Raised:
    return Raised(
        key=f"{kind}:{which}", kind=kind, severity=Severity.CRITICAL, subject=f"{kind} {which} is wrong", facts={}
    )


def note(record: Record, store: AlertStore, raised: Sequence[Raised], kind: AlertKind = AlertKind.DEAD_LETTER) -> None:
    result = ConditionResult(kinds=frozenset({kind}), raised=tuple(raised))
    record.run(lambda connection: store.note(connection, [result]))


@pytest.fixture
def store() -> AlertStore:
    return AlertStore(calm=timedelta(0), holds_s={})


def test_a_channel_that_is_down_is_told_later_and_the_second_one_at_once_once_each(
    record: Record, rows: Rows, store: AlertStore
) -> None:
    with receiving(2) as (first, second):
        first.down = True
        telling = delivery(record, first, second)
        note(record, store, [trouble()])
        until(lambda: telling.run_once() * 0 or second.messages)
        assert (len(second.messages), first.messages) == (1, [])
        down_until = time.monotonic() + 2.0
        until(lambda: telling.run_once() * 0 or time.monotonic() > down_until)
        assert first.refused >= 3

        first.down = False

        until(lambda: telling.run_once() * 0 or first.messages)
        again_until = time.monotonic() + 1.0
        until(lambda: telling.run_once() * 0 or time.monotonic() > again_until)
        assert (len(first.messages), len(second.messages)) == (1, 1)
        assert first.bodies == second.bodies
        assert "dead_letter 1 is wrong" in first.bodies[0]
    tries = rows("SELECT channel, delivered, count(*) AS n FROM alert_attempt GROUP BY 1, 2 ORDER BY 1, 2")
    assert [(row["channel"], row["delivered"]) for row in tries] == [
        ("ALERTS_MAIN", False),
        ("ALERTS_MAIN", True),
        ("ALERTS_SECOND", True),
    ]
    assert [row["n"] for row in tries if row["delivered"]] == [1, 1]


def test_a_first_channel_that_works_is_the_only_one(record: Record, store: AlertStore) -> None:
    with receiving(2) as (first, second):
        telling = delivery(record, first, second)
        note(record, store, [trouble()])

        until(lambda: telling.run_once() * 0 or first.messages)

        assert telling.run_once() == 0
        assert second.messages == []


def test_with_two_down_the_third_is_told(record: Record, store: AlertStore) -> None:
    with receiving(3) as (first, second, third):
        first.down = second.down = True
        telling = delivery(record, first, second, third)
        note(record, store, [trouble()])

        until(lambda: telling.run_once() * 0 or third.messages)


def test_a_storm_is_one_message_with_a_count(record: Record, store: AlertStore) -> None:
    with receiving() as (receiver,):
        telling = delivery(record, receiver)
        note(record, store, [trouble(number) for number in range(300)])

        until(lambda: telling.run_once() * 0 or receiver.messages)
        telling.run_once()

        assert len(receiver.messages) == 1
        assert "and 295 more of dead_letter" in receiver.bodies[0]
        assert "(and 299 more)" in receiver.messages[0]["title"]
        assert receiver.messages[0]["type"] == "failure"


def test_what_comes_soon_after_a_message_waits_for_the_next(record: Record, store: AlertStore) -> None:
    with receiving() as (receiver,):
        telling = delivery(record, receiver, settings={"group_s": 2})
        note(record, store, [trouble(0)])
        until(lambda: telling.run_once() * 0 or receiver.messages)
        for number in range(1, 4):
            note(record, store, [trouble(each) for each in range(number + 1)])
            telling.run_once()

        until(lambda: telling.run_once() * 0 or len(receiver.messages) > 1)

        assert receiver.messages[1]["at"] - receiver.messages[0]["at"] > 1.9
        assert all(f"dead_letter {number} " in receiver.bodies[1] for number in (1, 2, 3))
        assert "dead_letter 0 " not in receiver.bodies[1]


def test_the_end_is_told_too_once(record: Record, store: AlertStore) -> None:
    with receiving() as (receiver,):
        telling = delivery(record, receiver)
        note(record, store, [trouble(1), trouble(2)])
        until(lambda: telling.run_once() * 0 or receiver.messages)

        note(record, store, [trouble(2)])

        until(lambda: telling.run_once() * 0 or len(receiver.messages) == 2)
        assert receiver.bodies[1].startswith("It is over:\n- [critical] dead_letter 1 ")
        assert receiver.messages[1]["type"] == "success"
        assert receiver.messages[1]["title"].startswith("tradewire: over: ")
        until(lambda: telling.run_once() == 0)
        assert len(receiver.messages) == 2


def test_what_came_and_went_before_it_was_told_is_told_in_one(record: Record, store: AlertStore) -> None:
    note(record, store, [trouble()])
    note(record, store, [])
    with receiving() as (receiver,):
        telling = delivery(record, receiver)

        until(lambda: telling.run_once() * 0 or receiver.messages)

        assert receiver.bodies[0].startswith("Already over:")
        assert telling.run_once() == 0


def test_the_end_of_an_event_is_no_news(record: Record, store: AlertStore) -> None:
    with receiving() as (receiver,):
        telling = delivery(record, receiver)
        note(record, store, [trouble(kind=AlertKind.LATE_ORDER)], AlertKind.LATE_ORDER)
        until(lambda: telling.run_once() * 0 or receiver.messages)

        note(record, store, [], AlertKind.LATE_ORDER)

        time.sleep(1.2)
        assert telling.run_once() == 0
        assert len(receiver.messages) == 1


def test_two_deliveries_at_once_send_everything_once(record: Record, store: AlertStore) -> None:
    with receiving() as (receiver,):
        two = [delivery(record, receiver), delivery(record, receiver)]
        stop = threading.Event()

        def work(telling: AlertDelivery) -> None:
            while not stop.is_set():
                telling.run_once()

        threads = [threading.Thread(target=work, args=(telling,)) for telling in two]
        for thread in threads:
            thread.start()
        try:
            for number in range(3):
                note(record, store, [trouble(each) for each in range(number + 1)])
                until(lambda number=number: len(receiver.messages) > number)
                time.sleep(0.2)
        finally:
            stop.set()
            for thread in threads:
                thread.join(10)
        assert len(receiver.messages) == 3


def test_a_message_whose_sender_died_before_recording_it_is_sent_again(record: Record, store: AlertStore) -> None:
    def tell_and_die(address: SecretStr, message: Message) -> bool:
        assert send(address, message)
        raise KeyboardInterrupt

    with receiving() as (receiver,):
        note(record, store, [trouble()])
        dies = delivery(record, receiver, send=tell_and_die, claim=timedelta(seconds=1))
        with pytest.raises(KeyboardInterrupt):
            until(dies.run_once)
        lives = delivery(record, receiver)
        assert lives.run_once() == 0

        until(lambda: lives.run_once() * 0 or len(receiver.messages) == 2)
        assert receiver.bodies[0] == receiver.bodies[1]


def test_without_a_channel_alerts_are_rows_and_a_channel_that_comes_is_told_what_is_open(
    record: Record, rows: Rows, store: AlertStore
) -> None:
    note(record, store, [trouble()])

    assert AlertDelivery(record=record, alerts=alerts_at({})).run_once() == 0
    assert rows("SELECT count(*) AS n FROM alert WHERE over_at IS NULL")[0]["n"] == 1
    with receiving() as (receiver,):
        telling = delivery(record, receiver)
        until(lambda: telling.run_once() * 0 or receiver.messages)


def test_no_address_is_in_the_record_or_in_the_log(
    record: Record, rows: Rows, store: AlertStore, capsys: pytest.CaptureFixture[str]
) -> None:
    # Logs are captured, because a command in another test of this process may have set the level to errors only.
    with receiving(2) as (first, second), capture_logs() as logs:
        first.down = True
        telling = delivery(record, first, second)
        note(record, store, [trouble()])
        until(lambda: telling.run_once() * 0 or second.messages)
    tables = ("alert", "alert_message", "alert_delivery", "alert_attempt", "alert_channel")
    kept = "".join(str(rows(f"SELECT * FROM {table}")) for table in tables)
    said = f"{logs}{''.join(capsys.readouterr())}"

    assert "alert.not_told" in said
    assert [secret for secret in ("s3cr3t-token", "127.0.0.1:") if secret in kept + said] == []
