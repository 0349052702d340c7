"""A missing figure is never guessed, and an unknown figure never leads to an order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from decimal import Decimal
from typing import Any

import httpx
import pytest

from pipeline.entrypoints.supervisor.servers.addresses import free_port
from pipeline.intake.intake import Intake
from pipeline.model.errors import ConfigInvalid, InvalidSignal
from tests.core_fixtures import Processes
from tests.factories import Core, executor_toml, signal, until
from tests.integration.execution_states import Rows
from tests.integration.limited_stage import MONDAY_EVENING, changed_toml, clock, filled
from workers.execution.direct import DirectExecutor
from workers.keeper.equity_monitor import EquityMonitor
from workers.keeper.reconciliation import reconcile_once

Make = Callable[..., Core]


def test_a_stop_and_a_target_are_never_orders_of_their_own(core: Core) -> None:
    filled(core, stop_price=97, target_price=105)

    [order] = core.orders()
    assert (order["type"], order["order_class"] or "simple", order["stop_price"]) == ("limit", "simple", None)
    [row] = core.rows("SELECT stop_price, target_price FROM signal")
    assert (row["stop_price"], row["target_price"]) == (97, 105)


def test_two_exits_of_a_coin_use_its_own_symbol_and_sell_it_once(core: Core) -> None:
    core.exchange.admin("prices", {"BTC/USD": "1000"})
    filled(core, "BTC-USD", entry_price=1000)
    core.faults({"on": "submit", "kind": "no_fill", "seconds": 600})

    ends = [core.run(core.send("BTC-USD", "SELL", entry_price=1000)) for _ in range(2)]

    assert [(row["state"], row["reason_code"]) for row in ends] == [("accepted", None), ("held", "order_under_way")]
    assert {order["symbol"] for order in core.orders()} == {"BTC/USD"}
    assert [order["side"] for order in core.orders()] == ["buy", "sell"]


def test_the_stop_of_a_position_is_known_after_a_restart(make_core: Make) -> None:
    limits = changed_toml(drawdown_percent="1")
    core = make_core(limits)
    core.prices(AAPL=100, MSFT=100)
    watched(core)
    filled(core, quantity=100, stop_price=91)
    core.close()

    again = make_core(limits)
    watched(again)
    sized = again.run(again.send("MSFT", quantity=100, stop_price=91))

    # The limit is 1000 (1 %). The first 100 shares may lose 9 each, so 100 are left; the next ones may lose 9.50 each.
    assert sized["quantity"] == 10


def watched(core: Core, executor: str = "argo") -> None:
    """Read the account, which also records its day and its peak."""
    core.runtimes[executor].snapshots.read()


def test_each_executor_trades_the_account_of_its_own_keys(make_core: Make) -> None:
    core = make_core(executor_toml("argo") + executor_toml("prop_firm"))
    core.prices(AAPL=100)

    execution = core.run(core.send(executor="prop_firm"), "prop_firm")

    accounts = {row["key"]: row["account_number"] for row in core.exchange.admin("state")["accounts"]}
    assert execution["account_number"] == accounts["prop_firm"]
    assert (core.orders("argo"), len(core.orders("prop_firm"))) == ([], 1)


def test_keys_of_another_account_than_the_pinned_one_trade_nothing(make_core: Make) -> None:
    core = make_core(executor_toml(top='account = "PA0000000000"'))

    execution = core.run(core.send())

    assert (execution["state"], execution["reason_code"]) == ("held", "broker_refuses_account")
    assert "PA0000000000" in execution["reason_facts"]["says"]
    assert core.orders() == []


def test_two_executors_on_one_account_do_not_start(make_core: Make) -> None:
    with pytest.raises(ConfigInvalid, match="account"):
        make_core(executor_toml("argo", top='account = "PA1"') + executor_toml("prop_firm", top='account = "PA1"'))


@pytest.fixture
def limited(make_core: Make) -> Core:
    """A core whose limits allow neither 100 shares at 100 nor a second position."""
    core = make_core(changed_toml(gross_exposure_percent="5", open_positions="1"))
    core.prices(AAPL=100, MSFT=100)
    watched(core)
    return core


@pytest.fixture
def direct(limited: Core) -> Iterator[DirectExecutor]:
    runner = DirectExecutor(
        limited.executors,
        settings=limited.settings,
        database_url=limited.database_url,
        by="test",
        reconcile=reconcile_once,
    )
    with closing(runner):
        yield runner


def test_limits_hold_with_the_queue_and_with_direct_execution(limited: Core, direct: DirectExecutor) -> None:
    queued = limited.run(limited.send(quantity=100))
    row = limited.record_signal(signal("MSFT", quantity=100))
    direct.execute([row])

    # 5 % of 100,000 at a worst price of 100.50 is 49 shares.
    assert queued["quantity"] == 49
    refused = limited.execution(row.execution_id)
    assert (refused["state"], refused["reason_code"]) == ("skipped", "open_positions_limit")


def test_limits_hold_for_a_dead_letter_that_a_person_requeues(limited: Core, kill: Callable[..., None]) -> None:
    dead = limited.send(quantity=10)
    kill(dead)
    filled(limited, "MSFT")
    limited.dead_letters.requeue(dead, by="test", why="again")

    refused = limited.run(dead)

    assert (refused["state"], refused["reason_code"]) == ("skipped", "open_positions_limit")


def test_an_account_that_no_keeper_watches_gets_no_entries(make_core: Make) -> None:
    core = make_core(changed_toml(daily_loss_percent="5"))
    core.prices(AAPL=100)
    watched(core)
    core.rows("DELETE FROM account_watch")

    execution = core.run(core.send())

    assert (execution["state"], execution["reason_code"]) == ("held", "account_unwatched")


def test_an_equity_that_cannot_be_read_stops_entries_and_not_exits(make_core: Make) -> None:
    core = make_core(changed_toml(daily_loss_percent="5"))
    core.prices(AAPL=100, MSFT=100)
    watched(core)
    filled(core)
    watched(core)
    core.faults({"on": "account", "kind": "5xx_before"})
    core.rows("UPDATE account_snapshot SET taken_at = taken_at - interval '10 seconds'")
    EquityMonitor(record=core.record, runtime=core.runtimes["argo"], who="test keeper").run_once()
    core.rows("UPDATE account_watch SET unreadable_since = unreadable_since - interval '31 seconds'")
    EquityMonitor(record=core.record, runtime=core.runtimes["argo"], who="test keeper").run_once()
    core.faults()

    entry, exit_ = core.run(core.send("MSFT")), core.run(core.send("AAPL", "SELL"))

    assert (entry["state"], entry["reason_code"]) == ("skipped", "reducing_unreadable")
    assert exit_["role"] == "exit"


@pytest.mark.parametrize("action", ["BUY", "SELL"])
@pytest.mark.parametrize("order", ["", "allow_short = true"])
def test_positions_that_cannot_be_read_are_not_taken_as_none(make_core: Make, action: str, order: str) -> None:
    core = make_core(executor_toml(order=order))
    core.prices(AAPL=100)
    core.faults({"on": "positions", "kind": "garbage_before"})

    execution = core.run(core.send("AAPL", action))

    assert (execution["state"], execution["reason_code"]) == ("held", "account_unreadable")
    assert core.orders() == []


@pytest.mark.parametrize("action", ["NEUTRAL", "HOLD", "", None, 0])
def test_a_signal_that_is_neither_buy_nor_sell_is_refused_and_kept(intake: Intake, rows: Rows, action: Any) -> None:
    with pytest.raises(InvalidSignal, match="action"):
        intake.record(signal(action=action), source="test")

    assert rows("SELECT signal_id FROM signal") == []
    assert [row["code"] for row in rows("SELECT code FROM refusal")] == ["invalid_signal"]


@pytest.mark.parametrize("missing", ["entry_price", "confidence"])
def test_a_missing_price_or_confidence_is_not_made_up(intake: Intake, rows: Rows, missing: str) -> None:
    raw = signal()
    del raw[missing]

    with pytest.raises(InvalidSignal, match=missing):
        intake.record(raw, source="test")

    assert len(rows("SELECT code FROM refusal")) == 1


def test_a_close_without_a_price_opens_nothing(core: Core) -> None:
    execution = core.run(core.record_signal({"symbol": "AAPL", "action": "BUY", "intent": "close"}).execution_id)

    assert (execution["state"], execution["reason_code"]) == ("skipped", "no_position")


def sized(make_core: Make, price: int, **size: str) -> dict[str, Any]:
    core = make_core(changed_toml(method='"equity_percent"', **size))
    core.prices(AAPL=price)
    return core.run(core.send(entry_price=price, confidence=75))


def test_less_than_one_share_is_not_rounded_up_to_one(make_core: Make) -> None:
    execution = sized(make_core, 2000, value="1")

    assert (execution["state"], execution["reason_code"]) == ("skipped", "below_one_share")
    assert Decimal(execution["reason_facts"]["size"]) < 1


def test_a_percentage_is_of_equity_and_not_of_margin(make_core: Make) -> None:
    execution = sized(make_core, 100, value="10")

    # 10 % of 100,000, not of a buying power of 400,000; at a worst price of 100.50.
    assert execution["quantity"] == 99


@pytest.mark.parametrize("kind", ["5xx_before", "garbage_before", "drop_before"])
def test_a_clock_that_cannot_be_read_is_not_taken_as_an_open_market(make_core: Make, kind: str) -> None:
    core = make_core(changed_toml(closed='"hold"'))
    core.prices(AAPL=100)
    core.faults({"on": "clock", "kind": kind})

    execution = core.run(core.send())

    assert (execution["state"], execution["reason_code"]) == ("held", "clock_unreadable")
    assert core.orders() == []


@pytest.mark.parametrize("closed", ["hold", "skip"])
def test_shares_are_not_ordered_for_the_next_open_while_the_market_is_closed(make_core: Make, closed: str) -> None:
    core = make_core(changed_toml(closed=f'"{closed}"'))
    core.prices(AAPL=100)
    clock(core, MONDAY_EVENING)

    execution = core.run(core.send())

    assert (execution["state"], execution["reason_code"]) == (
        "held" if closed == "hold" else "skipped",
        "market_closed",
    )
    assert core.orders() == []


def test_an_entry_that_waited_is_checked_again_with_all_figures_of_its_signal(make_core: Make) -> None:
    core = make_core(changed_toml(factory={"minimum_confidence": '75\nregimes = ["BULL", "CRISIS"]'}))
    core.prices(AAPL=100)
    core.faults({"on": "submit", "kind": "429", "count": 2})
    kept, crisis = core.send(quantity=3, regime="BULL"), core.send("MSFT", quantity=3, regime="CRISIS")
    assert [core.run(each)["state"] for each in (kept, crisis)] == ["held", "held"]
    strict = make_core(changed_toml(factory={"minimum_confidence": '75\nregimes = ["BULL"]'}))

    def goes() -> bool:
        strict.due_now(kept)
        return strict.run(kept)["order_id"] is not None

    def judged() -> bool:
        strict.due_now(crisis)
        return strict.run(crisis)["state"] == "skipped"

    until(goes)
    until(judged)

    assert strict.execution(kept)["quantity"] == 3
    assert strict.execution(crisis)["reason_code"] == "regime_not_routed"


def test_an_old_price_is_not_traded_on_when_the_wait_is_over(make_core: Make) -> None:
    core = make_core(changed_toml(closed='"hold"', price_drift_percent="1"))
    core.prices(AAPL=100)
    clock(core, MONDAY_EVENING)
    held = core.send()
    assert core.run(held)["reason_code"] == "market_closed"

    core.prices(AAPL=90)
    clock(core, "2026-11-24T10:00:00-05:00")
    core.runtimes["argo"].snapshots.read()
    core.due_now(held)

    assert core.run(held)["reason_code"] == "price_drifted"


def test_a_request_without_the_token_trades_nothing(core: Core, processes: Processes) -> None:
    refused = processes.start(core, "serve", PORT="0")
    assert refused.wait(30) == 2
    assert "TRADEWIRE_API_TOKEN" in processes.said(refused)
    port = free_port()
    processes.start(core, "serve", PORT=str(port), TRADEWIRE_API_TOKEN="open-sesame-open-sesame")

    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        until(lambda: _answers(client))
        statuses = [
            client.post("/api/v1/signals", json=signal(), headers={"Authorization": given}).status_code
            for given in ("", "Bearer wrong", "Bearer open-sesame-open-sesame")
        ]

    assert statuses == [401, 401, 201]
    assert core.rows("SELECT source FROM signal") == [{"source": "api"}]


def _answers(client: httpx.Client) -> bool:
    try:
        return client.get("/health").status_code == httpx.codes.OK
    except httpx.TransportError:
        return False
