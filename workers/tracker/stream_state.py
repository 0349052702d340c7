"""Record the state of one executor's stream, for the keeper, the alerts and `doctor`."""

import time

import structlog

from pipeline.store.record import Record
from pipeline.store.statements import sql
from workers.brokers.alpaca.stream_connection import StreamCause, StreamDown

log = structlog.get_logger(__name__)

# Often enough for the keeper, which takes a stream for silent after 15 s.
_HEARD_EVERY_S = 1.0
# The first of these failures is a warning, because a person has to act. Others pass by themselves.
_FOR_A_PERSON = frozenset({StreamCause.REFUSED, StreamCause.TOO_MANY})


class StreamState:
    """Writes the row of one executor. Every method raises RecordUnavailable when PostgreSQL is away."""

    def __init__(self, record: Record, executor_id: str) -> None:
        self._record = record
        self._executor_id = executor_id
        self._heard_at = 0.0
        self._said: StreamCause | None = None
        #: Since when the stream is not open, by the monotonic clock; None while it is.
        self.down_since: float | None = time.monotonic()

    def record_open(self) -> None:
        """Record that the stream is open, and ask the keeper for a poll of what was missed."""
        self._write("record_open")
        self._heard_at, self._said, self.down_since = time.monotonic(), None, None
        log.info("stream.listens", executor_id=self._executor_id)

    def record_message(self, at: float) -> None:
        """Record that the broker sent something at *at* (monotonic), at most once a second."""
        if at - self._heard_at >= _HEARD_EVERY_S:
            self._write("record_message")
            self._heard_at = at

    def record_failure(self, error: StreamDown, *, leads: bool) -> None:
        """Record why the stream is not open. The same cause is logged once until the stream is open again.

        A tracker that does not lead records nothing, because the row shows the leading tracker's stream.
        """
        was_open = self.down_since is None
        self.mark_closed()
        facts = {"executor_id": self._executor_id, "cause": error.cause.value, "says": str(error)}
        if error.cause is self._said:
            log.debug("stream.failed", **facts)
        else:
            (log.warning if error.cause in _FOR_A_PERSON else log.info)("stream.failed", **facts)
        self._said = error.cause
        if leads:
            self._write("record_failure", problem=str(error), was_open=was_open)

    def mark_closed(self) -> None:
        """Note that the stream is not open any more."""
        if self.down_since is None:
            self.down_since = time.monotonic()

    def _write(self, statement: str, **values: str | bool) -> None:
        statements = {
            "record_open": sql("streams", "record_open"),
            "record_message": sql("streams", "record_message"),
            "record_failure": sql("streams", "record_failure"),
        }
        self._record.do(statements[statement], {"executor_id": self._executor_id} | values)
