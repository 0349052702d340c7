from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from structlog.testing import capture_logs

from pipeline.accounts.account_key import account_key_of
from pipeline.accounts.switches import PERSON, turn_off, turn_on
from pipeline.model.orders import OrderRequest, OrderSide
from pipeline.model.switches import SwitchKind
from tests.factories import Core, executor_toml, until
from tests.integration.limited_stage import changed_toml
from workers.brokers.protocol import Accepted
from workers.keeper.account_controls import AccountControls, account_controls_of
from workers.keeper.restored_stops import RestoredStops


def stops(core: Core, executor: str = "argo") -> AccountControls:
    return account_controls_of(core.record, core.intake, core.runtimes[executor], who="test keeper")


def turn(core: Core, kind: SwitchKind, *, cause: str = PERSON, flatten: bool = False) -> None:
    core.record.run(
        lambda connection: turn_on(
            connection,
            account_key=account_key_of(connection, "argo"),
            kind=kind,
            cause=cause,
            facts={},
            flatten=flatten,
            by="ann@desk",
        )
    )


def bought(core: Core, symbol: str = "AAPL", **changes: Any) -> Any:
    """Buy, and wait until the record knows that it is filled."""
    core.prices(**{symbol: 100})
    execution = core.send(symbol, **changes)
    core.run(execution)
    followed(core, execution, "filled")
    return execution


def followed(core: Core, execution: Any, state: str) -> None:
    until(lambda: core.follower().run_once() or core.state(execution) == state)


def resting(core: Core) -> Any:
    """Send an entry that the broker accepts and does not fill."""
    core.prices(AAPL=110)
    entry = core.send("AAPL")
    assert core.run(entry)["state"] == "accepted"
    return entry


def by_hand(core: Core, symbol: str, side: OrderSide, quantity: int, limit_price: Decimal | None = None) -> None:
    """Place an order at the broker as a person would, without tradewire."""
    order = OrderRequest(
        client_order_id=f"by-hand-{uuid4()}",
        symbol=symbol,
        side=side,
        quantity=Decimal(quantity),
        type="market" if limit_price is None else "limit",
        time_in_force="day",
        limit_price=limit_price,
    )
    core.prices(**{symbol: 100})
    assert isinstance(core.runtimes["argo"].broker.submit(order), Accepted)


def restore(core: Core) -> int:
    return RestoredStops(record=core.record, runtime=core.runtimes["argo"]).run_once()


def closing(core: Core, cause: str = "flatten") -> list[dict[str, Any]]:
    return core.rows(
        "SELECT e.*, s.source_id FROM execution e JOIN signal s USING (signal_id) WHERE s.source = %s ORDER BY e.seq",
        [f"tradewire:{cause}"],
    )


def positions(core: Core) -> dict[str, Any]:
    return {each.symbol: each.quantity for each in core.runtimes["argo"].broker.positions()}


def flat(core: Core, keeper: AccountControls) -> None:
    """Run the keeper and the worker until everything is closed."""

    def step() -> bool:
        keeper.run_once()
        for row in closing(core):
            if row["state"] in ("queued", "held"):
                core.run(row["execution_id"])
        core.follower().run_once()
        return not core.rows("SELECT 1 FROM switch WHERE flatten")

    until(step)


@pytest.mark.parametrize("kind", [SwitchKind.REDUCING, SwitchKind.HALTED])
def test_working_entries_are_canceled_while_entries_are_stopped(core: Core, kind: SwitchKind) -> None:
    entry = resting(core)
    turn(core, kind)

    stops(core).run_once()

    followed(core, entry, "canceled")


def test_a_cancel_without_effect_is_requested_again(core: Core) -> None:
    entry = resting(core)
    turn(core, SwitchKind.HALTED)
    core.faults({"on": "cancel", "kind": "5xx_before", "count": 1})
    keeper = stops(core)
    keeper.run_once()
    core.rows("UPDATE broker_order SET cancel_asked_at = cancel_asked_at - interval '3 seconds'")

    keeper.run_once()

    followed(core, entry, "canceled")


