"""A person's corrections of the baseline, and the headroom of every limit."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from typer.testing import CliRunner

from pipeline.accounts.equity_corrections import correct, read
from pipeline.accounts.limit_usage import Headroom, headroom
from pipeline.model.errors import ConfigInvalid, NotPossible
from pipeline.views.account_schemas import HeadroomView
from tests.command import app
from tests.factories import Core
from tests.integration.watching import Settings, baseline, hold, limited, look, lose, switches


@pytest.fixture
def argo(make_core: Settings) -> Core:
    core = make_core(limited(drawdown=10))
    hold(core)
    return core


@pytest.fixture
def tradewire(argo: Core, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that runs a command with the core's servers, raises its errors, and returns its output."""
    for name, value in (
        ("DATABASE_URL", argo.database_url),
        ("TRADEWIRE_EXECUTORS", str(argo.executors_path)),
        ("TRADEWIRE_HOME", str(argo.settings.home)),
        ("TRADEWIRE_EXCHANGE_URL", argo.exchange.url),
    ):
        monkeypatch.setenv(name, value)

    def run(*arguments: str) -> str:
        result = CliRunner().invoke(app, list(arguments), catch_exceptions=False, standalone_mode=False)
        return result.stdout

    return run


def test_typed_figures_take_the_place_of_ours_and_are_kept_with_who_and_why(argo: Core, tradewire: Any) -> None:
    look(argo)

    printed = json.loads(
        tradewire(
            "baseline", "argo", "--day-start", "101000", "--peak", "104000", "--why", "seen", "--by", "ann", "--json"
        )
    )

    assert (printed["was"]["day_start_equity"], printed["is"]["day_start_equity"]) == ("100000", "101000")
    row = baseline(argo)
    assert (row["start_equity"], row["start_balance"], row["peak_equity"]) == (101_000, 100_000, 104_000)
    assert row["start_from"] == "typed"
    told = argo.rows("SELECT figure, was, became, made_by, why FROM baseline_correction ORDER BY correction_id")
    assert [tuple(each.values()) for each in told] == [
        ("day_start_equity", 100_000, 101_000, "ann", "seen"),
        ("peak_equity", 100_000, 104_000, "ann", "seen"),
    ]


def test_without_a_figure_it_shows_those_in_force_and_changes_nothing(argo: Core, tradewire: Any) -> None:
    look(argo)

    printed = tradewire("baseline", "argo")

    assert "day_start_equity   100000\n" in printed
    assert "(was" not in printed
    assert argo.rows("SELECT * FROM baseline_correction") == []


def test_a_correction_needs_figures_that_are_amounts_and_a_reason(tradewire: Any) -> None:
    with pytest.raises(ConfigInvalid) as refused:
        tradewire("baseline", "argus", "--day-start", "lots", "--peak", "-1")

    assert [problem.key for problem in refused.value.problems] == ["EXECUTOR", "--day-start", "--peak", "--why"]


def test_an_account_that_was_never_read_has_no_baseline(make_core: Settings) -> None:
    core = make_core(limited())

    with pytest.raises(NotPossible, match="the account of argo has not been read yet"):
        read(core.record, core.executors["argo"])


def test_a_corrected_start_ends_a_reducing_that_it_explains_and_lifts_no_halt(argo: Core) -> None:
    lose(argo, 4600)
    watching = look(argo)
    assert switches(argo) == [("reducing", "daily_loss")]
    figures: dict[str, Any] = {"day_start": Decimal(96_000), "peak": None, "by": "ann", "why": "a fee"}
    correct(argo.record, argo.executors["argo"], **figures)

    look(argo, watching)
    assert switches(argo) == []

    lose(argo, 9100)
    look(argo, watching)
    correct(argo.record, argo.executors["argo"], **figures | {"day_start": Decimal(90_900)})
    look(argo, watching)
    assert ("halted", "daily_loss") in switches(argo)


def test_a_deposit_after_a_typed_start_still_moves_it(argo: Core) -> None:
    watching = look(argo)
    figures: dict[str, Any] = {"day_start": Decimal(99_000), "peak": None, "by": "ann", "why": "a fee"}
    correct(argo.record, argo.executors["argo"], **figures)

    argo.exchange.admin("accounts", {"key": "argo", "deposit": "20000"})
    look(argo, watching)

    assert baseline(argo)["start_equity"] == 119_000


def test_headroom_says_of_each_limit_what_is_used_and_left(make_core: Settings) -> None:
    core = make_core(limited(drawdown=10, orders_per_day="4", symbol_exposure_percent="20"))
    hold(core)
    lose(core, 4500)
    look(core)

    rooms = {room.limit: room for room in headroom(core.record, core.executors)}

    def figures(room: Headroom) -> tuple[Decimal, Decimal, Decimal, str]:
        return room.used, room.allowed, room.percent, room.rung.value

    assert {limit: figures(room) for limit, room in rooms.items()} == {
        "daily_loss_percent": (4500, 5000, 90, "reduce"),
        "drawdown_percent": (4500, 10_000, 45, "none"),
        "symbol_exposure_percent": (5500, 19_100, Decimal("28.8"), "none"),
        "orders_per_day": (1, 4, 25, "none"),
    }
    body = HeadroomView.model_validate(rooms["daily_loss_percent"]).to_json()
    assert (body["left"], body["executor_id"], body["account"]) == ("500", "argo", baseline(core)["holder"])


def test_an_account_that_was_never_read_has_no_headroom_to_show(make_core: Settings) -> None:
    core = make_core(limited())

    assert headroom(core.record, core.executors) == []
