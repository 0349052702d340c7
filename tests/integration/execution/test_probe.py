"""A probe takes all steps of a signal, measures them, and leaves the account unchanged."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.core_fixtures import Processes
from tests.factories import Core, executor_toml, until
from workers.probe import STEPS

#: An executor that accepts only one strategy and refuses repeats and additions. None of these checks applies to a
#: probe.
STRICT = (
    executor_toml(minimum_confidence=99)
    .replace('repeat_window_s = "off"', "repeat_window_s = 600")
    .replace('pyramiding = "off"', "pyramiding = 1")
    .replace("minimum_confidence = 99", 'minimum_confidence = 99\nstrategies = ["consensus"]')
)


@pytest.fixture
def strict(make_core: Callable[..., Core]) -> Core:
    made = make_core(STRICT)
    made.prices(AAPL=100, MSFT=50, IBM=20)
    return made


def at_work(core: Core, processes: Processes) -> None:
    """Start a worker and a keeper, and wait for their heartbeats."""
    processes.start(core, "work", "argo")
    processes.start(core, "keep")
    until(lambda: len(core.rows("SELECT 1 FROM heartbeat")) == 2, within_s=60)


def probed(core: Core, processes: Processes, *arguments: str, ends: int = 0) -> dict[str, Any]:
    """Run `tradewire probe argo`, which must exit with the code *ends*, and return its output."""
    process = processes.start(core, "probe", "argo", "--json", *(arguments or ("--wait", "60")))
    assert process.wait(110) == ends, processes.said(process)
    body: dict[str, Any] = json.loads(processes.said(process))
    return body


def test_a_probe_buys_one_unit_times_each_step_and_sells_it_again(strict: Core, processes: Processes) -> None:
    at_work(strict, processes)
    first = probed(strict, processes)
    again = probed(strict, processes, "--symbol", "AAPL", "--wait", "60")

    times = [first["after_ms"][step] for step in STEPS]
    assert first["ok"]
    assert (first["status"], first["closed"], first["symbol"]) == ("filled", "filled", "AAPL")
    assert times == sorted(times)
    assert times[0] == 0
    assert again["status"] == "filled", "repeat checks skip probes"
    assert [order["side"] for order in strict.orders()] == ["buy", "sell", "buy", "sell"]
    assert {order["type"] for order in strict.orders() if order["side"] == "buy"} == {"limit"}
    assert strict.runtimes["argo"].broker.positions() == []
    assert {row["source"] for row in strict.rows("SELECT source FROM signal")} == {"tradewire:probe"}


def test_a_probe_does_not_make_a_strategys_entry_a_repeat(strict: Core, processes: Processes) -> None:
    at_work(strict, processes)
    probed(strict, processes)
    # The last reading of the account may show the position between the probe's two orders.
    strict.rows("DELETE FROM account_snapshot")

    entry = strict.send(confidence=100, strategy="consensus")

    # The entry is held while the last reading of the account lacks the probe's fills.
    until(lambda: strict.due_now(entry) or strict.run(entry)["order_id"] is not None)


def test_a_probe_never_marketable_is_canceled_and_buys_nothing(strict: Core, processes: Processes) -> None:
    at_work(strict, processes)
    body = probed(strict, processes, "--never-marketable", "--wait", "60")

    (order,) = strict.orders()
    assert body["ok"]
    assert (body["status"], order["status"], order["filled_qty"]) == ("canceled", "canceled", "0")
    assert float(order["limit_price"]) < 51


def test_a_probe_takes_a_symbol_that_the_account_does_not_hold(strict: Core, processes: Processes) -> None:
    strict.run(strict.send(confidence=100, strategy="consensus"))
    at_work(strict, processes)
    until(lambda: strict.rows("SELECT 1 FROM account_snapshot WHERE positions::text LIKE '%AAPL%'"))

    assert probed(strict, processes)["symbol"] == "MSFT"


def test_without_a_worker_a_probe_says_how_far_it_came_and_is_not_sent_later(
    strict: Core, processes: Processes
) -> None:
    strict.rows("DELETE FROM reconciliation")
    body = probed(strict, processes, "--wait", "1", ends=1)
    strict.run(body["execution_id"])

    assert len(strict.rows("SELECT 1 FROM reconciliation")) == 1, "no keeper runs, so the probe compares the account"
    assert not body["ok"]
    assert body["status"] == "queued"
    assert body["after_ms"]["taken"] is None
    assert strict.execution(body["execution_id"])["reason_code"] == "expired_signal"
    assert strict.orders() == []


def test_a_halted_account_refuses_a_probe_and_says_so(strict: Core, processes: Processes) -> None:
    halted = processes.start(strict, "halt", "argo", "--why", "testing")
    assert halted.wait(30) == 0
    at_work(strict, processes)

    body = probed(strict, processes, ends=1)
    assert (body["status"], body["reason"].split()[0]) == ("skipped", "halted")


def test_beyond_the_paper_exchange_a_probe_must_be_asked_never_to_trade(
    make_core: Callable[..., Core], processes: Processes
) -> None:
    toml = executor_toml(top='base_url = "https://paper-api.alpaca.markets"').replace('"exchange"', '"paper"')
    path = processes.folder / "paper.toml"
    path.write_text(toml)
    core = make_core()
    keys = {"ARGO_API_KEY": "k", "ARGO_API_SECRET": "s", "TRADEWIRE_EXECUTORS": str(path)}
    process = processes.start(core, "probe", "argo", **keys)

    assert process.wait(30) == 2
    assert "--never-marketable" in processes.said(process)
    assert core.rows("SELECT 1 FROM signal") == []
