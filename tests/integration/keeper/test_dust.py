"""The keeper ends exits of quantities that are too small for any order at the broker."""

from __future__ import annotations

from typing import Any

from pipeline.model.switches import SwitchKind
from tests.factories import Core, executor_toml
from tests.integration.keeper.test_stops import bought, closing, flat, stops, turn


def test_flatten_ends_although_dust_is_left_and_tries_it_once(make_core: Any) -> None:
    core: Core = make_core(executor_toml().replace('method = "quantity"', 'fractional = true\nmethod = "quantity"'))
    bought(core, quantity=1.65)
    core.exchange.admin("assets", {"AAPL": {"fractionable": False}})
    core.rows("DELETE FROM asset")
    core.runtimes["argo"].assets._kept.clear()

    turn(core, SwitchKind.HALTED, flatten=True)
    flat(core, stops(core))

    assert [(order["side"], order["qty"]) for order in core.orders()] == [("buy", "1.65"), ("sell", "1")]
    assert [(row["state"], row["reason_code"]) for row in closing(core)] == [("filled", "dust"), ("skipped", "dust")]
