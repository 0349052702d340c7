"""Exits that are blocked by orders which tradewire did not place, at the real paper exchange."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from alpaca.trading.client import TradingClient

from pipeline.monitoring.alerts.exit_conditions import blocked_exits, foreign_orders
from tests.factories import Core, executor_toml, until
from tests.integration.limited_stage import MONDAY, MONDAY_EVENING, clock, filled, follow_to
from workers.keeper.exit_follow_up import ExitFollowUp
from workers.keeper.restored_stops import RestoredStops

MakeCore = Callable[..., Core]


def owner(core: Core) -> TradingClient:
    """Return a client of the account's owner, who trades with the same keys beside tradewire."""
    client = TradingClient("argo", "paper-exchange", raw_data=True, url_override=core.exchange.url)
    client._retry = 0
    return client


def placed(core: Core, **terms: Any) -> dict[str, Any]:
    """Place an order as `placed_now` does, and wait until it is open."""
    order = placed_now(core, **terms)
    until(lambda: status(core, order) in ("new", "accepted"))
    return order


def placed_now(core: Core, **terms: Any) -> dict[str, Any]:
    """Place an order that tradewire does not know: a stop for ten shares at 80 unless *terms* say otherwise."""
    body = {"symbol": "AAPL", "qty": "10", "side": "sell", "type": "stop", "stop_price": "80", "time_in_force": "gtc"}
    order: Any = owner(core).post("/orders", {k: v for k, v in (body | terms).items() if v is not None})
    return dict(order)


def status(core: Core, order: dict[str, Any]) -> str:
    return next(str(each["status"]) for each in core.orders() if each["id"] == order["id"])


def ours(core: Core) -> list[tuple[str, str, str]]:
    """Return side, quantity and status of every order that tradewire sent."""
    return [
        (order["side"], order["qty"], order["status"])
        for order in core.orders()
        if order["client_order_id"].startswith("tw-")
    ]


def again(core: Core, execution_id: UUID) -> dict[str, Any]:
    core.due_now(execution_id)
    return core.run(execution_id)


def runs_until(core: Core, execution_id: UUID, *states: str) -> dict[str, Any]:
    """Run an execution repeatedly until it has one of *states*."""
    return dict(until(lambda: (row := again(core, execution_id))["state"] in states and row))


def follow_ups(core: Core) -> None:
    """Let the keeper follow up ended exits."""
    ExitFollowUp(
        record=core.record, intake=core.intake, runtime=core.runtimes["argo"], market_is_open=lambda: True
    ).run_once()


def follow_up(core: Core) -> dict[str, Any]:
    """Let the keeper follow up ended exits, and return the newest exit that it recorded."""
    follow_ups(core)
    rows = core.rows(
        "SELECT e.*, s.quantity FROM execution e JOIN signal s USING (signal_id) WHERE s.source = 'tradewire:exit' "
        "ORDER BY e.seq"
    )
    return rows[-1]


def flips(core: Core) -> list[str]:
    return [row["source_id"] for row in core.rows("SELECT source_id FROM signal WHERE source = 'tradewire:flip'")]


def restore(core: Core) -> int:
    return RestoredStops(record=core.record, runtime=core.runtimes["argo"]).run_once()


def later(core: Core) -> None:
    """Move the times of orders ten seconds back, and make canceled orders due for their next check."""
    core.rows(
        "UPDATE canceled_order SET due_at = now(), asked_at = asked_at - interval '10 s', "
        "short_at = short_at - interval '10 s'"
    )
    core.rows("UPDATE broker_order SET filled_at = filled_at - interval '10 s', ended_at = ended_at - interval '10 s'")


def outcomes(core: Core) -> list[tuple[str | None, bool]]:
    """Return the outcome of each canceled order, and whether it is final."""
    rows = core.rows("SELECT outcome, settled_at IS NOT NULL AS settled FROM canceled_order ORDER BY first_asked_at")
    return [(row["outcome"], row["settled"]) for row in rows]


def alerts(core: Core, condition: Any) -> list[str]:
    return [each.subject for each in core.record.run(lambda connection: condition(connection, {})).raised]


