"""A limit counts orders by account number, so renaming an executor does not reset it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pipeline.accounts.limit_usage import headroom
from tests.factories import Core, until
from tests.integration.execution.test_circuit import refused, run
from tests.integration.limited_stage import changed_toml

Make = Callable[..., Core]


@pytest.fixture
def rename(make_core: Make, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Core]:
    """Return a function that opens the account of `argo` as the executor `argus`."""
    monkeypatch.setenv("ARGUS_API_KEY", "argo")
    monkeypatch.setenv("ARGUS_API_SECRET", "paper-exchange")

    def make(**limits: str) -> Core:
        renamed = make_core(changed_toml("argus", **limits))
        renamed.prices(AAPL=100, MSFT=100)
        return renamed

    return make


def reason_at_new_name(core: Core, symbol: str = "AAPL") -> str | None:
    execution_id = core.send(symbol, executor="argus")
    return str(core.run(execution_id, "argus")["reason_code"])


def test_orders_per_day_count_under_the_next_name(make_core: Make, rename: Callable[..., Core]) -> None:
    limits = {"pyramiding": '"off"\norders_per_day = 2'}
    core = make_core(changed_toml(**limits))
    run(core, "AAPL")
    run(core, "MSFT")
    renamed = rename(**limits)

    assert reason_at_new_name(renamed, "IBM") == "orders_per_day_limit"
    renamed.follower("argus").run_once()
    (used,) = [each.used for each in headroom(renamed.record, renamed.executors) if each.limit == "orders_per_day"]
    assert used == 2


def test_a_repeat_is_one_under_the_next_name(make_core: Make, rename: Callable[..., Core]) -> None:
    limits = {"repeat_window_s": "600"}
    core = make_core(changed_toml(**limits))
    first = run(core, "AAPL")
    core.filled_at_exchange()
    until(lambda: core.follower().run_once() or core.state(first) == "filled")

    assert reason_at_new_name(rename(**limits)) == "repeated_idea"


def test_the_circuit_of_rejections_stays_open_under_the_next_name(make_core: Make, rename: Callable[..., Core]) -> None:
    limits = {"pyramiding": '"off"\nconsecutive_rejections = 2'}
    core = make_core(changed_toml(**limits))
    refused(core, "QA")
    refused(core, "QB")

    assert reason_at_new_name(rename(**limits)) == "rejections_in_a_row"


def test_another_account_under_the_same_name_begins_anew(make_core: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = {"pyramiding": '"off"\norders_per_day = 1'}
    core = make_core(changed_toml(**limits))
    run(core, "AAPL")
    monkeypatch.setenv("ARGO_API_KEY", "another")
    monkeypatch.setenv("ARGO_API_SECRET", "paper-exchange")
    other = make_core(changed_toml(**limits))
    other.runtimes["argo"].snapshots.read()

    assert other.execution(run(other, "MSFT"))["order_id"] is not None
