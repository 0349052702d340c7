"""Each refusal is stored with its reason, and a refusal of the broker with the broker's message."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from structlog.testing import capture_logs

from pipeline.model.reason_catalogue import CATALOGUE
from pipeline.model.reasons import Code
from pipeline.views.history import signal_history
from tests.factories import Core, executor_toml, until

Make = Callable[..., Core]


def poor(core: Core, cash: str = "0") -> None:
    """Set the account's cash, and read the account."""
    core.exchange.admin("accounts", {"key": "argo", "cash": cash})
    core.runtimes["argo"].snapshots.read()


def test_every_refusal_has_its_own_reason_with_figures_and_a_remedy(core: Core) -> None:
    core.exchange.admin("assets", {"TSLA": {"tradable": False}})
    core.faults({"on": "submit", "kind": "reject", "symbol": "QA", "message": "wash trade"})
    poor(core, "20")

    refused = [
        core.execution(core.send(confidence=75 - 0.1)),
        core.run(core.send("MSFT", "SELL")),
        core.run(core.send("AAPL")),
        core.run(core.send("TSLA")),
        core.run(core.send(generated_at="2026-01-01T00:00:00Z")),
        core.run(core.send("QA", entry_price=1)),
    ]

    assert [row["reason_code"] for row in refused] == [
        "confidence_below_minimum",
        "no_position",
        "buying_power_used_up",
        "asset_not_tradable",
        "too_old",
        "rejected_by_broker",
    ]
    assert all(row["reason_facts"] for row in refused)
    assert len({CATALOGUE[Code(row["reason_code"])].says for row in refused}) == len(refused)


@pytest.mark.parametrize("status", [403, 422])
def test_the_status_and_words_of_the_broker_are_kept_with_the_execution_and_its_attempt(
    core: Core, status: int
) -> None:
    core.faults({"on": "submit", "kind": "reject", "status": status, "message": "short sale restricted"})

    execution = core.run(core.send())

    assert (execution["reason_facts"]["http"], execution["reason_facts"]["says"]) == (status, "short sale restricted")
    assert [(row["outcome"], row["message"]) for row in core.rows("SELECT * FROM attempt")] == [
        ("rejected", "short sale restricted")
    ]


def test_a_refusal_of_the_broker_is_logged(core: Core) -> None:
    core.faults({"on": "submit", "kind": "reject", "message": "no"})

    with capture_logs() as logs:
        core.run(core.send())

    [said] = [entry for entry in logs if entry["event"] == "execution.rejected"]
    assert said["log_level"] == "warning"
    assert "says=no" in said["reason"]


def test_unreadable_failed_and_refused_are_three_different_answers(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = core.run(core.send("MSFT", "SELL"))
    core.rows("DELETE FROM account_snapshot")
    core.faults({"on": "account", "kind": "garbage_before"})
    unread = core.run(core.send("AAPL"))
    core.faults({"on": "account", "kind": "5xx_before"})
    away = core.run(core.send("QA"))
    core.faults()
    recipe = core.recipe(worker="broken")
    monkeypatch.setattr(type(recipe.check.inputs), "read", lambda *_: 1 / 0)
    broken = core.send("QB")
    recipe.run(broken)

    ends = [(row["state"], row["reason_code"]) for row in (refused, unread, away, core.execution(broken))]
    assert ends == [
        ("skipped", "no_position"),
        ("held", "account_unreadable"),
        ("held", "broker_away"),
        ("dead", "internal_error"),
    ]


@pytest.mark.parametrize("kind", ["429", "5xx_before", "drop_before", "garbage_before"])
def test_one_bad_answer_loses_no_signal(core: Core, kind: str) -> None:
    core.faults({"on": "submit", "kind": kind, "count": 1})
    execution_id = core.send()
    first = core.run(execution_id)

    def sent() -> Any:
        # The keeper looks an unknown order up only when it is due.
        core.unknowns.run_once()
        if core.state(execution_id) == "held":
            core.due_now(execution_id)
        return core.run(execution_id)["order_id"]

    assert first["state"] in ("held", "unknown")
    until(sent)
    assert [order["client_order_id"] for order in core.orders()] == [f"tw-{execution_id}-1"]


def test_an_account_without_money_gets_no_orders_and_each_signal_has_its_reason(core: Core) -> None:
    poor(core)

    ends = [core.run(core.send(f"Q{chr(65 + number)}")) for number in range(10)]

    assert {row["reason_code"] for row in ends} == {"buying_power_used_up"}
    assert all(row["reason_facts"]["limit"] == "0.00" for row in ends)
    assert core.orders() == []


def test_a_reason_has_the_figures_of_the_moment_of_the_decision(core: Core) -> None:
    poor(core)
    execution_id = core.send()
    core.run(execution_id)
    told = signal_history(core.record, execution_id).to_json()["executions"][0]

    poor(core, "1000000")

    assert signal_history(core.record, execution_id).to_json()["executions"][0]["moves"] == told["moves"]
    assert "limit=0.00" in told["moves"][-1]["reason"]


@pytest.mark.parametrize("order", ['type = "limit"', 'type = "market"'])
@pytest.mark.parametrize("given", [{}, {"stop_price": 97}, {"target_price": 105}])
def test_an_order_needs_neither_a_stop_nor_a_target(make_core: Make, order: str, given: dict[str, Any]) -> None:
    core = make_core(executor_toml(order=order))
    core.prices(AAPL=100)

    assert core.run(core.send(**given))["order_id"] == core.orders()[0]["id"]
