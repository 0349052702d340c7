"""Exits of one symbol together never sell more than the position, also when a person requeues an old one."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from pipeline.model.account import Position
from pipeline.model.orders import OrderRequest, OrderSide
from tests.factories import Core, executor_toml, until
from workers.brokers.protocol import NotSent

Kill = Callable[..., None]


@pytest.fixture
def held(core: Core) -> Core:
    """A core whose account holds two AAPL."""
    core.run(core.send(quantity=2))
    core.filled_at_exchange()
    core.follower().run_once()
    return core


def sold(core: Core) -> Decimal:
    """Return the total quantity of the sell orders at the exchange."""
    return sum((Decimal(order["qty"]) for order in core.orders() if order["side"] == "sell"), Decimal(0))


def test_an_exit_put_back_to_work_waits_for_a_later_one_that_the_broker_may_have(held: Core, kill: Kill) -> None:
    first = held.send("AAPL", "SELL")
    kill(first)
    held.faults(
        {"on": "submit", "kind": "no_fill", "seconds": 600, "count": 1},
        {"on": "submit", "kind": "drop_after", "count": 1},
    )
    second = held.send("AAPL", "SELL")
    assert held.run(second)["state"] == "unknown"
    held.dead_letters.requeue(first, by="test", why="again")

    again = held.run(first)

    assert (again["state"], again["reason_code"]) == ("held", "order_under_way")
    assert sold(held) == 2


def test_an_exit_sent_again_waits_for_another_that_went_out_before_it(held: Core, kill: Kill) -> None:
    first = held.send("AAPL", "SELL")
    kill(first)
    held.faults({"on": "submit", "kind": "drop_before", "count": 1})
    second = held.send("AAPL", "SELL")
    assert held.run(second)["state"] == "unknown"
    held.rows(
        "UPDATE execution SET state = 'held', reason_code = 'send_again', due_at = now() WHERE execution_id = %s",
        [second],
    )
    held.faults({"on": "submit", "kind": "no_fill", "seconds": 600, "count": 1})
    held.dead_letters.requeue(first, by="test", why="again")
    assert held.run(first)["state"] == "accepted"

    again = held.run(second)

    assert (again["state"], again["reason_code"]) == ("held", "order_under_way")
    assert sold(held) == 2


def test_an_exit_reads_no_position_while_another_order_of_its_symbol_may_fill(held: Core) -> None:
    held.faults({"on": "submit", "kind": "no_fill", "seconds": 600, "count": 1})
    first, second = held.send("AAPL", "SELL"), held.send("AAPL", "SELL")
    assert held.run(first)["state"] == "accepted"
    before = held.exchange.requests("argo")

    for _ in range(5):
        late = held.run(second)
        assert (late["state"], late["reason_code"]) == ("held", "order_under_way")
        held.due_now(second)

    assert held.exchange.requests("argo") == before


def test_an_exit_looks_again_when_another_ended_while_it_read_the_position(
    make_core: Callable[..., Core], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Where shorting is allowed, only the position shows that a SELL is an exit.
    held = make_core(executor_toml(order="allow_short = true"))
    held.prices(AAPL=100)
    held.run(held.send(quantity=2))
    held.filled_at_exchange()
    held.follower().run_once()
    held.faults({"on": "submit", "kind": "no_fill", "seconds": 0.5, "count": 1})
    first, second = held.send("AAPL", "SELL"), held.send("AAPL", "SELL")
    assert held.run(first)["state"] == "accepted"
    broker: Any = held.runtimes["argo"].broker
    read = broker.position

    def read_and_sleep(symbol: str) -> Position | None:
        position: Position | None = read(symbol)
        filled(held, first)
        return position

    monkeypatch.setattr(type(broker), "position", lambda _, symbol: read_and_sleep(symbol))
    late = held.run(second)
    monkeypatch.undo()

    assert (late["state"], late["reason_code"]) == ("held", "order_under_way")
    assert sold(held) == 2


def filled(core: Core, execution_id: UUID) -> None:
    """Wait until the record knows that the execution's order is filled."""
    core.filled_at_exchange(2)
    core.follower().run_once()
    assert core.state(execution_id) == "filled"


def stale(core: Core, monkeypatch: pytest.MonkeyPatch, quantity: int | None) -> None:
    """Let the broker keep showing an old position of *quantity*, or none."""
    shown = None
    if quantity is not None:
        whole = Decimal(quantity)
        price = Decimal(100)
        shown = Position(symbol="AAPL", quantity=whole, available=whole, average_entry_price=price, current_price=price)
    monkeypatch.setattr(type(core.runtimes["argo"].broker), "position", lambda *_: shown)


