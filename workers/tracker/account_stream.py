"""Keep one account's trade-update stream open, and record what it brings."""

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from pipeline.model.backoff import Backoff
from pipeline.model.crash_points import reached
from pipeline.model.errors import Unavailable
from workers.brokers.alpaca.stream_connection import (
    StreamAddress,
    StreamConnection,
    StreamDown,
    StreamTiming,
    connected,
)
from workers.brokers.alpaca.trade_stream import log_in, reported_error
from workers.tracker.stream_state import StreamState
from workers.tracker.update_recorder import UpdateRecorder
from workers.tracker.waiting_updates import WaitingUpdates

log = structlog.get_logger(__name__)

#: The longest wait for a frame, after which the other duties are due.
_FRAME_WAIT_S = 0.25
_ASK_AGAIN_S = 0.25
#: A connection that lasted for so long was not refused. After a shorter one the pauses go on growing, because a server
#: may accept connections and close them at once.
_LASTED_S = 10.0
_UPDATES = "trade_updates"


@dataclass(kw_only=True)
class AccountStream:
    """One executor's stream. `run` keeps it open while *leads* returns True; of several trackers, one leads."""

    address: StreamAddress
    recorder: UpdateRecorder
    state: StreamState
    leads: Callable[[], bool]
    stop: threading.Event
    timing: StreamTiming = field(default_factory=StreamTiming)
    backoff: Backoff = field(default_factory=lambda: Backoff(first_s=0.5, longest_s=30.0))

    def run(self) -> None:
        """Keep the stream open until *stop* is set."""
        failures = 0
        while not self.stop.is_set():
            if not self.leads():
                self.stop.wait(_ASK_AGAIN_S)
                continue
            began = time.monotonic()
            try:
                self.run_once()
            except Unavailable as error:
                # PostgreSQL is away: what comes now could not be recorded, so the stream is opened anew afterwards.
                log.debug("tracker.waits", executor_id=self.recorder.executor_id, error=str(error))
            except Exception:
                log.exception("tracker.failed", executor_id=self.recorder.executor_id)
            failures = 1 if time.monotonic() - began >= _LASTED_S else failures + 1
            # Jitter, so that the streams of several accounts are not opened at the same moment.
            self.stop.wait(self.backoff.after(failures) * random.uniform(0.5, 1.0))  # noqa: S311 -- not a secret

    def run_once(self) -> None:
        """Open the stream, and record its updates until it breaks off, the lease ends or *stop* is set.

        Raises RecordUnavailable when PostgreSQL is away.
        """
        try:
            with connected(self.address, self.timing) as connection:
                early = log_in(connection, self.address, self.timing)
                # A process that was frozen may not lead any more.
                if self.leads():
                    self.state.record_open()
                    self._listen(connection, early)
                    self.state.mark_closed()
        except StreamDown as error:
            self.state.record_failure(error, leads=self.leads())

    def _listen(self, connection: StreamConnection, early: list[str | bytes]) -> None:
        waiting = WaitingUpdates()
        for frame in early:
            self._take(frame, waiting)
        while self.leads() and not self.stop.is_set():
            received = connection.receive(waiting.next_in_s(time.monotonic(), _FRAME_WAIT_S))
            if received is not None:
                self._take(received, waiting)
            self._retry(waiting)
            if self.leads():
                self.state.record_message(connection.heard_at)

    def _take(self, frame: str | bytes, waiting: WaitingUpdates) -> None:
        message = self.recorder.message(frame)
        if message is None:
            return
        if message.stream is None:
            raise reported_error(message, self.address)
        if message.stream != _UPDATES:
            return
        reached("tracker.after_frame")
        update = self.recorder.take(message, frame, ready=lambda update: not waiting.holds(update))
        if update is not None:
            waiting.add(update, time.monotonic())
        reached("tracker.after_record")

    def _retry(self, waiting: WaitingUpdates) -> None:
        now = time.monotonic()
        for order in waiting.due(now):
            while order.updates and self.recorder.apply(order.updates[0]):
                order.updates.popleft()
            if order.updates and not order.again(now):
                order.updates.clear()
                self.recorder.request_poll("the answer to an order was not recorded")
