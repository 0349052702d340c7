"""The receiver of events gets each event at least once and in order, whatever it answers and whoever dies."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from pipeline.model.backoff import Backoff
from pipeline.monitoring.alerts.alert_store import AlertStore
from pipeline.monitoring.alerts.event_conditions import undelivered_events
from pipeline.operations.event_feed import deliver_after, published_feed
from pipeline.store.record import Record
from pipeline.views.events import events_after
from tests.core_fixtures import Processes, Started
from tests.event_receiver import (
    SECRET,
    Answer,
    EventReceiver,
    drips,
    endless,
    event_receiver,
    nonsense,
    silence,
    status,
)
from tests.factories import Core, until
from tests.integration.execution_states import ExecutionStates, Rows
from tests.pages import DOCS, blocks
from workers.keeper.event_delivery import MOST_EVENTS, EventDelivery
from workers.keeper.event_post import EventPost

AT_ONCE = Backoff(first_s=0.0, longest_s=0.0)


@pytest.fixture
def receiver() -> Iterator[EventReceiver]:
    with event_receiver() as made:
        yield made


@pytest.fixture
def happens(record: Record, execution_states: ExecutionStates) -> Callable[[int], list[int]]:
    """Let some executions be skipped, and return the ids of their events."""

    def skip(count: int) -> list[int]:
        seen = published_feed(record).published
        for _ in range(count):
            execution_states.moved(execution_states.recorded(), "skipped", "halted")
        published_feed(record)
        return [event.event_id for event in events_after(record, seen, limit=1000)]

    return skip


def post_to(receiver: EventReceiver, *, limit_s: float = 10.0) -> EventPost:
    return EventPost(url=receiver.url, secret=SecretStr(SECRET), limit_s=limit_s)


def delivery(record: Record, receiver: EventReceiver, **changes: Any) -> EventDelivery:
    post = post_to(receiver, limit_s=changes.pop("limit_s", 10.0))
    made = EventDelivery(record=record, post=post, backoff=changes.pop("backoff", AT_ONCE))
    made.run_once()  # From now on, the receiver is owed every event.
    return made


# --- what arrives ---


def test_every_event_arrives_once_in_order_and_signed(
    record: Record, receiver: EventReceiver, happens: Callable[[int], list[int]]
) -> None:
    sends = delivery(record, receiver)
    ids = happens(MOST_EVENTS + 3)

    assert [sends.run_once() for _ in range(3)] == [MOST_EVENTS, 3, 0]

    assert receiver.ids == ids
    assert [request.is_signed for request in receiver.posted] == [True, True]
    assert receiver.taken == [event.to_json() for event in events_after(record, ids[0] - 1, limit=1000)]


def test_the_lines_of_the_page_tell_a_true_signature_from_others(
    record: Record, receiver: EventReceiver, happens: Callable[[int], list[int]]
) -> None:
    [sample] = blocks(DOCS / "events-out.md", "python")
    module: dict[str, Any] = {}
    exec(compile(sample, "events-out.md", "exec", dont_inherit=True), module)
    sends = delivery(record, receiver)
    happens(1)
    sends.run_once()
    [request] = receiver.posted
    stamp = request.headers["Tradewire-Timestamp"]

    is_ours = module["is_ours"]

    assert is_ours(request.headers, request.body, SECRET)
    assert not is_ours(request.headers, request.body + b" ", SECRET)
    assert not is_ours(request.headers, request.body, SECRET + "!")
    assert not is_ours(request.headers | {"Tradewire-Timestamp": str(int(stamp) + 1)}, request.body, SECRET)
    assert not is_ours(request.headers | {"Tradewire-Signature": "v1=é"}, request.body, SECRET)


def test_a_receiver_that_is_set_up_later_gets_what_happens_from_then_on_and_the_rest_when_asked(
    record: Record, receiver: EventReceiver, happens: Callable[[int], list[int]]
) -> None:
    before = happens(2)
    sends = delivery(record, receiver)
    after = happens(1)

    sends.run_once()
    assert receiver.ids == after

    deliver_after(record, before[0] - 1)
    sends.run_once()
    assert receiver.ids == [*after, *before, *after]


# --- what goes wrong ---


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (status(404), "it answered with status 404"),
        (status(500), "it answered with status 500"),
        (status(302, Location="/elsewhere"), "it answered with status 302"),
        (silence, "no answer within 0.5 s"),
        (drips, "no answer within 0.5 s"),
        (nonsense, "the request failed (RemoteProtocolError)"),
    ],
)
def test_a_receiver_that_takes_nothing_gets_everything_in_order_when_it_does(
    record: Record, receiver: EventReceiver, happens: Callable[[int], list[int]], answer: Answer, problem: str
) -> None:
    sends = delivery(record, receiver, limit_s=0.5)
    ids = happens(2)
    receiver.answer = answer
    with capture_logs() as logs:
        assert [sends.run_once(), sends.run_once()] == [0, 0]
    assert published_feed(record).problem == problem
    assert [(entry["event"], entry["problem"]) for entry in logs] == [("events.not_delivered", problem)]
    for word in ("hush", SECRET):
        assert word not in str(logs) + problem
    ids += happens(1)

    receiver.answer = status(200)
    sends = delivery(record, receiver)

    assert receiver.ids == ids
    assert published_feed(record).problem is None
    assert {request.path for request in receiver.posted} == {"/hush-hush/"}


def test_a_receiver_that_is_not_there_is_no_error_of_ours(record: Record, happens: Callable[[int], list[int]]) -> None:
    with event_receiver() as gone:
        sends = delivery(record, gone)
    happens(1)

    assert sends.run_once() == 0
    assert published_feed(record).problem == "the request failed (ConnectError)"


def test_an_answer_without_an_end_is_taken_by_its_status(record: Record, happens: Callable[[int], list[int]]) -> None:
    with event_receiver(answer=endless) as receiver:
        sends = delivery(record, receiver)
        happens(1)

        assert sends.run_once() == 1


def test_after_a_failure_there_is_a_pause(
    record: Record, receiver: EventReceiver, happens: Callable[[int], list[int]]
) -> None:
    sends = delivery(record, receiver, backoff=Backoff(first_s=3600.0, longest_s=3600.0))
    happens(1)
    receiver.answer = status(503)
    sends.run_once()
    receiver.answer = status(200)

    assert sends.run_once() == 0
    assert [request.status for request in receiver.posted] == [503]


def test_a_replay_that_is_asked_for_while_events_are_sent_is_not_forgotten(
    record: Record, receiver: EventReceiver, happens: Callable[[int], list[int]]
) -> None:
    sends = delivery(record, receiver)
    ids = happens(2)
    sends.run_once()
    last = happens(1)
    receiver.on_post = lambda: deliver_after(record, ids[0] - 1)
    sends.run_once()
    receiver.on_post = lambda: None

    sends.run_once()

    assert receiver.ids == [*ids, *last, *ids, *last]


def test_a_receiver_that_stays_behind_is_an_alert_until_it_takes_the_next_events(
    record: Record, receiver: EventReceiver, happens: Callable[[int], list[int]], rows: Rows
) -> None:
    store, condition = AlertStore(calm=timedelta(0), holds_s={}), undelivered_events(has_receiver=True)

    def check() -> list[str]:
        record.run(lambda connection: store.note(connection, [condition(connection, {})]))
        return [row["subject"] for row in rows("SELECT subject FROM alert WHERE over_at IS NULL")]

    sends = delivery(record, receiver)
    assert check() == []
    [event_id] = happens(1)
    receiver.answer = status(500)
    sends.run_once()
    wanted = f"the receiver of events has taken none after {event_id - 1}, and 1 wait: it answered with status 500"
    assert check() == [wanted]
    assert record.run(lambda connection: undelivered_events(has_receiver=False)(connection, {}).raised) == ()

    receiver.answer = status(200)
    sends.run_once()
    assert check() == []


# --- processes ---


def leads(processes: Processes, keeper: Started) -> bool:
    return "keeper.leads" in processes.said(keeper)


def test_a_keeper_that_dies_after_it_sent_is_followed_by_one_that_sends_the_same_again(
    core: Core, processes: Processes, tmp_path: Path, receiver: EventReceiver
) -> None:
    environment = receiver.environment(tmp_path)
    dies = processes.start(core, "keep", TRADEWIRE_CRASH_AT="keeper.after_events", **environment)
    until(lambda: core.rows("SELECT 1 AS yes FROM event_feed WHERE delivered IS NOT NULL"))
    execution_id = core.send()
    core.run(execution_id)
    assert processes.killed(dies)
    sent = list(receiver.ids)
    assert sent
    assert core.rows("SELECT delivered FROM event_feed") == [{"delivered": 0}]

    keeper = processes.start(core, "keep", **environment)

    until(
        lambda: ("order", "filled") in [(each["kind"], each["data"]["status"]) for each in receiver.taken], within_s=30
    )
    again = receiver.ids[len(sent) :]
    assert again[: len(sent)] == sent
    assert again == sorted(again)
    assert sorted(set(again)) == list(range(1, len(set(again)) + 1))
    assert SECRET not in processes.said(dies) + processes.said(keeper)
    assert "hush-hush" not in processes.said(dies) + processes.said(keeper)


def test_a_receiver_that_hangs_holds_up_nothing_but_its_events(
    core: Core, processes: Processes, tmp_path: Path
) -> None:
    with event_receiver(answer=silence) as receiver:
        keeper = processes.start(core, "keep", **receiver.environment(tmp_path))
        until(lambda: leads(processes, keeper))
        first = core.send()
        core.run(first)
        until(lambda: core.state(first) == "filled")
        second = core.send("MSFT")
        core.run(second)
        until(lambda: core.state(second) == "filled")
        # The events are published all the same, so others can read them.
        until(
            lambda: core.rows("SELECT 1 AS yes FROM event WHERE event_id IS NOT NULL AND execution_id = %s", [second])
        )
        os.kill(keeper.pid, signal.SIGTERM)
        assert keeper.wait(30) == 0
        assert receiver.taken == []


@pytest.mark.parametrize("secret", [{}, {"TRADEWIRE_EVENTS_SECRET": "too-short"}])
@pytest.mark.parametrize("command", [["keep"], ["config", "check"]])
def test_without_a_secret_no_process_starts_that_would_send_events(
    core: Core,
    processes: Processes,
    tmp_path: Path,
    receiver: EventReceiver,
    command: list[str],
    secret: dict[str, str],
) -> None:
    environment = receiver.environment(tmp_path)
    del environment["TRADEWIRE_EVENTS_SECRET"]

    process = processes.start(core, *command, **environment, **secret)

    assert process.wait(30) == 2
    assert "TRADEWIRE_EVENTS_SECRET" in processes.said(process)
    assert "too-short" not in processes.said(process)