def test_a_cancel_that_stays_pending_is_requested_less_and_less_often(core: Core) -> None:
    resting(core)
    turn(core, SwitchKind.HALTED)
    # The broker accepts the request, but does not cancel the order.
    core.faults({"on": "cancel", "kind": "garbage_before"})
    keeper = stops(core)

    def requests() -> int:
        return int(core.exchange.admin("faults")["faults"][0]["hits"])

    asked = list[int]()
    keeper.run_once()
    for pause in (2, 4, 8, 16, 16):
        before = requests()
        core.rows("UPDATE broker_order SET cancel_asked_at = now() - %s * interval '1 s'", [pause - 0.5])
        keeper.run_once()
        assert requests() == before, pause
        core.rows("UPDATE broker_order SET cancel_asked_at = now() - %s * interval '1 s'", [pause + 0.5])
        keeper.run_once()
        asked.append(requests() - before)

    assert asked == [1] * 5


def test_a_cancel_of_an_entry_leaves_the_last_requests_of_the_minute_to_exits(make_core: Any) -> None:
    core = make_core(changed_toml(requests_per_minute="300"))
    bought(core, "MSFT")
    resting(core)
    turn(core, SwitchKind.HALTED)
    core.rows(
        "SELECT take_requests(holder, 289 - (SELECT sum(n) FROM unnest(slots) AS n)::integer, 100000, true) "
        "FROM request_budget"
    )

    stops(core).run_once()

    until(lambda: core.orders()[-1]["status"] == "new")
    assert core.run(core.send("MSFT", "SELL"))["order_id"] is not None


def test_a_pause_cancels_no_working_entry(core: Core) -> None:
    entry = resting(core)
    turn(core, SwitchKind.PAUSED)

    stops(core).run_once()

    core.follower().run_once()
    assert core.state(entry) == "accepted"


def test_a_paused_entry_ends_at_once_when_the_account_is_halted(core: Core) -> None:
    bought(core, "MSFT")
    turn(core, SwitchKind.PAUSED)
    entry = core.send("AAPL")
    assert core.run(entry)["reason_code"] == "paused"
    turn(core, SwitchKind.HALTED)

    stops(core).run_once()

    [row] = core.rows("SELECT due_at <= clock_timestamp() AS due FROM execution WHERE execution_id = %s", [entry])
    assert row["due"]
    ended = core.run(entry)
    assert (ended["state"], ended["reason_code"]) == ("skipped", "halted")
    assert ended["reason_facts"]["by"] == "ann@desk"


def test_flatten_closes_positions_of_ours_and_of_others(core: Core) -> None:
    bought(core)
    by_hand(core, "MSFT", OrderSide.BUY, 3)
    until(lambda: len(positions(core)) == 2)
    entry = core.send("AAPL", quantity=2)
    turn(core, SwitchKind.HALTED, flatten=True)
    with capture_logs() as logs:
        flat(core, stops(core))

    assert positions(core) == {}
    assert sorted((row["symbol"], row["state"]) for row in closing(core)) == [("AAPL", "filled"), ("MSFT", "filled")]
    assert core.execution(entry)["reason_code"] == "superseded"
    assert [entry["event"] for entry in logs if entry["event"].startswith(("flatten", "account"))] == [
        "flatten.began",
        "account.flattened",
    ]
    [switch] = core.rows("SELECT kind, flatten, flattened_at IS NOT NULL AS done FROM switch")
    assert tuple(switch.values()) == ("halted", False, True)


def test_two_keepers_close_a_position_once(core: Core) -> None:
    bought(core)
    turn(core, SwitchKind.HALTED, flatten=True)

    stops(core).run_once()
    stops(core).run_once()

    [exit_] = closing(core)
    assert exit_["source_id"].endswith("-AAPL-1")
    core.run(exit_["execution_id"])
    followed(core, exit_["execution_id"], "filled")
    stops(core).run_once()
    assert len(closing(core)) == 1