def test_an_exit_whose_shares_a_stop_holds_waits_and_alerts(core: Core) -> None:
    filled(core, quantity=10)
    stop = placed(core)

    row = core.run(sold := core.send("AAPL", "SELL"))
    again(core, sold)

    assert (row["state"], row["reason_code"]) == ("held", "quantity_held")
    assert stop["id"] in row["reason_facts"]["orders"]
    assert (status(core, stop), ours(core)) == ("new", [("buy", "10", "filled")])
    assert alerts(core, foreign_orders) == []
    assert [stop["id"] in subject for subject in alerts(core, blocked_exits)] == [True]
    owner(core).delete(f"/orders/{stop['id']}")
    runs_until(core, sold, "filled", "accepted")
    follow_to(core, sold, "filled")
    assert ours(core)[1:] == [("sell", "10", "filled")]


def test_an_exit_sells_what_is_available_and_the_rest_waits(core: Core) -> None:
    filled(core, quantity=10)
    stop = placed(core, qty="6")

    core.run(sold := core.send("AAPL", "SELL"))
    follow_to(core, sold, "filled")
    rest = follow_up(core)
    row = again(core, rest["execution_id"])

    assert ours(core)[1:] == [("sell", "4", "filled")]
    assert (rest["quantity"], row["state"], row["reason_code"]) == (6, "held", "quantity_held")
    assert status(core, stop) == "new"


@pytest.mark.parametrize(
    ("policy", "sender", "reason"),
    [
        ("forced", "a person", "foreign_canceled"),
        ("always", "a program", "foreign_canceled"),
        ("never", "a person", "quantity_held"),
        # A sender that only claims to be a person does not count as one.
        ("forced", "a program", "quantity_held"),
    ],
)
def test_who_may_cancel_what_holds_the_shares(make_core: MakeCore, policy: str, sender: str, reason: str) -> None:
    core = make_core(executor_toml(order=f'cancel_foreign = "{policy}"'))
    core.prices(AAPL=100)
    filled(core, quantity=10)
    stop = placed(core)

    row = core.run(sold := core.send("AAPL", "SELL", source="manual", by_person=sender == "a person"))

    assert (row["state"], row["reason_code"]) == ("held", reason)
    assert "sell 10 stop at 80" in row["reason_facts"]["orders"]
    if reason == "quantity_held":
        assert status(core, stop) == "new"
        return
    runs_until(core, sold, "accepted", "filled")
    follow_to(core, sold, "filled")
    assert status(core, stop) == "canceled"
    assert ours(core)[1:] == [("sell", "10", "filled")]
    assert len(alerts(core, foreign_orders)) == 1
    follow_ups(core)
    # One reading without a position is not enough; a later one must confirm it.
    assert restore(core) == 0
    assert outcomes(core) == [(None, False)]
    later(core)
    assert restore(core) == 0
    assert outcomes(core) == [("nothing_left", True)]


def test_a_canceled_stop_is_placed_again_for_what_remains(core: Core) -> None:
    filled(core, quantity=3, strategy="one")
    filled(core, quantity=7, strategy="two")
    stop = placed(core, type="stop_limit", limit_price="79.5")

    sold = core.send("AAPL", "SELL", by_person=True, strategy="one")
    core.run(sold)
    runs_until(core, sold, "accepted", "filled")
    assert restore(core) == 0
    follow_to(core, sold, "filled")
    follow_ups(core)

    assert restore(core) == 1
    assert restore(core) == 0
    [again_] = [order for order in core.orders() if order["client_order_id"] == f"restored-{stop['id']}"]
    assert {name: again_[name] for name in ("side", "qty", "type", "stop_price", "limit_price", "time_in_force")} == {
        "side": "sell",
        "qty": "7",
        "type": "stop_limit",
        "stop_price": "80",
        "limit_price": "79.5",
        "time_in_force": "gtc",
    }


def stop_canceled_for_an_exit(core: Core, **terms: Any) -> dict[str, Any]:
    """Place a stop for the shares of two strategies, sell those of one by a person's signal, and return the stop."""
    filled(core, quantity=3, strategy="one")
    filled(core, quantity=7, strategy="two")
    stop = placed(core, **terms)
    core.run(sold := core.send("AAPL", "SELL", by_person=True, strategy="one"))
    runs_until(core, sold, "accepted", "filled")
    follow_to(core, sold, "filled")
    follow_ups(core)
    return stop


