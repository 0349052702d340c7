"""`tradewire exchange fault` at a real paper exchange."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from pipeline.model.errors import ConfigInvalid, NotPossible
from tests.command import app
from tests.exchange_fixtures import TOKEN, ExchangeProcess
from tests.integration.exchange.test_exchange_faults import accepted, submit
from tests.waiting import until

SHIPPED = Path(__file__).parents[3] / "config/executors.toml"


@pytest.fixture(autouse=True)
def shell(exchange_process: ExchangeProcess, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TRADEWIRE_HOME", str(tmp_path))
    monkeypatch.setenv("TRADEWIRE_EXECUTORS", str(SHIPPED))
    monkeypatch.setenv("TRADEWIRE_EXCHANGE_URL", exchange_process.url)
    monkeypatch.setenv("TRADEWIRE_EXCHANGE_TOKEN", TOKEN)


def fault(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["exchange", "fault", *arguments])


def test_a_fault_hits_orders_until_it_is_ended(exchange_process: ExchangeProcess) -> None:
    assert fault("5xx_after").stdout == "5xx_after on submit, probability 1.0 for 60 s\n"
    assert submit(exchange_process, "kept").status_code == 504

    assert fault("none").stdout == "ended 1 fault; no fault is active\n"
    assert fault("none").stdout == "ended 0 faults; no fault is active\n"
    assert submit(exchange_process, "well").status_code == 200
    assert accepted(exchange_process) == {"kept", "well"}


def test_a_fault_ends_by_itself(exchange_process: ExchangeProcess) -> None:
    fault("unauthorized", "--for", "1")

    until(lambda: submit(exchange_process, "later").status_code == 200, 10)
    assert "unauthorized" not in fault("5xx_before").stdout


def test_faults_add_up_and_one_may_be_of_one_account_and_of_a_part_of_its_requests(
    exchange_process: ExchangeProcess,
) -> None:
    fault("latency", "--on", "any", "--for", "900")
    said = fault("reject", "--executor", "argo", "--probability", "0.5").stdout

    assert said.splitlines() == [
        "latency on any, probability 1.0 for 900 s",
        "reject on submit of argo, probability 0.5 for 60 s",
    ]
    # This order is another account's, which the fault of argo does not hit.
    assert submit(exchange_process, "well").status_code == 200


@pytest.mark.parametrize("arguments", [["5xx"], ["reject", "--executor", "bogus"]])
def test_a_name_that_does_not_exist_is_refused(arguments: list[str]) -> None:
    assert isinstance(fault(*arguments).exception, ConfigInvalid)


def test_an_exchange_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRADEWIRE_EXCHANGE_URL", "http://127.0.0.1:1")

    answer = fault("none")

    assert isinstance(answer.exception, NotPossible)
    assert "http://127.0.0.1:1" in str(answer.exception)
