"""The equity monitor with an account of the paper exchange and fixed prices."""

from __future__ import annotations

from decimal import Decimal

import pytest

from pipeline.model.orders import OrderRequest, OrderSide
from pipeline.store.statements import sql
from tests.factories import Core, executor_toml, until
from tests.integration.watching import Settings, baseline, hold, limited, look, lose, switches, turns, watch
from workers.brokers.protocol import Accepted
from workers.keeper.equity_monitor import EquityMonitor


@pytest.fixture
def argo(make_core: Settings) -> Core:
    core = make_core(limited())
    hold(core)
    return core


def test_the_ladder_warns_reduces_and_halts_as_equity_falls_without_a_signal(
    argo: Core,
) -> None:
    watching = look(argo)

    lose(argo, 3500)
    look(argo, watching)
    assert (baseline(argo)["warned"], switches(argo)) == (["daily_loss"], [])

    lose(argo, 4500)
    look(argo, watching)
    assert switches(argo) == [("reducing", "daily_loss")]

    lose(argo, 5001)
    look(argo, watching)
    assert ("halted", "daily_loss") in switches(argo)
    (halt,) = argo.rows("SELECT * FROM switch WHERE kind = 'halted'")
    assert halt["facts"] == {
        "lost": "5001.00",
        "allowed": "5000.00",
        "percent": "100.0",
        "day_start_equity": "100000.00",
    }
    assert (halt["flatten"], halt["set_by"]) == (False, "test keeper")
    assert halt["holder"] == baseline(argo)["holder"]


def test_a_limit_warns_once_a_day(argo: Core) -> None:
    lose(argo, 3600)
    look(argo)
    lose(argo, 100)
    look(argo)
    lose(argo, 3700)
    look(argo)

    assert baseline(argo)["warned"] == ["daily_loss"]


def test_reducing_ends_below_seventy_percent_and_not_before(argo: Core) -> None:
    lose(argo, 4600)
    watching = look(argo)
    lose(argo, 3600)
    look(argo, watching)
    assert switches(argo) == [("reducing", "daily_loss")]

    lose(argo, 3400)
    look(argo, watching)

    assert (switches(argo), turns(argo)) == ([], [("on", "reducing"), ("off", "reducing")])


def test_a_halt_stays_when_equity_recovers_and_a_new_keeper_finds_it(argo: Core) -> None:
    lose(argo, 5100)
    look(argo)
    lose(argo, 0)

    look(argo, watch(argo))

    assert switches(argo) == [("halted", "daily_loss")]


def test_a_breach_asks_to_flatten_where_that_is_configured(make_core: Settings) -> None:
    core = make_core(limited(on_breach='"flatten"'))
    hold(core)
    lose(core, 5100)

    look(core)

    (halt,) = core.rows("SELECT * FROM switch")
    assert (halt["kind"], halt["flatten"]) == ("halted", True)


def test_a_person_who_lifts_a_halt_is_not_overruled_by_the_same_breach(argo: Core) -> None:
    lose(argo, 5100)
    watching = look(argo)
    argo.rows("DELETE FROM switch")

    lose(argo, 5200)
    look(argo, watching)
    assert switches(argo) == [("reducing", "daily_loss")]

    # The loss falls below the limit, so the next breach is a new one.
    lose(argo, 4900)
    look(argo, watching)
    lose(argo, 5100)
    look(argo, watching)
    assert ("halted", "daily_loss") in switches(argo)


def test_a_drawdown_is_counted_from_the_highest_equity(make_core: Settings) -> None:
    core = make_core(limited(daily='"off"', drawdown=2))
    hold(core)
    lose(core, -3000)
    watching = look(core)
    lose(core, -1040)

    look(core, watching)

    assert switches(core) == [("reducing", "drawdown")]
    (reducing,) = core.rows("SELECT facts FROM switch")
    assert reducing["facts"] == {
        "lost": "1960.00",
        "allowed": "2060.00",
        "percent": "95.1",
        "peak_equity": "103000.00",
    }


def unreadable(core: Core, watching: EquityMonitor, seconds: int) -> None:
    """Make the account unreadable, as if it had been unreadable for *seconds*."""
    core.faults({"on": "account", "kind": "5xx_before"})
    core.rows("UPDATE account_snapshot SET taken_at = taken_at - interval '6 seconds'")
    watching.run_once()
    core.rows(f"UPDATE account_watch SET unreadable_since = unreadable_since - interval '{seconds} seconds'")
    watching._not_before = 0.0
    watching.run_once()


def test_an_account_that_cannot_be_read_for_half_a_minute_reduces_until_it_can(argo: Core) -> None:
    watching = look(argo)

    unreadable(argo, watching, 25)
    assert switches(argo) == []
    watching._not_before = 0.0
    unreadable(argo, watching, 31)
    assert switches(argo) == [("reducing", "unreadable")]

    argo.faults()
    look(argo, watching)

    assert (switches(argo), baseline(argo)["unreadable_since"]) == ([], None)