def test_an_exit_without_effect_is_tried_again(core: Core) -> None:
    bought(core)
    turn(core, SwitchKind.HALTED, flatten=True)
    stops(core).run_once()
    core.faults({"on": "submit", "kind": "reject", "count": 1})
    assert core.run(closing(core)[0]["execution_id"])["state"] == "rejected"

    flat(core, stops(core))

    assert [row["state"] for row in closing(core)] == ["rejected", "filled"]
    assert positions(core) == {}


def test_orders_placed_by_hand_do_not_block_the_shares(core: Core) -> None:
    bought(core)
    by_hand(core, "AAPL", OrderSide.SELL, 1, limit_price=Decimal(200))
    turn(core, SwitchKind.HALTED, flatten=True)

    flat(core, stops(core))

    assert positions(core) == {}


def placed_raw(core: Core, client_order_id: str, **changes: Any) -> str:
    """Place an order at the broker as another program might, with *changes* to its fields; return its id."""
    body = {"symbol": "AAPL", "qty": "1", "side": "buy", "type": "limit", "time_in_force": "day", "limit_price": "50"}
    answer = httpx.post(
        f"{core.exchange.url}/v2/orders",
        headers={"APCA-API-KEY-ID": "argo", "APCA-API-SECRET-KEY": "paper-exchange"},
        json=body | {"client_order_id": client_order_id} | changes,
        trust_env=False,
    )
    return str(answer.raise_for_status().json()["id"])


def open_orders(core: Core) -> list[str]:
    return [order["id"] for order in core.orders() if order["status"] in ("new", "accepted", "pending_cancel")]


@pytest.mark.parametrize("client_order_id", ["Kauf für Ann", f"tw-{UUID(int=7)}-1"], ids=["unreadable", "unknown"])
def test_flatten_cancels_an_order_that_the_record_does_not_know(core: Core, client_order_id: str) -> None:
    bought(core)
    core.prices(MSFT=100)
    order_id = placed_raw(core, client_order_id, symbol="MSFT")
    turn(core, SwitchKind.HALTED, flatten=True)

    flat(core, stops(core))

    assert (positions(core), open_orders(core)) == ({}, [])
    assert {order["id"]: order["status"] for order in core.orders()}[order_id] == "canceled"


def test_a_cancel_of_a_flatten_that_stays_pending_leaves_the_last_requests_to_exits(make_core: Any) -> None:
    core = make_core(changed_toml(requests_per_minute="200"))
    core.prices(MSFT=100)
    by_hand(core, "MSFT", OrderSide.BUY, 1, limit_price=Decimal(50))
    turn(core, SwitchKind.HALTED, flatten=True)
    # The broker accepts the request, but does not cancel the order.
    core.faults({"on": "cancel", "kind": "garbage_before"})
    cancels = stops(core).flatten.open_orders

    for _ in range(2):
        slots = [193] + [0] * 62
        core.rows("UPDATE request_budget SET slots = %s, second = extract(epoch FROM now())::bigint", [slots])
        assert cancels.cancel({}).count == 1
        asked = cancels._cancels._asked_at
        asked.update(dict.fromkeys(asked, float("-inf")))

    assert core.exchange.admin("faults")["faults"][0]["hits"] == 1


def test_flatten_closes_what_an_order_filled_while_the_orders_were_listed(make_core: Any) -> None:
    core: Core = make_core(executor_toml(broker_timeout_s=20))
    core.prices(AAPL=100)
    turn(core, SwitchKind.HALTED, flatten=True)
    core.faults({"on": "list", "kind": "latency", "seconds": 2.0})
    with ThreadPoolExecutor(1) as pool:
        checked = pool.submit(stops(core).run_once)
        until(lambda: core.exchange.admin("faults")["faults"][0]["hits"])
        by_hand(core, "AAPL", OrderSide.BUY, 1)
        until(lambda: positions(core))
        checked.result()

    assert core.rows("SELECT 1 FROM switch WHERE flatten")