def test_a_stop_is_placed_again_when_the_position_is_read_too_early(core: Core) -> None:
    stop = stop_canceled_for_an_exit(core)
    # Another order holds all remaining shares, as the stop does in a reading that does not show its cancel yet.
    holder = placed(core, qty="7", type="limit", limit_price="200", stop_price=None)

    assert restore(core) == 0
    owner(core).delete(f"/orders/{holder['id']}")
    until(lambda: status(core, holder) == "canceled")
    later(core)
    assert restore(core) == 1

    [again_] = [order for order in core.orders() if order["client_order_id"] == f"restored-{stop['id']}"]
    assert again_["qty"] == "7"


def test_a_position_that_is_gone_counts_only_some_seconds_after_our_last_fill(core: Core) -> None:
    filled(core, quantity=10)
    placed(core)
    core.run(sold := core.send("AAPL", "SELL", by_person=True))
    runs_until(core, sold, "accepted", "filled")
    follow_to(core, sold, "filled")
    follow_ups(core)
    assert restore(core) == 0
    later(core)
    core.rows("UPDATE broker_order SET filled_at = now() WHERE role = 'exit'")

    assert restore(core) == 0

    assert outcomes(core) == [(None, False)]


def test_a_stop_whose_sending_got_no_answer_counts_as_placed_again(core: Core) -> None:
    stop_canceled_for_an_exit(core)
    core.faults({"on": "submit", "kind": "drop_after", "count": 1})
    for _ in range(3):
        assert restore(core) == 0
        later(core)

    assert core.rows("SELECT outcome, restored_quantity FROM canceled_order") == [
        {"outcome": "restored", "restored_quantity": 7}
    ]


def test_an_order_whose_cancel_has_no_effect_is_left_alone_after_the_exit(core: Core) -> None:
    filled(core, quantity=10)
    stop = placed(core)
    core.faults({"on": "cancel", "kind": "5xx_before"})
    core.run(sold := core.send("AAPL", "SELL", by_person=True))
    core.rows("UPDATE canceled_order SET asked_at = asked_at - interval '10 s'")
    assert restore(core) == 0
    assert outcomes(core) == [(None, False)]
    core.rows("UPDATE canceled_order SET due_at = now(), asked_at = asked_at - interval '1 minute'")

    assert restore(core) == 0

    assert (outcomes(core), status(core, stop)) == ([("kept", True)], "new")
    # The exit has not been sent yet, so it cancels the order again.
    core.faults()
    runs_until(core, sold, "accepted", "filled")
    follow_to(core, sold, "filled")
    assert status(core, stop) == "canceled"


def pause(core: Core, execution_id: UUID) -> float:
    """Run an exit that cancels orders of others; return the seconds until its next check."""
    assert again(core, execution_id)["reason_code"] == "foreign_canceled"
    [row] = core.rows(
        "SELECT e.due_at - max(h.at) AS pause FROM execution e JOIN history h USING (execution_id) "
        "WHERE execution_id = %s GROUP BY e.due_at",
        [execution_id],
    )
    return round(float(row["pause"].total_seconds()), 1)


@pytest.mark.parametrize("kind", ["5xx_before", "garbage_before"])
def test_an_exit_looks_less_and_less_often_at_an_order_whose_cancel_is_not_done(core: Core, kind: str) -> None:
    another = filled(core, quantity=10)
    placed(core)
    core.faults({"on": "cancel", "kind": kind})
    sold = core.send("AAPL", "SELL", by_person=True)
    pauses = list[float]()
    for _ in range(7):
        pauses.append(pause(core, sold))
        core.rows("UPDATE canceled_order SET asked_at = asked_at - interval '10 s'")

    assert pauses == [0.5, 1, 2, 4, 8, 16, 16]
    assert core.exchange.admin("faults")["faults"][0]["hits"] == 7
    # For another exit, the pause begins at its shortest value again.
    core.rows("UPDATE canceled_order SET execution_id = %s", [another])
    assert pause(core, sold) == 0.5


