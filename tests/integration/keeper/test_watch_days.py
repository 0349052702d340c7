"""The day's start and the peak over new days, transfers and renames, with an account at the paper exchange."""

from __future__ import annotations

import pytest

from tests.factories import Core, until
from tests.integration.watching import Settings, baseline, hold, limited, look, lose, switches, watch
from workers.account.snapshots import Snapshots
from workers.keeper.equity_monitor import EquityMonitor


@pytest.fixture
def argo(make_core: Settings) -> Core:
    core = make_core(limited())
    hold(core)
    return core


def test_the_first_reading_of_an_account_begins_its_day_with_the_brokers_figure(make_core: Settings) -> None:
    core = make_core(limited())
    core.exchange.admin("accounts", {"key": "argo", "last_equity": "103000"})

    core.runtimes["argo"].snapshots.read()

    row = baseline(core)
    assert (row["equity"], row["start_equity"], row["peak_equity"]) == (100_000, 103_000, 103_000)
    assert row["start_from"] == "broker"


def test_a_worker_that_reads_first_records_a_baseline(make_core: Settings) -> None:
    core = make_core(limited())

    core.run(core.send())

    assert baseline(core)["start_equity"] == 100_000


def a_day_later(core: Core) -> None:
    """Move the recorded day one day back, as if the last reading had been yesterday."""
    core.rows("UPDATE account_day SET day = day - 1, started_at = started_at - interval '1 day'")
    core.rows("UPDATE account_watch SET day = day - 1, read_at = read_at - interval '1 day'")
    core.rows("UPDATE switch SET set_at = set_at - interval '1 day'")


def test_a_new_day_begins_and_ends_what_the_days_loss_had_reduced(argo: Core) -> None:
    lose(argo, 4600)
    watching = look(argo)
    a_day_later(argo)

    look(argo, watching)

    row = baseline(argo)
    assert (row["start_equity"], row["start_from"], row["warned"]) == (95_400, "watched", [])
    assert switches(argo) == []
    days = argo.rows("SELECT last_equity FROM account_day ORDER BY day")
    assert [day["last_equity"] for day in days] == [95_400, 95_400]


@pytest.mark.parametrize(("next_day", "left"), [("stay", [("halted", "daily_loss")]), ("resume", [])])
def test_a_new_day_ends_a_halt_by_daily_loss_only_where_that_is_configured(
    make_core: Settings, next_day: str, left: list[tuple[str, str]]
) -> None:
    core = make_core(limited(next_day=f'"{next_day}"'))
    hold(core)
    lose(core, 5100)
    watching = look(core)
    a_day_later(core)

    look(core, watching)

    assert switches(core) == left


def test_a_new_day_ends_no_halt_whose_positions_are_not_closed_yet(make_core: Settings) -> None:
    core = make_core(limited(next_day='"resume"', on_breach='"flatten"'))
    hold(core)
    lose(core, 5100)
    watching = look(core)
    a_day_later(core)

    look(core, watching)
    assert switches(core) == [("halted", "daily_loss")]

    core.rows("UPDATE switch SET flatten = false, flattened_at = now()")
    look(core, watching)
    assert switches(core) == []


def test_a_halt_by_drawdown_outlives_the_day_whatever_is_configured(make_core: Settings) -> None:
    core = make_core(limited(daily='"off"', drawdown=5, next_day='"resume"'))
    hold(core)
    lose(core, 5100)
    watching = look(core)
    a_day_later(core)

    look(core, watching)

    assert switches(core) == [("halted", "drawdown")]


def test_a_loss_while_no_keeper_ran_over_the_start_of_the_day_is_the_new_days(argo: Core) -> None:
    look(argo)
    a_day_later(argo)
    argo.rows("UPDATE account_watch SET read_at = (SELECT started_at + interval '23 hours' FROM account_day)")
    lose(argo, 5100)

    look(argo)

    assert baseline(argo)["start_equity"] == 100_000
    assert switches(argo) == [("halted", "daily_loss")]


def test_deposits_and_withdrawals_move_the_day_and_the_peak_once_and_stop_no_account(argo: Core) -> None:
    watching = look(argo)

    argo.exchange.admin("accounts", {"key": "argo", "deposit": "-50000"})
    look(argo, watching)
    row = baseline(argo)
    assert (row["equity"], row["start_equity"], row["start_balance"]) == (50_000, 50_000, 50_000)
    assert (row["peak_equity"], switches(argo)) == (50_000, [])

    argo.exchange.admin("accounts", {"key": "argo", "deposit": "150000"})
    for _ in range(3):
        look(argo, watch(argo))
    row = baseline(argo)
    assert (row["equity"], row["start_equity"], row["peak_equity"]) == (200_000, 200_000, 200_000)


def test_a_deposit_hides_no_loss(argo: Core) -> None:
    watching = look(argo)
    argo.exchange.admin("accounts", {"key": "argo", "deposit": "10000"})
    lose(argo, 5600)

    look(argo, watching)

    # The loss of 5,600 is more than 5 percent of 110,000.
    assert switches(argo) == [("halted", "daily_loss")]


def test_an_account_whose_transfers_cannot_be_listed_is_stopped_all_the_same(argo: Core) -> None:
    argo.faults({"on": "activities", "kind": "5xx_before"})
    lose(argo, 5100)

    look(argo)

    assert switches(argo) == [("halted", "daily_loss")]


def test_a_renamed_executor_keeps_its_day_its_peak_and_its_halt(make_core: Settings) -> None:
    core = make_core(limited())
    hold(core)
    lose(core, 5100)
    look(core)
    before = baseline(core)

    renamed = make_core(limited().replace("executors.argo", "executors.nautilus"))
    runtime = renamed.runtimes["nautilus"]
    number = before["holder"]
    Snapshots(renamed.record, runtime.executor, core.runtimes["argo"].broker).read()
    until(lambda: renamed.rows("SELECT * FROM account_snapshot WHERE executor_id = 'nautilus'"))
    EquityMonitor(record=renamed.record, runtime=runtime, who="test keeper").run_once()

    after = baseline(renamed)
    assert {name: after[name] for name in ("holder", "day", "start_equity", "peak_equity")} == {
        name: before[name] for name in ("holder", "day", "start_equity", "peak_equity")
    }
    assert renamed.rows("SELECT holder, kind FROM switch") == [{"holder": number, "kind": "halted"}]
