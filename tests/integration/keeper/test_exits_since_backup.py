"""After a restore, an exit gets out, whatever was sent after the backup and is not in the record yet."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.model.orders import OrderSide
from tests.factories import Core
from tests.integration.keeper.reconciling import reconcile
from tests.integration.keeper.test_orders_since_backup import restored, sent
from tests.integration.limited_stage import filled


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