def test_an_account_with_nothing_at_risk_may_be_away_for_long(make_core: Settings) -> None:
    core = make_core(limited())
    watching = look(core)

    core.rows("UPDATE account_snapshot SET taken_at = taken_at - interval '61 seconds'")
    unreadable(core, watching, 600)

    assert baseline(core)["unreadable_since"] is not None
    assert switches(core) == []


def accounts_read(core: Core) -> int:
    return sum(fault["hits"] for fault in core.exchange.admin("faults")["faults"])


@pytest.mark.parametrize(("held", "age_s", "reads"), [(100, 3, 0), (100, 5, 1), (0, 5, 0), (0, 61, 1)])
def test_equity_is_read_often_while_something_is_held_and_rarely_else(
    make_core: Settings, held: int, age_s: int, reads: int
) -> None:
    core = make_core(limited())
    if held:
        hold(core)
    watching = look(core)
    core.rows("UPDATE execution SET created_at = created_at - interval '2 minutes'")
    core.rows("UPDATE account_snapshot SET taken_at = clock_timestamp() - %s * interval '1 second'", [age_s])
    core.faults({"on": "account", "kind": "latency", "seconds": 0.0})

    watching.run_once()
    watching.run_once()

    assert accounts_read(core) == reads


@pytest.mark.parametrize(("age_s", "reads"), [(16, 0), (19, 1)])
def test_readings_take_at_most_half_of_a_small_request_limit(make_core: Settings, age_s: int, reads: int) -> None:
    # A reading costs three requests, and readings may use ten of the twenty a minute, so there is one every 18 s.
    core = make_core(limited().replace('requests_per_minute = "off"', "requests_per_minute = 20"))
    hold(core)
    watching = look(core)
    core.rows("UPDATE request_budget SET slots = array_fill(0, ARRAY[63])")
    core.rows("UPDATE account_snapshot SET taken_at = clock_timestamp() - %s * interval '1 second'", [age_s])
    core.faults({"on": "account", "kind": "latency", "seconds": 0.0})

    watching.run_once()

    assert accounts_read(core) == reads


def test_an_executor_without_loss_limits_is_not_read(core: Core) -> None:
    core.faults({"on": "account", "kind": "latency", "seconds": 0.0})

    assert watch(core).run_once() == 0

    assert accounts_read(core) == 0


def test_a_reduced_account_is_released_when_the_limit_is_switched_off(make_core: Settings) -> None:
    core = make_core(limited())
    hold(core)
    lose(core, 4600)
    look(core)
    assert switches(core) == [("reducing", "daily_loss")]

    unlimited = make_core(executor_toml())
    watch(unlimited).run_once()

    assert switches(unlimited) == []


def closed_elsewhere(core: Core, symbol: str = "AAPL") -> None:
    """Sell the whole position at the broker, without tradewire."""
    request = OrderRequest(
        client_order_id=f"by-hand-{symbol}",
        symbol=symbol,
        side=OrderSide.SELL,
        quantity=Decimal(100),
        type="market",
        time_in_force="day",
        limit_price=None,
    )
    assert isinstance(core.runtimes["argo"].broker.submit(request), Accepted)
    until(lambda: core.runtimes["argo"].broker.position(symbol) is None)


def held(core: Core) -> list[tuple[str, Decimal, int]]:
    rows = core.rows("SELECT * FROM holding ORDER BY symbol")
    return [(row["symbol"], row["quantity"], row["entries"]) for row in rows]


def test_a_position_that_somebody_closed_at_the_broker_is_no_longer_held_here(argo: Core) -> None:
    look(argo)
    closed_elsewhere(argo)

    # A reading so soon after a fill may not include it yet.
    look(argo)
    assert held(argo) == [("AAPL", 100, 1)]

    argo.rows("UPDATE holding SET changed_at = changed_at - interval '11 seconds'")
    look(argo)
    assert held(argo) == [("AAPL", 0, 0)]


def test_a_holding_with_an_order_of_ours_open_is_left_alone(argo: Core) -> None:
    closed_elsewhere(argo)
    argo.rows("UPDATE holding SET changed_at = changed_at - interval '11 seconds'")
    argo.rows("UPDATE broker_order SET ended_at = NULL")

    look(argo)

    assert held(argo) == [("AAPL", 100, 1)]


def test_a_holding_is_left_alone_while_a_position_cannot_be_read(argo: Core) -> None:
    closed_elsewhere(argo)
    look(argo)
    argo.rows("UPDATE holding SET changed_at = changed_at - interval '11 seconds'")
    argo.rows("UPDATE account_snapshot SET unreadable = '[\"AAPL\"]'")

    argo.record.do(sql("equity_monitor", "clear_holdings"), {"executor_id": "argo"})

    assert held(argo) == [("AAPL", 100, 1)]
