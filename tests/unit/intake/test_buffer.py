from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from pipeline.intake.buffer import EXPIRED_UNRECORDED, Refusal, SignalBuffer, deadline
from pipeline.intake.sources.protocol import Item, Unreadable

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
MINUTE = timedelta(seconds=60)


def signal(number: int = 1, **changes: Any) -> dict[str, Any]:
    return {"source_id": str(number), "symbol": "AAPL", "action": "BUY"} | changes


def buffer_with(*items: Item, limit: int = 100) -> SignalBuffer:
    buffer = SignalBuffer(limit=limit, entry_age=MINUTE)
    buffer.put(items, source="test", now=NOON, stop=threading.Event())
    return buffer


def ids(buffer: SignalBuffer) -> list[str]:
    return [waiting.raw["source_id"] for waiting in buffer.rest()]


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        pytest.param({"action": "BUY"}, MINUTE, id="an entry"),
        pytest.param({"action": "buy"}, MINUTE, id="in any case"),
        pytest.param({"action": "SELL"}, None, id="what may close a position"),
        pytest.param({"action": "SELL", "intent": "auto"}, None, id="the same, said"),
        pytest.param({"action": "SELL", "intent": "open"}, MINUTE, id="a short entry"),
        pytest.param({"action": "BUY", "intent": "close"}, None, id="an exit"),
        pytest.param({"intent": "close", "expires_at": "2026-03-02T12:00:01Z"}, None, id="exits never expire"),
        pytest.param({"generated_at": "2026-03-02T11:59:30Z"}, MINUTE / 2, id="age counts from its making"),
        pytest.param({"generated_at": "2026-03-02T13:59:30+02:00"}, MINUTE / 2, id="in any zone"),
        pytest.param({"expires_at": "2026-03-02T12:00:10Z"}, timedelta(seconds=10), id="its own end"),
        pytest.param({"expires_at": "2026-03-02T13:00:00Z"}, MINUTE, id="which only shortens"),
        pytest.param({"generated_at": "yesterday"}, MINUTE, id="no time"),
        pytest.param({"generated_at": "2026-03-02T11:00:00"}, MINUTE, id="a time without a zone"),
        pytest.param({"generated_at": 17, "expires_at": []}, MINUTE, id="nothing like a time"),
        pytest.param({"action": 17, "intent": None}, MINUTE, id="nothing like a signal"),
    ],
)
def test_a_deadline_is_for_entries_only(raw: dict[str, Any], expected: timedelta | None) -> None:
    due = None if expected is None else NOON + expected

    assert due == deadline(raw, received_at=NOON, entry_age=MINUTE)


def test_inputs_come_out_in_their_order() -> None:
    buffer = buffer_with(signal(1), signal(2), signal(3))
    out = []

    while (waiting := buffer.head()) is not None:
        out.append(waiting.raw["source_id"])
        buffer.settle(waiting)

    assert out == ["1", "2", "3"]
    assert not len(buffer)


def test_a_signal_gets_its_source_and_the_time_it_came() -> None:
    """Recorded late and without a time it would pass for fresh."""
    (bare, own) = buffer_with(signal(1), signal(2, source="mine", generated_at="2026-03-02T11:00:00Z")).rest()

    assert (bare.raw["source"], bare.raw["generated_at"]) == ("test", NOON.isoformat())
    assert (own.raw["source"], own.raw["generated_at"]) == ("mine", "2026-03-02T11:00:00Z")


def test_unreadable_input_is_to_be_refused() -> None:
    (waiting,) = buffer_with(Unreadable(raw={"source_id": "x", "line": 2}, code="invalid_json", message="bad")).rest()

    assert waiting.refusal == Refusal(code="invalid_json", message="bad")
    assert waiting.raw == {"source": "test", "source_id": "x", "line": 2}


def test_an_expired_entry_becomes_a_refusal_in_its_place_and_exits_stay() -> None:
    buffer = buffer_with(signal(1), signal(2, action="SELL"), signal(3, expires_at="2026-03-02T13:00:00Z"))

    early = buffer.expire(NOON + MINUTE - timedelta(seconds=1))
    late = buffer.expire(NOON + MINUTE)
    again = buffer.expire(NOON + 2 * MINUTE)

    assert early == []
    assert [waiting.raw["source_id"] for waiting in late] == ["1", "3"]
    assert again == []
    assert ids(buffer) == ["1", "2", "3"]
    refusals = [waiting.refusal for waiting in buffer.rest()]
    assert refusals[1] is None
    assert refusals[0] == refusals[2]
    assert refusals[0] == Refusal(
        code=EXPIRED_UNRECORDED,
        message="PostgreSQL was away until the signal had expired; it waited 60 s",
    )


def test_a_full_buffer_drops_expired_entries_and_logs_it() -> None:
    buffer = buffer_with(signal(1), signal(2, action="SELL"), limit=2)
    buffer.expire(NOON + MINUTE)

    with capture_logs() as logs:
        buffer.put([signal(3)], source="test", now=NOON, stop=threading.Event())

    assert ids(buffer) == ["2", "3"]
    assert buffer.dropped == 1
    assert [(line["event"], line["log_level"]) for line in logs] == [
        ("spool.filled", "error"),
        ("signals.dropped", "error"),
    ]


def test_a_full_buffer_of_good_signals_makes_the_source_wait_and_loses_nothing() -> None:
    buffer = buffer_with(signal(1), signal(2), limit=2)
    stop = threading.Event()
    putting = threading.Thread(
        target=buffer.put, args=([signal(3), signal(4)],), kwargs={"source": "test", "now": NOON, "stop": stop}
    )

    with capture_logs() as logs:
        putting.start()
        putting.join(0.3)
        assert putting.is_alive()
        assert ids(buffer) == ["1", "2"]
        for _ in range(2):
            head = buffer.head()
            assert head is not None
            buffer.settle(head)
        putting.join(5)

    assert not putting.is_alive()
    assert ids(buffer) == ["3", "4"]
    assert buffer.dropped == 0
    assert [line["event"] for line in logs] == ["spool.filled"]


def test_a_stop_lets_the_last_signals_in_although_it_is_full() -> None:
    buffer = buffer_with(signal(1), limit=1)
    stop = threading.Event()
    stop.set()

    with capture_logs():
        buffer.put([signal(2)], source="test", now=NOON, stop=stop)

    assert ids(buffer) == ["1", "2"]


def test_settling_a_head_that_was_dropped_meanwhile_takes_nothing_else() -> None:
    buffer = buffer_with(signal(1), limit=1)
    buffer.expire(NOON + MINUTE)
    head = buffer.head()
    assert head is not None
    with capture_logs():
        buffer.put([signal(2)], source="test", now=NOON, stop=threading.Event())

    buffer.settle(head)
    buffer.refuse(head, Refusal(code="x", message="x"))

    assert ids(buffer) == ["2"]
    assert buffer.rest()[0].refusal is None


def test_waiting_ends_when_something_comes() -> None:
    buffer = SignalBuffer(limit=10, entry_age=MINUTE)
    assert not buffer.wait(0.01)
    threading.Timer(
        0.05, buffer.put, args=([signal()],), kwargs={"source": "t", "now": NOON, "stop": threading.Event()}
    ).start()
    begun = time.monotonic()

    assert buffer.wait(5)
    assert time.monotonic() - begun < 4
