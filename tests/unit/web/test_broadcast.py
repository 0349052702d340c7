from __future__ import annotations

import asyncio
from contextlib import closing

from pipeline.entrypoints.web.api.broadcast import _MOST_WAITING, MOST_PER_TOKEN, Broadcast, Listener
from pipeline.store.record import Record


def test_a_listener_that_does_not_read_is_ended_after_what_it_was_handed() -> None:
    async def overrun() -> list[object]:
        listener = Listener(loop=asyncio.get_running_loop(), name="desk")
        for number in range(3 * _MOST_WAITING):
            listener.hand({"history_id": number})
        return [listener.changes.get_nowait() for _ in range(listener.changes.qsize())]

    handed = asyncio.run(overrun())

    assert handed == [*({"history_id": number} for number in range(_MOST_WAITING)), None]


def test_one_token_does_not_take_the_places_of_the_others() -> None:
    # Nothing listens on this port, so that the broadcast only tries to read.
    record = Record("postgresql://127.0.0.1:1/nothing", connections=1, retry_for_s=0.0)
    broadcast = Broadcast(record)

    async def joined() -> list[bool]:
        listeners = [broadcast.join("greedy") for _ in range(MOST_PER_TOKEN + 1)]
        others = [broadcast.join("desk")]
        first = listeners[0]
        assert first is not None
        broadcast.leave(first)
        again = broadcast.join("greedy")
        for listener in (*listeners, *others, again):
            if listener is not None:
                broadcast.leave(listener)
        return [each is not None for each in (*listeners, *others, again)]

    with closing(record):
        assert asyncio.run(joined()) == [True] * MOST_PER_TOKEN + [False, True, True]