def test_blocked_exits_share_one_list_of_the_open_orders(core: Core) -> None:
    symbols = ("AAPL", "MSFT", "F")
    core.prices(AAPL=100, MSFT=100, F=100)
    for symbol in symbols:
        filled(core, symbol, quantity=10)
        placed(core, symbol=symbol)
    core.faults({"on": "list", "kind": "latency", "seconds": 0})

    rows = [core.run(core.send(symbol, "SELL")) for symbol in symbols]

    assert [row["reason_code"] for row in rows] == ["quantity_held"] * 3
    assert all("stop at 80" in row["reason_facts"]["orders"] for row in rows)
    assert core.exchange.admin("faults")["faults"][0]["hits"] == 1


def test_a_forced_exit_cancels_an_order_that_cannot_be_read_by_its_id(core: Core) -> None:
    filled(core, quantity=10)
    stop = placed(core, client_order_id="Kauf für Ann")

    core.run(sold := core.send("AAPL", "SELL", by_person=True))
    runs_until(core, sold, "accepted", "filled")
    follow_to(core, sold, "filled")

    assert status(core, stop) == "canceled"
    assert ours(core)[1:] == [("sell", "10", "filled")]
    # The terms of the stop cannot be read, so a person has to place it again.
    core.faults({"on": "lookup", "kind": "garbage_before"})
    follow_ups(core)
    for _ in range(4):
        assert restore(core) == 0
        later(core)
    assert outcomes(core) == [("not_restored", True)]
    assert [stop["id"] in subject for subject in alerts(core, foreign_orders)] == [True]


def test_a_stop_whose_client_order_id_cannot_be_read_is_placed_again_for_what_remains(core: Core) -> None:
    stop_canceled_for_an_exit(core, client_order_id="Kauf für Ann")

    until(lambda: later(core) or restore(core))

    rest = until(lambda: [order for order in core.orders() if order["status"] in ("new", "accepted")])
    assert [(order["type"], order["qty"], order["stop_price"]) for order in rest] == [("stop", "7", "80")]


def test_an_order_that_cannot_be_read_in_another_symbol_stays(core: Core) -> None:
    core.prices(MSFT=100)
    filled(core, quantity=10)
    filled(core, "MSFT", quantity=10)
    other = placed(core, symbol="MSFT", client_order_id="Kauf für Ann")
    placed(core)

    core.run(sold := core.send("AAPL", "SELL", by_person=True))
    runs_until(core, sold, "accepted", "filled")

    assert status(core, other) == "new"


def test_an_exit_waits_for_the_order_that_the_broker_names_whatever_its_kind(core: Core) -> None:
    filled(core, quantity=10)
    legs = {"take_profit": {"limit_price": "120"}, "stop_loss": {"stop_price": "70"}}
    bid = placed(core, side="buy", type="limit", limit_price="90", stop_price=None, order_class="bracket", **legs)
    says = "potential wash trade detected. use complex orders"
    core.faults({"on": "submit", "kind": "reject", "message": says, "count": 1})
    row = core.run(core.send("AAPL", "SELL", entry_price=None, intent="close"))
    assert row["reason_facts"]["refused"] == "opposed"
    core.rows(
        "UPDATE execution SET reason_facts = (reason_facts::jsonb || jsonb_build_object('orders', %s::text))::json "
        "WHERE execution_id = %s",
        [bid["id"], row["execution_id"]],
    )
    further = follow_up(core)

    assert again(core, further["execution_id"])["reason_code"] == "quantity_held"

    owner(core).delete(f"/orders/{bid['id']}")
    runs_until(core, further["execution_id"], "accepted", "filled")


def test_a_stop_is_placed_again_when_the_exit_is_not_sent_within_five_seconds(core: Core) -> None:
    filled(core, quantity=10)
    stop = placed(core, type="trailing_stop", stop_price=None, trail_percent="5")
    core.run(sold := core.send("AAPL", "SELL", by_person=True))
    until(lambda: status(core, stop) == "canceled")
    follow_ups(core)

    assert restore(core) == 0
    core.rows("UPDATE canceled_order SET asked_at = asked_at - interval '6 seconds'")
    assert restore(core) == 1
    [placed_again] = [order for order in core.orders() if order["client_order_id"] == f"restored-{stop['id']}"]
    assert (placed_again["qty"], placed_again["type"], placed_again["trail_percent"]) == ("10", "trailing_stop", "5")
    # The exit has not been sent yet, so it cancels the new stop too.
    assert again(core, sold)["reason_code"] == "foreign_canceled"
    runs_until(core, sold, "accepted", "filled")
    follow_to(core, sold, "filled")