def test_a_sell_right_after_the_fill_waits_for_a_position_that_is_not_shown_yet(
    held: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    stale(held, monkeypatch, None)

    early = held.run(held.send("AAPL", "SELL"))

    assert (early["state"], early["reason_code"]) == ("held", "account_unreadable")
    monkeypatch.undo()
    held.due_now(early["execution_id"])
    assert held.run(early["execution_id"])["state"] == "accepted"


def test_a_second_exit_of_the_account_does_not_sell_what_is_only_still_shown(
    make_core: Callable[..., Core], monkeypatch: pytest.MonkeyPatch
) -> None:
    core = make_core(executor_toml(order='close_scope = "account"'))
    core.run(core.send(quantity=2))
    core.filled_at_exchange()
    core.follower().run_once()
    first = core.send("AAPL", "SELL")
    core.run(first)
    filled(core, first)
    stale(core, monkeypatch, 2)

    late = core.run(core.send("AAPL", "SELL"))

    assert (late["state"], late["reason_code"]) == ("held", "account_unreadable")
    assert sold(core) == 2


@pytest.mark.parametrize("on", ["account", "positions"])
def test_an_exit_is_never_given_up_for_answers_that_make_no_sense(held: Core, on: str) -> None:
    held.faults({"on": on, "kind": "garbage_before"})
    execution = held.send("AAPL", "SELL")
    held.rows("DELETE FROM account_snapshot")
    for _ in range(7):
        held.due_now(execution)
        row = held.run(execution)
        assert (row["state"], row["reason_code"]) == ("held", "account_unreadable")

    held.faults()
    held.due_now(execution)
    assert held.run(execution)["state"] == "accepted"


@pytest.mark.parametrize("kind", ["garbage_before", "5xx_before"])
def test_an_exit_goes_at_the_market_where_the_asset_cannot_be_read(held: Core, kind: str) -> None:
    held.rows("DELETE FROM asset")
    held.runtimes["argo"].assets._kept.clear()
    held.faults({"on": "assets", "kind": kind})

    row = held.run(held.send("AAPL", "SELL"))

    assert row["state"] == "accepted"
    assert [order["type"] for order in held.orders()] == ["limit", "market"]


def test_each_order_of_shares_tells_what_it_does_to_the_position(held: Core) -> None:
    held.run(held.send("AAPL", "SELL"))
    held.prices(**{"BTC/USD": 100})
    coin = held.run(held.send("BTC/USD"))

    assert [order["position_intent"] for order in held.orders()[:2]] == ["buy_to_open", "sell_to_close"]
    # Crypto orders have no position_intent, because the broker documents none for them.
    assert "position_intent" not in coin["request"]


@pytest.mark.parametrize("left", [0, 2])
def test_an_exit_that_would_open_a_position_is_decided_again(held: Core, left: int) -> None:
    says = "position intent mismatch, inferred: sell_to_open, specified: sell_to_close"
    held.faults({"on": "submit", "kind": "reject", "status": 422, "message": says, "count": 1})
    execution = held.send("AAPL", "SELL")

    waits = held.run(execution)
    if not left:
        by_hand(held, "sell")
    # A reading that contradicts the last fill counts only after two seconds.
    until(lambda: held.due_now(execution) or held.run(execution)["state"] != "held")
    again = held.execution(execution)

    assert (waits["state"], waits["reason_code"], waits["attempts"]) == ("held", "account_unreadable", 0)
    assert (again["state"], again["reason_code"]) == (("accepted", None) if left else ("skipped", "no_position"))


def test_an_exit_that_a_worker_sends_too_late_opens_no_position(held: Core) -> None:
    held.faults({"on": "submit", "kind": "drop_before", "count": 1})
    request = OrderRequest.from_json(held.run(held.send("AAPL", "SELL"))["request"])
    by_hand(held, "sell")

    late = held.runtimes["argo"].broker.submit(request)

    assert isinstance(late, NotSent)
    assert held.runtimes["argo"].broker.positions() == []


def test_an_order_recorded_without_an_intent_is_sent_again_as_it_is(held: Core) -> None:
    held.faults({"on": "submit", "kind": "drop_before", "count": 1})
    execution = held.send("AAPL", "SELL")
    held.run(execution)
    held.rows("ALTER TABLE broker_order DISABLE TRIGGER USER")
    held.rows("UPDATE broker_order SET request = request - 'position_intent' WHERE execution_id = %s", [execution])
    held.rows(
        "UPDATE execution SET state = 'held', reason_code = 'send_again', due_at = now() WHERE execution_id = %s",
        [execution],
    )

    assert held.run(execution)["state"] == "accepted"
    assert "position_intent" not in held.execution(execution)["request"]


def by_hand(core: Core, side: str) -> None:
    """Trade two shares at the broker without tradewire, and wait until they are filled."""
    order = OrderRequest(
        client_order_id=f"by-hand-{side}",
        symbol="AAPL",
        side=OrderSide(side),
        quantity=Decimal(2),
        type="market",
        time_in_force="day",
    )
    core.runtimes["argo"].broker.submit(order)
    until(lambda: core.orders()[-1]["status"] == "filled")
