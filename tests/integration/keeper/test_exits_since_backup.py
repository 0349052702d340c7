"""After a restore, an exit gets out, whatever was sent after the backup and is not in the record yet."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.model.orders import OrderSide
from tests.factories import Core
from tests.integration.keeper.reconciling import found, reconcile, trade_by_hand
from tests.integration.keeper.test_orders_since_backup import holdings, restored, sent
from tests.integration.limited_stage import filled, follow_to


@pytest.mark.parametrize("kind", ["unauthorized", "5xx_before", "garbage_before"])
def test_an_exit_without_a_price_is_adopted_while_market_data_cannot_be_read(core: Core, kind: str) -> None:
    filled(core, strategy="alpha", quantity=3)
    execution_id = core.send("AAPL", "SELL", intent="close", strategy="alpha", entry_price=None)
    restored(core)
    terms: dict[str, Any] = {"side": OrderSide.SELL, "position_intent": "sell_to_close"}
    sent(core, execution_id, fills=False, type="market", limit_price=None, **terms)
    core.faults({"on": "prices", "kind": kind})

    reconcile(core)

    row = core.execution(execution_id)
    assert (row["state"], row["role"], row["reference_price"]) == ("accepted", "exit", 0)
    assert core.rows("SELECT executor_id FROM account_refusal") == []


@pytest.mark.parametrize(("action", "changes"), [("SELL", {}), ("SELL", {"intent": "close"}), ("FLAT", {})])
def test_an_exit_waits_for_the_reconcile_while_the_record_lacks_what_its_own_entry_bought(
    core: Core, action: str, changes: dict[str, Any]
) -> None:
    entry_id = core.send(strategy="alpha", stop_price=90)
    exit_id = core.send("AAPL", action, strategy="alpha", **changes)
    restored(core)
    sent(core, entry_id)
    core.run(entry_id)
    row = core.run(exit_id)
    assert (row["state"], row["reason_code"]) == ("held", "not_reconciled")

    reconcile(core)
    core.run(exit_id)

    follow_to(core, exit_id, "filled")
    assert (holdings(core), found(core)) == ([], [])
    assert [order["side"] for order in core.orders()] == ["buy", "sell"]


def test_an_exit_of_a_position_that_tradewire_never_opened_is_skipped_after_the_reconcile(core: Core) -> None:
    trade_by_hand(core, 3)
    exit_id = core.send("AAPL", "SELL", intent="close", strategy="alpha")
    restored(core)
    assert core.run(exit_id)["reason_code"] == "not_reconciled"

    reconcile(core)

    row = core.run(exit_id)
    assert (row["state"], row["reason_code"]) == ("skipped", "no_position")


def test_an_exit_does_not_wait_for_the_reconcile_if_the_record_explains_the_position(core: Core) -> None:
    filled(core, strategy="beta", quantity=3)
    other_id = core.send("AAPL", "SELL", intent="close", strategy="alpha")
    own_id = core.send("AAPL", "SELL", intent="close", strategy="beta")
    restored(core)

    assert core.run(other_id)["reason_code"] == "no_position"
    assert core.run(own_id)["state"] == "accepted"
