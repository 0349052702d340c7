"""Trade at the market, for tests of the commands that show the books."""

from __future__ import annotations

from typing import Any

from tests.factories import Core, executor_toml, until

MARKET = executor_toml(order='type = "market"')


def trade(core: Core, symbol: str, action: str, **changes: Any) -> None:
    execution = core.send(symbol, action, entry_price=100, **changes)
    core.run(execution)
    until(lambda: core.follower().run_once() or core.state(execution) in {"filled", "skipped"})
