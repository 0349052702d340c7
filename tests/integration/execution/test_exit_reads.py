"""An exit does not wait for a read that only entries need."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.factories import Core
from tests.integration.limited_stage import changed_toml, filled

Make = Callable[..., Core]


@pytest.fixture
def held(make_core: Make) -> Core:
    """A core with market orders and a limit on price drift. It holds AAPL, and read the account ten minutes ago."""
    core = make_core(changed_toml(factory={"order": 'type = "market"'}, price_drift_percent="5"))
    core.prices(AAPL=100)
    filled(core)
    core.rows("UPDATE account_snapshot SET taken_at = taken_at - interval '10 minutes'")
    core.rows("UPDATE asset SET read_at = read_at - interval '1 day'")
    core.runtimes["argo"].assets._kept.clear()
    return core


def struck(core: Core) -> int:
    return sum(fault.get("hits", 0) for fault in core.exchange.admin("faults")["faults"])


@pytest.mark.parametrize("on", ["prices", "account", "assets"])
@pytest.mark.parametrize("kind", ["garbage_before", "5xx_before", "drop_before"])
def test_an_exit_goes_without_what_only_entries_need(held: Core, on: str, kind: str) -> None:
    held.faults({"on": on, "kind": kind})

    leave = held.run(held.send("AAPL", "SELL"))

    assert leave["order_id"] is not None
    assert struck(held) == 0


def test_a_sale_that_cannot_open_a_position_reads_no_price(held: Core) -> None:
    held.faults({"on": "prices", "kind": "5xx_before"})

    leave = held.run(held.send("MSFT", "SELL"))

    assert leave["reason_code"] == "no_position"
    assert struck(held) == 0


def test_an_exit_reads_a_clock_that_may_not_hold_any_more(held: Core) -> None:
    held.rows("UPDATE account_snapshot SET clock = clock || jsonb_build_object('read_at', now() - interval '1 hour')")
    held.faults({"on": "clock", "kind": "5xx_before"})

    leave = held.run(held.send("AAPL", "SELL"))

    # The older reading is still valid, so the failed read is no reason to wait.
    assert leave["order_id"] is not None
    assert struck(held) == 1


def spend(core: Core, count: int) -> None:
    """Record that the account has used *count* requests in this minute."""
    slots = [count] + [0] * 62
    core.rows("UPDATE request_budget SET slots = %s, second = floor(extract(epoch FROM clock_timestamp()))", [slots])


def spent(core: Core) -> int:
    return int(core.rows("SELECT (SELECT sum(n) FROM unnest(slots) AS n) AS spent FROM request_budget")[0]["spent"])


def test_no_read_of_an_exit_takes_the_last_request_which_its_order_needs(make_core: Make) -> None:
    core = make_core(changed_toml(requests_per_minute="200"))
    core.prices(AAPL=100)
    filled(core)
    leave = core.send("AAPL", "SELL")
    spend(core, 199)

    waits = core.run(leave)

    assert (waits["state"], waits["reason_code"], spent(core)) == ("held", "rate_budget", 199)
    spend(core, 198)
    core.due_now(leave)
    assert core.run(leave)["order_id"] is not None
    assert spent(core) == 200