def stop_by_hand(core: Core) -> str:
    """Place a stop that protects the position in AAPL; return its id."""
    terms = {"symbol": "AAPL", "side": "sell", "type": "stop", "stop_price": "50", "limit_price": None}
    return placed_raw(core, "stop-by-hand", time_in_force="gtc", **terms)


def open_stops(core: Core) -> list[tuple[str, str, str, str]]:
    stops = [each for each in core.orders() if each["id"] in open_orders(core) and each["type"] == "stop"]
    return [(each["side"], each["qty"], each["stop_price"], each["time_in_force"]) for each in stops]


@pytest.mark.parametrize("terms", [{"type": "stop", "stop_price": "50"}, {"type": "limit", "limit_price": "200"}])
def test_what_reduces_a_position_is_canceled_together_with_its_close(core: Core, terms: dict[str, str]) -> None:
    bought(core)
    order_id = placed_raw(core, "by-hand", **{"side": "sell", "limit_price": None} | terms)
    turn(core, SwitchKind.HALTED, flatten=True)
    keeper = stops(core)

    keeper.run_once()

    assert [row["symbol"] for row in closing(core)] == ["AAPL"]
    until(lambda: open_orders(core) == [])
    # The record names the close for which the order was canceled.
    [row] = core.rows("SELECT order_id, execution_id, settled_at FROM canceled_order")
    assert row == {"order_id": order_id, "execution_id": closing(core)[0]["execution_id"], "settled_at": None}
    flat(core, keeper)
    assert (positions(core), open_orders(core)) == ({}, [])


def test_an_equal_stop_is_placed_when_the_close_is_not_accepted_in_time(core: Core) -> None:
    bought(core)
    stop_by_hand(core)
    turn(core, SwitchKind.HALTED, flatten=True)
    keeper = stops(core)
    # No worker runs, so the close is not sent.
    keeper.run_once()
    until(lambda: open_orders(core) == [])
    assert restore(core) == 0
    core.rows("UPDATE canceled_order SET asked_at = asked_at - interval '6 seconds'")

    assert restore(core) == 1
    assert restore(core) == 0

    assert open_stops(core) == [("sell", "1", "50", "gtc")]
    # The close has not been sent yet, so it cancels the new stop too.
    flat(core, keeper)
    assert (positions(core), open_orders(core)) == ({}, [])


def test_an_equal_stop_is_placed_when_the_close_that_was_accepted_ends_without_a_fill(core: Core) -> None:
    bought(core)
    stop_by_hand(core)
    turn(core, SwitchKind.HALTED, flatten=True)
    stops(core).run_once()
    until(lambda: open_orders(core) == [])
    core.faults({"on": "submit", "kind": "no_fill", "seconds": 600, "count": 1})
    [exit_] = closing(core)
    assert core.run(exit_["execution_id"])["state"] == "accepted"
    core.rows("UPDATE canceled_order SET asked_at = asked_at - interval '6 seconds'")
    assert restore(core) == 0
    broker = core.runtimes["argo"].broker
    broker.cancel(str(core.execution(exit_["execution_id"])["order_id"]))
    followed(core, exit_["execution_id"], "canceled")
    core.rows("UPDATE broker_order SET ended_at = ended_at - interval '6 seconds'")

    assert restore(core) == 1

    assert open_stops(core) == [("sell", "1", "50", "gtc")]


@pytest.mark.parametrize("terms", [{"type": "stop", "stop_price": "50"}, {"type": "limit", "limit_price": "200"}])
def test_what_reduces_a_position_stays_while_the_market_is_closed(core: Core, terms: dict[str, str]) -> None:
    bought(core)
    order_id = placed_raw(core, "by-hand", **{"side": "sell", "limit_price": None, "time_in_force": "gtc"} | terms)
    core.exchange.admin("clock", {"mode": "fixed", "now": "2026-11-28T15:00:00Z"})
    turn(core, SwitchKind.HALTED, flatten=True)

    stops(core).run_once()

    assert [row["symbol"] for row in closing(core)] == ["AAPL"]
    assert open_orders(core) == [order_id]