def test_a_stop_that_the_broker_refuses_to_take_again_is_a_critical_alert(core: Core) -> None:
    stop_canceled_for_an_exit(core)
    core.faults({"on": "submit", "kind": "reject"})

    def found() -> list[tuple[str, bool]]:
        raised = core.record.run(lambda connection: foreign_orders(connection, {})).raised
        return [(each.severity, "refuses to take it again" in each.subject) for each in raised]

    # One refusal raises no critical alert, because the position may have been read too early.
    assert restore(core) == 0
    assert found() == [("warning", False)]
    later(core)
    assert restore(core) == 0
    core.rows("UPDATE canceled_order SET first_asked_at = first_asked_at - interval '2 hours'")
    assert found() == [("critical", True)]
    core.faults()
    later(core)

    assert restore(core) == 1

    assert (outcomes(core), found()) == ([("restored", True)], [])


def test_the_rest_of_a_forced_exit_cancels_what_holds_it(core: Core) -> None:
    filled(core, quantity=10)
    stop = placed(core, qty="6")

    core.run(sold := core.send("AAPL", "SELL", by_person=True))
    follow_to(core, sold, "filled")
    rest = follow_up(core)
    row = again(core, rest["execution_id"])

    assert row["reason_code"] == "foreign_canceled"
    runs_until(core, rest["execution_id"], "accepted", "filled")
    follow_to(core, rest["execution_id"], "filled")
    assert ours(core)[1:] == [("sell", "4", "filled"), ("sell", "6", "filled")]
    assert status(core, stop) == "canceled"


def test_a_stop_stays_while_the_market_is_closed(make_core: MakeCore) -> None:
    core = make_core(executor_toml().replace('closed = "extended"', 'closed = "hold"'))
    core.prices(AAPL=100)
    clock(core, MONDAY)
    filled(core, quantity=10)
    stop = placed(core)
    clock(core, MONDAY_EVENING)
    core.rows("DELETE FROM account_snapshot")

    row = runs_until(core, core.send("AAPL", "SELL", by_person=True), "held")

    assert row["reason_code"] == "market_closed"
    assert status(core, stop) in ("new", "accepted")


def test_a_stop_stays_while_the_exit_could_only_rest(core: Core) -> None:
    filled(core, quantity=10)
    stop = placed(core)
    core.prices(AAPL=90)

    row = core.run(sold := core.send("AAPL", "SELL", by_person=True, entry_price=100))
    assert (row["state"], row["reason_code"], status(core, stop)) == ("held", "quantity_held", "new")

    core.rows("UPDATE signal SET recorded_at = recorded_at - interval '16 seconds'")
    assert again(core, sold)["reason_code"] == "foreign_canceled"


def test_a_wash_trade_is_refused_once_and_then_waits_for_the_order_in_the_way(core: Core) -> None:
    filled(core, quantity=10)
    bid = placed(core, side="buy", type="limit", limit_price="90", stop_price=None)

    row = core.run(core.send("AAPL", "SELL", entry_price=None, intent="close"))
    assert (row["state"], row["reason_facts"]["refused"]) == ("rejected", "opposed")
    assert row["reason_facts"]["orders"] == bid["id"]
    further = follow_up(core)
    for _ in range(3):
        row = again(core, further["execution_id"])
        assert (row["state"], row["reason_code"]) == ("held", "quantity_held")
    assert core.rows("SELECT outcome FROM attempt ORDER BY sent_at") == [
        {"outcome": "accepted"},
        {"outcome": "rejected"},
    ]

    owner(core).delete(f"/orders/{bid['id']}")
    runs_until(core, further["execution_id"], "accepted", "filled")
    follow_to(core, further["execution_id"], "filled")


def test_a_forced_exit_cancels_the_order_that_it_could_trade_with(core: Core) -> None:
    filled(core, quantity=10)
    bid = placed(core, side="buy", type="limit", limit_price="90", stop_price=None)

    core.run(core.send("AAPL", "SELL", by_person=True, entry_price=None, intent="close"))
    further = follow_up(core)
    assert again(core, further["execution_id"])["reason_code"] == "foreign_canceled"
    runs_until(core, further["execution_id"], "accepted", "filled")
    follow_to(core, further["execution_id"], "filled")

    assert status(core, bid) == "canceled"
    follow_ups(core)
    assert restore(core) == 0
    assert core.rows("SELECT outcome FROM canceled_order") == [{"outcome": "canceled"}]


