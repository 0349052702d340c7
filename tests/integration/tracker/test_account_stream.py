"""The tracker records what the paper exchange's stream reports, without any poll."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from urllib.parse import urlsplit

import pytest
from structlog.testing import capture_logs

from config.schema.broker_hosts import EXCHANGE_SECRET
from tests.factories import Core, until
from tests.integration.keeper.orders_at_rest import working
from tests.integration.keeper.test_keeper_follow import by_hand
from tests.integration.tracker.stages import QUICK, MuteProxy, a_stream, running, stream_row, tracking
from workers.brokers.alpaca.stream_connection import connected
from workers.brokers.alpaca.trade_stream import log_in


@pytest.fixture
def proxy(core: Core) -> Iterator[MuteProxy]:
    """A proxy in front of the exchange."""
    made = MuteProxy(urlsplit(core.exchange.url).port or 0)
    yield made
    made.close()


def fills(core: Core) -> list[tuple[str, int]]:
    """Return the source and the quantity of each fill that counts."""
    found = core.rows("SELECT source, quantity FROM fill WHERE voided_at IS NULL ORDER BY filled_at")
    return [(row["source"], int(row["quantity"])) for row in found]


def test_a_fill_is_recorded_without_a_poll(core: Core) -> None:
    with tracking(core):
        execution_id = core.send(quantity=3)
        core.run(execution_id)

        until(lambda: core.state(execution_id) == "filled")

    execution = core.execution(execution_id)
    assert (execution["filled_quantity"], execution["filled_average_price"]) == (3, Decimal(100))
    until(lambda: fills(core) == [("stream", 3)])


def test_each_step_of_an_order_is_recorded(core: Core) -> None:
    core.faults({"on": "submit", "kind": "partial_fill", "seconds": 0.5})
    with tracking(core):
        execution_id = core.send(quantity=10)
        core.run(execution_id)

        until(lambda: core.state(execution_id) == "filled")

    assert core.moves(execution_id)[-2:] == ["partially_filled", "filled"]
    assert fills(core) == [("stream", 5), ("stream", 5)]


def test_a_cancel_at_the_broker_is_recorded_with_its_reason(core: Core) -> None:
    with tracking(core):
        execution_id = working(core)
        core.runtimes["argo"].broker.cancel(core.execution(execution_id)["order_id"])

        until(lambda: core.state(execution_id) == "canceled")

    assert core.execution(execution_id)["reason_code"] == "canceled_at_broker"


def test_doubled_and_late_events_change_nothing(core: Core) -> None:
    core.faults(
        {"on": "stream", "kind": "double_event"},
        {"on": "stream", "kind": "late_event", "seconds": 0.3, "probability": 0.5},
        {"on": "submit", "kind": "partial_fill", "seconds": 0.2},
    )
    with tracking(core):
        execution_id = core.send(quantity=10)
        core.run(execution_id)
        until(lambda: core.state(execution_id) == "filled")
        # The event of the first fill may come after that of the second one.
        until(lambda: fills(core) == [("stream", 5), ("stream", 5)])

    execution = core.execution(execution_id)
    assert (execution["filled_quantity"], execution["order_status"]) == (10, "filled")
    moves = core.moves(execution_id)
    assert len(moves) == len(set(moves)), moves


def test_dropped_events_are_found_by_the_poll(core: Core) -> None:
    core.faults({"on": "stream", "kind": "drop_event"})
    with tracking(core):
        execution_id = core.send(quantity=3)
        core.run(execution_id)
        core.filled_at_exchange()

        core.follower().run_once()

    assert core.state(execution_id) == "filled"


def test_an_opened_stream_asks_for_a_poll_of_what_it_missed(core: Core) -> None:
    with tracking(core):
        first = stream_row(core)
        core.faults({"on": "stream", "kind": "drop_before", "count": 1})
        core.run(core.send())
        until(lambda: stream_row(core)["connected_at"] > first["connected_at"])

        again = stream_row(core)

    assert (again["state"], again["poll_reason"]) == ("listening", "the stream was opened")
    assert again["poll_requested_at"] > first["poll_requested_at"]
    assert again["problem"] == "the connection was closed with code 1013"


def test_a_half_open_connection_is_noticed_and_replaced(core: Core, proxy: MuteProxy) -> None:
    with tracking(core, url=proxy.url):
        first: datetime = stream_row(core)["connected_at"]
        proxy.mute()
        until(lambda: stream_row(core)["connected_at"] > first)
        assert "no ping" in stream_row(core)["problem"]
        execution_id = core.send(quantity=3)
        core.run(execution_id)

        until(lambda: core.state(execution_id) == "filled")


def test_answers_to_pings_show_that_a_quiet_stream_is_open(core: Core) -> None:
    with tracking(core):
        first = stream_row(core)["last_heard_at"]

        until(lambda: stream_row(core)["last_heard_at"] > first)

        assert stream_row(core)["state"] == "listening"


def test_a_second_connection_is_refused_and_said_once_and_the_first_counts_as_open(core: Core) -> None:
    with tracking(core), capture_logs() as logs:
        second = a_stream(core)
        for _ in range(3):
            second.run_once()
        # The keeper's polls and the alerts go by this.
        assert (stream_row(core)["state"], stream_row(core)["problem"]) == ("listening", None)

    said = [line for line in logs if line["event"] == "stream.failed"]
    assert [line["log_level"] for line in said] == ["warning", "debug", "debug"]
    assert "another program uses this account's only stream" in said[0]["says"]
    assert EXCHANGE_SECRET not in str(logs)


def test_a_stream_that_another_program_has_is_down(core: Core) -> None:
    stream = a_stream(core)
    with connected(stream.address, QUICK) as other:
        log_in(other, stream.address, QUICK)

        stream.run_once()

    assert stream_row(core)["state"] == "down"
    assert "another program uses this account's only stream" in stream_row(core)["problem"]


def test_a_tracker_that_does_not_lead_any_more_leaves_the_stream_of_the_one_that_does(core: Core) -> None:
    with tracking(core):
        thawed = a_stream(core)
        # It had the stream open when it was frozen.
        thawed.state.down_since, thawed.leads = None, lambda: False

        thawed.run_once()

        assert (stream_row(core)["state"], stream_row(core)["problem"]) == ("listening", None)
    thawed.run_once()
    assert stream_row(core)["problem"] is None


def test_a_stream_that_is_heard_is_open_whatever_was_recorded(core: Core) -> None:
    with tracking(core):
        core.rows("UPDATE stream SET state = 'down'")

        until(lambda: stream_row(core)["state"] == "listening")


def test_an_exchange_that_is_away_is_no_storm_and_the_stream_comes_back(core: Core) -> None:
    stream = a_stream(core)
    core.exchange.stop()
    with running(stream):
        until(lambda: stream_row(core)["state"] == "down")
        assert "cannot be reached" in stream_row(core)["problem"]
        core.exchange.start()

        until(lambda: stream_row(core)["state"] == "listening")


def test_a_fill_that_is_corrected_and_then_taken_back_counts_no_more(core: Core) -> None:
    core.faults({"on": "submit", "kind": "partial_fill", "seconds": 600})
    with tracking(core):
        core.run(core.send(quantity=10))
        until(lambda: fills(core) == [("stream", 5)])
    recorder = a_stream(core).recorder
    (fill,) = core.rows("SELECT * FROM fill")
    corrected = {"event": "trade_correct", "execution_id": "new", "previous_execution_id": fill["fill_id"], "qty": "4"}
    for changes, left in ((corrected, [4]), ({"event": "trade_bust", "execution_id": "new", "qty": "4"}, [])):
        frame = event(core.orders()[0], price="101", **changes)
        for _ in range(2):
            message = recorder.message(frame)
            assert message is not None
            assert recorder.take(message, frame, ready=lambda _: True) is None

        assert [quantity for _, quantity in fills(core)] == left
    assert stream_row(core)["poll_reason"] == "the broker revised a fill"


def test_a_correction_of_a_fill_that_the_record_does_not_have_is_kept_for_a_person(core: Core) -> None:
    core.faults({"on": "submit", "kind": "partial_fill", "seconds": 600})
    core.run(core.send(quantity=10))
    until(lambda: core.follower().run_once() or fills(core) == [("order", 5)])
    recorder = a_stream(core).recorder
    terms = {"execution_id": "new", "previous_execution_id": "old", "qty": "4", "price": "101"}
    frame = event(core.orders()[0], event="trade_correct", **terms)
    message = recorder.message(frame)
    assert message is not None

    assert recorder.take(message, frame, ready=lambda _: True) is None

    [odd] = core.rows("SELECT * FROM stream_oddity")
    assert (odd["why"], odd["frame"]) == ("it corrects a fill that the record does not have", frame)
    assert fills(core) == [("stream", 4), ("order", 1)]


def test_a_bust_of_a_fill_whose_order_is_not_known_by_that_id_is_kept_for_a_person(core: Core) -> None:
    core.faults({"on": "submit", "kind": "partial_fill", "seconds": 600})
    with tracking(core):
        core.run(core.send(quantity=10))
        until(lambda: fills(core) == [("stream", 5)])
    recorder = a_stream(core).recorder
    frame = event(core.orders()[0] | {"id": "another"}, event="trade_bust", execution_id="f-1", qty="5", price="100")
    message = recorder.message(frame)
    assert message is not None

    assert recorder.take(message, frame, ready=lambda _: True) is None

    [odd] = core.rows("SELECT * FROM stream_oddity")
    assert (odd["why"], odd["frame"]) == ("it takes back a fill that the record does not have", frame)
    assert fills(core) == [("stream", 5)]


def event(order: dict[str, object], **changes: object) -> str:
    """Return the frame of an event of *order*."""
    data = {"timestamp": "2026-10-08T15:10:22.18Z", "order": order} | changes
    return json.dumps({"stream": "trade_updates", "data": data})


def test_the_orders_of_other_programs_are_not_touched(core: Core) -> None:
    with tracking(core):
        requested = stream_row(core)["poll_requested_at"]
        by_hand(core, "buy", 2)
        execution_id = core.send()
        core.run(execution_id)
        until(lambda: core.state(execution_id) == "filled")

        assert stream_row(core)["poll_requested_at"] == requested
    assert core.rows("SELECT * FROM stream_oddity") == []
