from __future__ import annotations

import threading
import time
from typing import Any

from structlog.testing import capture_logs

from pipeline.intake.buffer import Refusal, SignalBuffer
from pipeline.intake.sources.protocol import Item, Unreadable

NOON = 12.0


def signal(number: int = 1, **changes: Any) -> dict[str, Any]:
    return {"source_id": str(number), "symbol": "AAPL", "action": "BUY"} | changes


def buffer_with(*items: Item, limit: int = 100) -> SignalBuffer:
    buffer = SignalBuffer(limit=limit)
    buffer.put(items, source="test", now=NOON, stop=threading.Event())
    return buffer


def ids(buffer: SignalBuffer) -> list[str]:
    return [waiting.raw["source_id"] for waiting in buffer.rest()]


def test_inputs_come_out_in_their_order() -> None:
    buffer = buffer_with(signal(1), signal(2), signal(3))
    out = []

    while (waiting := buffer.head()) is not None:
        out.append(waiting.raw["source_id"])
        buffer.settle(waiting)

    assert out == ["1", "2", "3"]
    assert not len(buffer)


def test_a_signal_gets_its_source_and_keeps_its_own() -> None:
    (bare, own) = buffer_with(signal(1), signal(2, source="mine", generated_at="2026-03-02T11:00:00Z")).rest()

    assert (bare.raw["source"], "generated_at" in bare.raw, bare.received_at) == ("test", False, NOON)
    assert (own.raw["source"], own.raw["generated_at"]) == ("mine", "2026-03-02T11:00:00Z")


def test_unreadable_input_is_to_be_refused() -> None:
    (waiting,) = buffer_with(Unreadable(raw={"source_id": "x", "line": 2}, code="invalid_json", message="bad")).rest()

    assert waiting.refusal == Refusal(code="invalid_json", message="bad")
    assert waiting.raw == {"source": "test", "source_id": "x", "line": 2}


def test_a_full_buffer_makes_the_source_wait_and_loses_nothing() -> None:
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
    assert [line["event"] for line in logs] == ["spool.filled"]


def test_a_stop_lets_the_last_signals_in_although_it_is_full() -> None:
    buffer = buffer_with(signal(1), limit=1)
    stop = threading.Event()
    stop.set()

    with capture_logs():
        buffer.put([signal(2)], source="test", now=NOON, stop=stop)

    assert ids(buffer) == ["1", "2"]


def test_waiting_ends_when_something_comes() -> None:
    buffer = SignalBuffer(limit=10)
    assert not buffer.wait(0.01)
    threading.Timer(
        0.05, buffer.put, args=([signal()],), kwargs={"source": "t", "now": NOON, "stop": threading.Event()}
    ).start()
    begun = time.monotonic()

    assert buffer.wait(5)
    assert time.monotonic() - begun < 4
