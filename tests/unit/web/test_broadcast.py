from __future__ import annotations

import asyncio

from pipeline.entrypoints.web.api.broadcast import _MOST_WAITING, Listener


def test_a_listener_that_does_not_read_is_ended_after_what_it_was_handed() -> None:
    async def overrun() -> list[object]:
        listener = Listener(loop=asyncio.get_running_loop())
        for number in range(3 * _MOST_WAITING):
            listener.hand({"history_id": number})
        return [listener.changes.get_nowait() for _ in range(listener.changes.qsize())]

    handed = asyncio.run(overrun())

    assert handed == [*({"history_id": number} for number in range(_MOST_WAITING)), None]