def test_an_order_that_cannot_be_read_hides_no_fill(core: Core) -> None:
    core.prices(MSFT=100)
    placed_raw(core, "Kauf für Ann", symbol="MSFT")

    bought(core)

    [row] = core.rows("SELECT order_id, why FROM unreadable_order")
    assert row == {"order_id": open_orders(core)[0], "why": "The broker's order has no readable client_order_id."}


def test_one_cancel_that_fails_stops_no_flatten(core: Core) -> None:
    bought(core)
    core.prices(F=100, GE=100, T=100)
    ids = [placed_raw(core, f"by-hand-{symbol}", symbol=symbol) for symbol in ("F", "GE", "T")]
    turn(core, SwitchKind.HALTED, flatten=True)
    keeper = stops(core)
    core.faults({"on": "cancel", "kind": "5xx_before", "status": 500, "count": 1})

    keeper.run_once()

    assert [row["symbol"] for row in closing(core)] == ["AAPL"]
    until(lambda: open_orders(core) == ids[:1])
    flat(core, keeper)
    assert open_orders(core) == []


def test_a_list_of_orders_that_is_not_answered_stops_no_flatten(core: Core) -> None:
    bought(core)
    turn(core, SwitchKind.HALTED, flatten=True)
    core.faults({"on": "list", "kind": "5xx_before", "status": 500})

    stops(core).run_once()

    assert [row["symbol"] for row in closing(core)] == ["AAPL"]


def test_a_waiting_exit_does_not_block_flatten(make_core: Any) -> None:
    core = make_core()
    core.prices(AAPL=100)
    bought(core)
    waiting = core.send("AAPL", "SELL", intent="close")
    core.rows("UPDATE execution SET state = 'submitting', lease_until = now() WHERE execution_id = %s", [waiting])
    core.rows(
        "UPDATE execution SET state = 'held', reason_code = 'minimum_hold', lease_until = NULL, "
        "due_at = now() + interval '1 hour' WHERE execution_id = %s",
        [waiting],
    )
    turn(core, SwitchKind.HALTED, flatten=True)

    flat(core, stops(core))

    assert core.execution(waiting)["reason_code"] == "superseded"
    assert positions(core) == {}


def test_flatten_waits_for_an_entry_that_a_worker_is_deciding(core: Core) -> None:
    entry = core.send("AAPL")
    core.rows(
        "UPDATE execution SET state = 'submitting', lease_until = now() + interval '1 hour' WHERE execution_id = %s",
        [entry],
    )
    turn(core, SwitchKind.HALTED, flatten=True)
    keeper = stops(core)
    keeper.run_once()
    assert core.rows("SELECT 1 FROM switch WHERE flatten")
    core.rows(
        "UPDATE execution SET state = 'skipped', reason_code = 'halted', lease_until = NULL, ended_at = now() "
        "WHERE execution_id = %s",
        [entry],
    )

    flat(core, keeper)


def test_a_switch_turned_before_the_first_reading_moves_to_the_account(core: Core) -> None:
    turn(core, SwitchKind.HALTED)
    assert [row["holder"] for row in core.rows("SELECT holder FROM switch")] == ["executor:argo"]
    number = core.runtimes["argo"].snapshots.read().account.number  # type: ignore[union-attr]

    assert [row["holder"] for row in core.rows("SELECT holder FROM switch")] == [number]
    assert [row["holder"] for row in core.rows("SELECT holder FROM switch_history")] == [number]
    assert core.run(core.send("AAPL"))["reason_code"] == "halted"


def test_entries_go_again_after_a_switch_is_turned_off(core: Core) -> None:
    turn(core, SwitchKind.HALTED)
    assert core.run(core.send("AAPL"))["state"] == "skipped"
    core.record.run(
        lambda connection: turn_off(
            connection, account_key=account_key_of(connection, "argo"), kinds=None, causes=None, by="ann@desk"
        )
    )

    assert core.run(core.send("AAPL"))["state"] == "accepted"