def test_a_coin_that_another_order_holds_is_sold_after_its_cancel(core: Core) -> None:
    core.prices(**{"ETH/USD": 2000})
    bought = core.send("ETH/USD", entry_price=2000, quantity=1)
    core.run(bought)
    follow_to(core, bought, "filled")
    terms = {"type": "limit", "limit_price": "3000", "stop_price": None, "symbol": "ETH/USD", "qty": "0.9975"}
    placed(core, **terms)

    core.run(sold := core.send("ETH/USD", "SELL", by_person=True, entry_price=None, intent="close"))
    runs_until(core, sold, "accepted", "filled")
    follow_to(core, sold, "filled")

    assert ours(core)[-1] == ("sell", "0.9975", "filled")


def test_a_stop_that_the_owner_replaced_meanwhile_is_placed_again_as_replaced(core: Core) -> None:
    filled(core, quantity=3, strategy="one")
    filled(core, quantity=7, strategy="two")
    stop = placed(core)
    core.faults({"on": "cancel", "kind": "5xx_before", "count": 1})
    sold = core.send("AAPL", "SELL", by_person=True, strategy="one")
    assert core.run(sold)["reason_code"] == "foreign_canceled"
    replacement: Any = owner(core).patch(f"/orders/{stop['id']}", {"stop_price": "85"})
    owner(core).delete(f"/orders/{replacement['id']}")
    runs_until(core, sold, "accepted", "filled")
    follow_to(core, sold, "filled")
    follow_ups(core)

    assert restore(core) == 1

    [again_] = [order for order in core.orders() if order["client_order_id"].startswith("restored-")]
    assert (again_["qty"], again_["stop_price"]) == ("7", "85")


def test_a_stop_that_filled_before_its_cancel_is_not_placed_again(core: Core) -> None:
    filled(core, quantity=10)
    stop = placed(core)
    core.faults({"on": "cancel", "kind": "5xx_before"})
    core.run(core.send("AAPL", "SELL", by_person=True))
    core.prices(AAPL=79)
    until(lambda: status(core, stop) == "filled")
    later(core)

    assert restore(core) == 0

    assert outcomes(core) == [("filled", True)]


def test_a_flip_follows_when_the_rest_of_a_close_is_closed(make_core: MakeCore) -> None:
    core = make_core(executor_toml(order='flip = "reverse"\nallow_short = true'))
    core.prices(AAPL=100)
    filled(core, quantity=10)
    stop = placed(core, qty="6")
    core.run(sold := core.send("AAPL", "SELL", quantity=10))
    follow_to(core, sold, "filled")
    rest = follow_up(core)
    assert flips(core) == []

    owner(core).delete(f"/orders/{stop['id']}")
    runs_until(core, rest["execution_id"], "accepted", "filled")
    follow_to(core, rest["execution_id"], "filled")
    follow_ups(core)

    assert flips(core) == [str(sold)]


def sold_by_hand(core: Core, quantity: str) -> None:
    """Sell *quantity*, the whole position, at the broker as a person would, and wait until it is gone."""
    placed_now(core, qty=quantity, type="market", stop_price=None, time_in_force="day")
    until(lambda: core.runtimes["argo"].broker.position("AAPL") is None)


def other_side(core: Core) -> tuple[str, str]:
    """Let the keeper record the entry of the other side, and run it; return the side and quantity of its order."""
    follow_ups(core)
    follow_ups(core)
    [other] = core.rows("SELECT execution_id FROM execution JOIN signal USING (signal_id) WHERE source LIKE '%:flip'")
    runs_until(core, other["execution_id"], "accepted", "filled")
    return ours(core)[-1][:2]


