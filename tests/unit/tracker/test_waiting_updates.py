"""Updates that overtake the broker's answer wait for it, in their order and not for ever."""

from __future__ import annotations

from tests.unit.brokers import payloads
from workers.brokers.alpaca.stream_frames import OrderUpdate, update_of
from workers.tracker.waiting_updates import WAITS_AT_MOST_S, WaitingUpdates


def update(event: str, order: str = "tw-1-1") -> OrderUpdate:
    raw = payloads.recorded("stream-fill-2026")["data"]
    read = update_of(raw | {"event": event, "order": raw["order"] | {"client_order_id": order}})
    assert isinstance(read, OrderUpdate)
    return read


def test_the_updates_of_an_order_keep_their_order_and_other_orders_do_not_wait() -> None:
    waiting = WaitingUpdates()
    waiting.add(update("new"), 10.0)
    waiting.add(update("fill"), 10.001)

    assert waiting.holds(update("canceled"))
    assert not waiting.holds(update("new", "tw-2-1"))
    assert list(waiting.due(10.004)) == []
    assert [[each.event for each in order.updates] for order in waiting.due(10.01)] == [["new", "fill"]]


def test_an_order_without_updates_is_forgotten() -> None:
    waiting = WaitingUpdates()
    waiting.add(update("new"), 10.0)
    for order in waiting.due(11.0):
        order.updates.clear()

    assert not waiting.holds(update("new"))
    assert waiting.next_in_s(11.0, 0.25) == 0.25


def test_the_pauses_grow_and_end() -> None:
    waiting = WaitingUpdates()
    waiting.add(update("new"), 10.0)
    now, tries = 10.0, 0
    while True:
        now += waiting.next_in_s(now, 1.0)
        (order,) = waiting.due(now)
        tries += 1
        if not order.again(now):
            break

    assert WAITS_AT_MOST_S <= now - 10.0 < WAITS_AT_MOST_S + 0.3
    assert tries < 25
