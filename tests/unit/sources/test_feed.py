from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from structlog.testing import capture_logs

from pipeline.intake.sources import feed as feed_module
from pipeline.intake.sources.feed import Feed
from pipeline.intake.sources.protocol import Item
from pipeline.model.errors import SourceUnavailable
from tests.waiting import until

BUY: dict[str, Any] = {"source_id": "1", "symbol": "AAPL", "action": "BUY"}


class Script:
    """A source that follows a script, one step per poll, and then has nothing new."""

    name = "script"
    pause_s = 0.01

    def __init__(self, *steps: Sequence[Item] | Exception, cadence_s: float = 0.0) -> None:
        self.steps = list(steps)
        self.cadence_s = cadence_s
        self.finished = False
        self.closed = 0

    def poll(self, stop: threading.Event) -> Sequence[Item]:  # noqa: ARG002 - as the protocol has it
        step = self.steps.pop(0) if self.steps else []
        if isinstance(step, Exception):
            raise step
        return step

    def close(self) -> None:
        self.closed += 1


def eventually(true: Callable[[], bool]) -> None:
    until(true, 5)


def test_items_of_a_source_are_handed_on_in_order() -> None:
    given: list[tuple[str, Item]] = []
    feed = Feed(
        Script([BUY, {**BUY, "source_id": "2"}], []), lambda name, items: given.extend((name, i) for i in items)
    )

    assert feed.run_once(threading.Event()) == 2
    assert feed.run_once(threading.Event()) == 0
    assert given == [("script", BUY), ("script", BUY | {"source_id": "2"})]
    assert feed.health().ok
    assert feed.health().last_signal_at is not None


def test_failures_in_a_row_are_logged_once_and_so_is_their_end() -> None:
    feed = Feed(Script(SourceUnavailable("down"), SourceUnavailable("still down"), [BUY]), lambda _n, _i: None)

    with capture_logs() as logs:
        feed.run_once(threading.Event())
        first = feed.health()
        feed.run_once(threading.Event())
        second = feed.health()
        feed.run_once(threading.Event())

    assert [line["event"] for line in logs] == ["source.failed", "source.recovered"]
    assert (first.ok, first.error) == (False, "down")
    assert (second.error, second.failing_since) == ("still down", first.failing_since)
    assert feed.health().ok
    assert feed.health().error is None
    assert logs[1]["failures"] == 2


def test_the_text_of_an_unknown_exception_is_not_shown_as_health() -> None:
    feed = Feed(Script(RuntimeError("Bearer abcdef")), lambda _n, _i: None)

    with capture_logs():
        feed.run_once(threading.Event())

    assert feed.health().error == "RuntimeError"


def test_a_source_that_raises_is_polled_again_and_closed_at_the_stop() -> None:
    given: list[Item] = []
    source = Script(ValueError("once"), [BUY])
    feed = Feed(source, lambda _name, items: given.extend(items))
    stop = threading.Event()

    with capture_logs():
        feed.start(stop)
        eventually(lambda: bool(given))
        stop.set()
        feed.join(5)

    assert feed.ended
    assert source.closed == 1
    assert given == [BUY]


def test_a_source_at_its_end_is_closed_and_well() -> None:
    source = Script([BUY])
    source.finished = True
    feed = Feed(source, lambda _n, _i: None)

    feed.start(threading.Event())
    feed.join(5)

    assert feed.ended
    assert source.closed == 1
    assert feed.health().ok


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_died_is_not_well() -> None:
    """Only an exception like SystemExit, which must end a process, ends the thread."""

    class Leaving(Script):
        def poll(self, stop: threading.Event) -> Sequence[Item]:  # noqa: ARG002 - as the protocol has it
            raise SystemExit

    feed = Feed(Leaving(), lambda _n, _i: None)
    feed.start(threading.Event())
    feed.join(5)

    assert (feed.health().ok, feed.health().error) == (False, "its thread has ended")


def test_a_poll_that_never_returns_is_not_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_module, "_STUCK_S", 0.05)

    class Mute(Script):
        def poll(self, stop: threading.Event) -> Sequence[Item]:
            stop.wait(10)
            return []

    stop = threading.Event()
    feed = Feed(Mute(), lambda _n, _i: None)
    feed.start(stop)
    eventually(lambda: not feed.health().ok)

    assert "has not answered" in str(feed.health().error)
    stop.set()
    feed.join(5)
    assert feed.ended


def test_a_long_silence_is_logged_once_and_is_no_failure() -> None:
    feed = Feed(Script(cadence_s=0.001), lambda _n, _i: None)
    stop = threading.Event()

    with capture_logs() as logs:
        feed.start(stop)
        eventually(lambda: feed.health().silent)
        time.sleep(0.1)
        stop.set()
        feed.join(5)

    assert feed.health().ok
    assert [line["event"] for line in logs].count("source.silent") == 1


def test_a_source_that_keeps_raising_is_polled_with_growing_pauses() -> None:
    pauses: list[float] = []

    class Stop(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            pauses.append(timeout or 0.0)
            if len(pauses) == 12:
                self.set()
            return self.is_set()

    feed = Feed(Script(*[SourceUnavailable() for _ in range(12)]), lambda _n, _i: None)

    with capture_logs():
        feed.start(Stop())
        feed.join(5)

    assert 0.1 <= pauses[0] <= 0.2
    assert all(2.5 <= pause <= 5.0 for pause in pauses[5:])