@pytest.mark.parametrize(("action", "opened"), [("SELL", "1"), ("REVERSE", "2")])
def test_the_other_side_opens_when_others_close_the_rest(make_core: MakeCore, action: str, opened: str) -> None:
    core = make_core(executor_toml(order='flip = "reverse"\nallow_short = true'))
    core.prices(AAPL=100)
    filled(core, quantity=10)
    stop = placed(core, qty="6")
    core.run(turned := core.send("AAPL", action, quantity=2 if action == "REVERSE" else 10))
    follow_to(core, turned, "filled")
    rest = follow_up(core)
    assert again(core, rest["execution_id"])["reason_code"] == "quantity_held"
    follow_ups(core)
    assert flips(core) == []

    owner(core).delete(f"/orders/{stop['id']}")
    until(lambda: status(core, stop) == "canceled")
    sold_by_hand(core, "6")
    assert runs_until(core, rest["execution_id"], "skipped")["reason_code"] == "no_position"

    assert other_side(core) == ("sell", opened)


@pytest.mark.parametrize("sent", [False, True])
def test_a_reverse_that_others_forestall_opens_the_other_side(make_core: MakeCore, *, sent: bool) -> None:
    core = make_core(executor_toml(order='flip = "reverse"\nallow_short = true'))
    core.prices(AAPL=100)
    filled(core, quantity=10)
    if sent:
        says = "position intent mismatch, inferred: sell_to_open, specified: sell_to_close"
        core.faults({"on": "submit", "kind": "reject", "status": 422, "message": says, "count": 1})
        row = core.run(turned := core.send("AAPL", "REVERSE", quantity=2))
        assert row["reason_code"] == "account_unreadable"
    else:
        stop = placed(core)
        row = core.run(turned := core.send("AAPL", "REVERSE", quantity=2))
        assert row["reason_code"] == "quantity_held"
        owner(core).delete(f"/orders/{stop['id']}")
        until(lambda: status(core, stop) == "canceled")
    sold_by_hand(core, "10")

    assert runs_until(core, turned, "skipped")["reason_code"] == "no_position"

    assert other_side(core) == ("sell", "2")


@pytest.mark.parametrize("action", ["FLAT", "REVERSE"])
def test_a_stop_is_not_placed_again_before_a_flat_or_reverse_went(core: Core, action: str) -> None:
    filled(core, quantity=10)
    stop = placed(core)
    closing = core.send("AAPL", action, by_person=True)
    assert core.run(closing)["reason_code"] == "foreign_canceled"
    until(lambda: status(core, stop) == "canceled")

    assert restore(core) == 0

    runs_until(core, closing, "accepted", "filled")
    follow_to(core, closing, "filled")
    assert ours(core)[1:] == [("sell", "10", "filled")]


def test_a_stop_that_takes_no_fraction_is_placed_again_for_the_whole_shares(make_core: MakeCore) -> None:
    core = make_core(executor_toml().replace('method = "quantity"', 'fractional = true\nmethod = "quantity"'))
    core.prices(AAPL=100)
    filled(core, quantity=3.5, strategy="one")
    filled(core, quantity=6.5, strategy="two")
    stop = placed(core)
    core.run(sold := core.send("AAPL", "SELL", by_person=True, strategy="one"))
    runs_until(core, sold, "accepted", "filled")
    follow_to(core, sold, "filled")
    follow_ups(core)

    assert restore(core) == 1

    [again_] = [order for order in core.orders() if order["client_order_id"] == f"restored-{stop['id']}"]
    assert (again_["qty"], again_["time_in_force"]) == ("6", "gtc")


def test_an_available_part_that_is_too_small_does_not_end_the_exit_of_the_rest(core: Core) -> None:
    core.prices(**{"ETH/USD": 2000})
    filled(core, "ETH/USD", entry_price=2000, quantity=1)
    terms = {"type": "limit", "limit_price": "3000", "stop_price": None, "symbol": "ETH/USD", "qty": "0.9974"}
    placed(core, **terms)

    row = core.run(core.send("ETH/USD", "SELL", by_person=True, entry_price=None, intent="close"))
    assert (row["state"], row["reason_facts"]["refused"], row["quantity"]) == (
        "rejected",
        "too_small",
        Decimal("0.0001"),
    )
    further = follow_up(core)

    assert again(core, further["execution_id"])["reason_code"] == "foreign_canceled"
    runs_until(core, further["execution_id"], "accepted", "filled")
    follow_to(core, further["execution_id"], "filled")
    assert ours(core)[-1] == ("sell", "0.9975", "filled")
