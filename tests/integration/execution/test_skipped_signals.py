"""A signal that is filtered out leaves a row with its reason, and no filter stops an exit for good."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.accounts.switches import Switches
from pipeline.intake.intake import Intake
from pipeline.intake.source_reach import untraded_source_problems
from pipeline.model.errors import InvalidSignal, NotPossible
from pipeline.views.report import report
from tests.core_fixtures import Processes
from tests.factories import Core, executor_toml, signal, until
from tests.integration.execution_states import Rows
from tests.integration.limited_stage import MONDAY_EVENING, changed_toml, clock
from tests.integration.watching import hold, limited, look, lose, switches
from workers.keeper.market_open import MarketOpen

Make = Callable[..., Core]
SHIPPED = (Path(__file__).parents[3] / "config/executors.toml").read_text("utf-8")


def reasons(core: Core) -> dict[str, str | None]:
    """Return the reason of the newest signal at each executor."""
    rows = core.rows(
        "SELECT executor_id, reason_code FROM execution WHERE signal_id = "
        "(SELECT signal_id FROM signal ORDER BY recorded_at DESC LIMIT 1)"
    )
    return {row["executor_id"]: row["reason_code"] for row in rows}


def test_a_signal_that_a_filter_skips_leaves_a_row_with_its_reason_and_is_counted(make_core: Make) -> None:
    core = make_core(SHIPPED)

    for sent, expected in (
        ({"confidence": 10}, {"argo": "confidence_below_minimum", "prop_firm": "confidence_below_minimum"}),
        ({"executors": ["argo"]}, {"argo": None, "prop_firm": "not_addressed"}),
        ({"regime": "CRISIS"}, {"argo": None, "prop_firm": "regime_not_routed"}),
    ):
        core.intake.record(signal(**sent), source="test")
        assert reasons(core) == expected

    counted = report(core.record).to_json()
    assert (counted["signals"], counted["executions"], counted["by_status"]["skipped"]) == (3, 6, 4)
    assert counted["by_reason"] == {"confidence_below_minimum": 2, "not_addressed": 1, "regime_not_routed": 1}


@pytest.mark.parametrize("minimum", [60, 75, 82])
def test_a_minimum_confidence_is_the_one_of_the_file_at_intake_and_before_the_order(
    make_core: Make, minimum: int
) -> None:
    core = make_core(executor_toml(minimum_confidence=minimum))
    core.prices(AAPL=100)

    below, at = core.send(confidence=minimum - 0.1), core.send(confidence=minimum)
    # A sale may be an exit, so only the worker, who knows the position, applies the minimum before it sends an order.
    sold = core.run(core.send("MSFT", "SELL", confidence=minimum - 0.1))

    assert core.execution(below)["reason_facts"]["minimum"] == str(minimum)
    assert core.run(at)["order_id"] is not None
    assert f"confidence_below_minimum minimum={minimum}" in sold["reason_facts"]["also"]


@pytest.mark.parametrize("fraction", [0.98, 0.753, 1, "0.5"])
def test_a_confidence_that_looks_like_a_fraction_is_refused_with_a_message_and_kept(
    intake: Intake, rows: Rows, fraction: Any
) -> None:
    with pytest.raises(InvalidSignal, match="looks like a fraction: write"):
        intake.record(signal(confidence=fraction), source="test")

    assert [row["code"] for row in rows("SELECT code FROM refusal")] == ["invalid_signal"]


def test_a_broker_that_was_away_at_the_start_turns_nothing_off(core: Core, processes: Processes) -> None:
    core.exchange.kill9()
    processes.start(core, "work", "argo")
    processes.start(core, "keep")
    row = core.record_signal(signal())
    core.dispatcher.enqueue([row])
    until(lambda: core.execution(row.execution_id)["reason_code"] == "broker_away", within_s=30)

    core.exchange.start()
    core.prices(AAPL=100)

    until(lambda: core.execution(row.execution_id)["order_id"], within_s=30)


def test_a_configuration_that_cannot_be_read_does_not_start(core: Core, processes: Processes) -> None:
    core.executors_path.write_text("[executors.argo]\nauto_execute = true\n")

    for command in (["work", "argo"], ["keep"], ["produce"]):
        process = processes.start(core, *command)
        assert process.wait(30) == 2
        assert "auto_execute" in processes.said(process)


def test_an_open_position_does_not_stop_its_own_close(core: Core) -> None:
    core.run(core.send(quantity=7))
    core.filled_at_exchange()
    core.follower().run_once()

    closed = core.run(core.send("AAPL", "SELL"))

    assert (closed["role"], closed["side"], closed["quantity"]) == ("exit", "sell", 7)
    core.filled_at_exchange(2)
    assert core.runtimes["argo"].broker.position("AAPL") is None


def test_an_entry_that_comes_while_the_market_is_closed_is_executed_at_the_open(make_core: Make) -> None:
    core = make_core(changed_toml(closed='"hold"', entry_age_s="60"))
    core.prices(AAPL=100)
    clock(core, MONDAY_EVENING)
    opening = MarketOpen(core.record, core.runtimes["argo"])
    held = core.send()
    assert (core.run(held)["state"], core.execution(held)["reason_code"]) == ("held", "market_closed")
    assert opening.run_once() == 0

    clock(core, "2026-11-24T09:30:01-05:00")

    until(opening.run_once)
    core.sweep.run_once()
    assert core.queues.depth("argo") == 1
    assert core.run(held)["order_id"] is not None


def test_a_halt_is_lifted_by_a_person_and_by_nothing_else(make_core: Make) -> None:
    core = make_core(limited())
    hold(core)
    lose(core, 5000)
    look(core)
    assert switches(core) == [("halted", "daily_loss")]
    core.close()

    # The account has its money back, and all processes start again.
    again = make_core(limited())
    lose(again, -20_000)
    look(again)
    refused = again.run(again.send("MSFT"))
    with pytest.raises(NotPossible, match="--why"):
        Switches(again.record).resume("argo", by="ann", why=None)

    assert (refused["state"], refused["reason_code"]) == ("skipped", "halted_daily_loss")
    assert (refused["reason_facts"]["lost"], refused["reason_facts"]["allowed"]) == ("5000.00", "5000.00")
    Switches(again.record).resume("argo", by="ann", why="looked at it")
    assert again.run(again.send("MSFT"))["order_id"] is not None


def test_an_executor_that_can_never_trade_a_signal_of_its_source_is_named_at_the_start(
    make_core: Make, processes: Processes
) -> None:
    core = make_core(
        executor_toml() + executor_toml("prop_firm").replace("[executors.prop_firm.route]", _ONLY_FUNDS, 1)
    )

    [problem] = untraded_source_problems("replay", core.executors)

    assert problem.key == "executors.prop_firm.route.symbols"
    assert "AAPL" in problem.message
    producer = processes.start(core, "produce", TRADEWIRE_SOURCE="replay")
    until(lambda: "source.never_traded" in processes.said(producer))


def test_a_signal_that_can_never_execute_is_not_counted_as_an_opportunity(core: Core) -> None:
    for symbol in ("BTC/USD", "ETH/USD", "MSFT"):
        assert core.run(core.send(symbol, "SELL"))["reason_code"] == "no_position"

    counted = report(core.record).to_json()["by_executor"]["argo"]["exchange"]
    assert (counted["executions"], counted["eligible"], counted["execution_rate"]) == (3, 0, None)
    assert core.orders() == []


_ONLY_FUNDS = '[executors.prop_firm.route]\nsymbols = ["SPY", "QQQ"]'
