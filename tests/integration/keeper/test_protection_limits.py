"""A stop order protects what is really held, keeps no exit from the broker, and does not outlive its position."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pipeline.model.reasons import Code
from tests.factories import Core, executor_toml, until
from tests.integration.keeper.protecting import protected, protections
from tests.integration.keeper.test_stops import positions

pytestmark = pytest.mark.timeout(120)


def test_a_sale_that_the_stop_has_made_needless_opens_no_short(make_core: Callable[..., Core]) -> None:
    core = make_core(executor_toml(order="allow_short = true"))
    protected(core)
    sale = core.send("AAPL", "SELL", entry_price=89, stop_price=110)
    core.prices(AAPL=89)
    until(lambda: core.follower().run_once() or protections(core)[0]["state"] == "filled")

    core.due_now(sale)
    core.run(sale)

    assert (core.state(sale), core.execution(sale)["reason_code"]) == ("skipped", Code.NO_POSITION)
    assert positions(core) == {}
