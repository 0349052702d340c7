"""Log in to Alpaca's trade-update stream, and ask for the updates."""

import json
import time

from pipeline.model.errors import BrokerUnreadable
from pipeline.model.reasons import storable
from workers.brokers.alpaca.stream_connection import (
    StreamAddress,
    StreamCause,
    StreamConnection,
    StreamDown,
    StreamTiming,
)
from workers.brokers.alpaca.stream_frames import StreamMessage, message_of

_UPDATES = "trade_updates"
_LONGEST_REPORT = 200
# Alpaca sends few updates or none before it answers. A server that goes on sending them must not fill the memory.
_MOST_EARLY_FRAMES = 100


def log_in(connection: StreamConnection, address: StreamAddress, timing: StreamTiming) -> list[str | bytes]:
    """Log in and ask for the trade updates; return the updates that came before the answer.

    Raises:
        StreamDown: the broker refuses, or does not answer in time.
    """
    secret = address.api_secret.get_secret_value()
    _send(connection, "authenticate", {"key_id": address.api_key, "secret_key": secret})
    deadline = time.monotonic() + timing.opens_within_s
    answer = _message(_next(connection, deadline), address)
    if answer.stream != "authorization" or answer.data.get("status") != "authorized":
        message = "the broker refuses the login: the keys are wrong, or another program uses this account's only stream"
        raise StreamDown(StreamCause.REFUSED, message)
    _send(connection, "listen", {"streams": [_UPDATES]})
    early: list[str | bytes] = []
    while (answer := _message(frame := _next(connection, deadline), address)).stream != "listening":
        early.append(frame)
        if len(early) > _MOST_EARLY_FRAMES:
            raise StreamDown(StreamCause.CLOSED, "the broker sends updates before it answers the login")
    streams = answer.data.get("streams")
    if not isinstance(streams, list) or _UPDATES not in streams:
        raise StreamDown(StreamCause.REFUSED, "the broker does not send trade updates to these keys")
    return early


def reported_error(message: StreamMessage, address: StreamAddress) -> StreamDown:
    """Return the error that the server reports with *message*."""
    text = storable(address.without_keys(str(message.data.get("error_message"))))
    return StreamDown(StreamCause.REFUSED, f"the broker reports: {text}"[:_LONGEST_REPORT])


def _send(connection: StreamConnection, action: str, data: dict[str, object]) -> None:
    connection.send(json.dumps({"action": action, "data": data}))


def _next(connection: StreamConnection, deadline: float) -> str | bytes:
    frame = connection.receive(max(deadline - time.monotonic(), 0.0))
    if frame is None:
        raise StreamDown(StreamCause.SILENT, "the broker does not answer the login")
    return frame


def _message(frame: str | bytes, address: StreamAddress) -> StreamMessage:
    """Read a frame of the login; an unreadable one counts as an update, which the reader of updates judges."""
    try:
        message = message_of(frame)
    except BrokerUnreadable:
        return StreamMessage(stream=_UPDATES, data={})
    if message.stream is None:
        raise reported_error(message, address)
    return message
