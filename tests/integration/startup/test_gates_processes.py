from __future__ import annotations

import json
import signal
from typing import Any

import pytest

from pipeline.model.errors import ConfigInvalid
from pipeline.store.record import Record
from tests.core_fixtures import Processes, Started
from tests.factories import Core, executor_toml, json_line, until
from tests.factories import signal as signal_of
from workers.account.runtime import open_runtime

#: The keys that mode exchange uses by itself, so that other modes reach the same account.
KEYS = {"ARGO_API_KEY": "argo", "ARGO_API_SECRET": "paper-exchange"}


def paper(url: str, *, account: str | None = None) -> str:
    """Return the table of argo in mode paper, with the paper exchange as its broker."""
    pin = f'account = "{account}"' if account else ""
    table = executor_toml("argo", top=f'base_url = "{url}"\n{pin}')
    return table.replace('mode = "exchange"', 'mode = "paper"')


def alive(core: Core, kind: str) -> list[dict[str, Any]]:
    return core.rows("SELECT * FROM heartbeat WHERE kind = %s", [kind])


def ends(processes: Processes, process: Started, code: int, *says: str) -> str:
    """Wait until *process* has exited with *code*, and check that its output has *says* and no traceback."""
    assert process.wait(30) == code, processes.said(process)
    said = processes.said(process)
    assert [words for words in says if words not in said] == [], said
    assert "Traceback" not in said
    return said


def stop(process: Started) -> None:
    process.send_signal(signal.SIGTERM)
    process.wait(15)


# --- the account ---


@pytest.mark.parametrize("command", [["work", "argo"], ["keep"]])
def test_keys_of_another_account_than_the_pinned_one_do_not_start(
    core: Core, processes: Processes, command: list[str]
) -> None:
    core.executors_path.write_text(paper(core.exchange.url, account="PA-OTHER"))

    process = processes.start(core, *command, **KEYS)

    ends(processes, process, 2, "executors.argo.account: the keys belong to account", "not the pinned PA-OTHER")
    assert core.orders() == []


def test_up_starts_nothing_with_keys_of_another_account(core: Core, processes: Processes) -> None:
    core.executors_path.write_text(paper(core.exchange.url, account="PA-OTHER"))

    process = processes.start(core, "up", "--source", "none", PORT="0", **KEYS)

    ends(processes, process, 2, "not the pinned PA-OTHER")
    assert alive(core, "worker") + alive(core, "keeper") == []


def test_a_worker_sends_nothing_before_its_broker_has_reported_the_pinned_account(
    core: Core, processes: Processes
) -> None:
    number = core.runtimes["argo"].broker.account().number
    core.executors_path.write_text(paper(core.exchange.url, account=number))
    core.exchange.kill9()
    worker = processes.start(core, "work", "argo", **KEYS)
    until(lambda: "account.unverified" in processes.said(worker))
    sent = core.record_signal(signal_of("AAPL"))
    core.dispatcher.enqueue([sent])
    until(lambda: [row for row in alive(core, "worker") if not row["healthy"]])

    assert core.state(sent.execution_id) == "queued"
    core.exchange.start()
    core.prices(AAPL=100)
    until(core.orders, within_s=40)
    until(lambda: [row["healthy"] for row in alive(core, "worker")] == [True])
    stop(worker)


# --- a missing broker is never replaced by a simulation ---


def test_a_broker_that_is_away_is_not_replaced_by_the_exchange(core: Core, processes: Processes) -> None:
    core.executors_path.write_text(paper("http://127.0.0.1:1"))
    worker = processes.start(core, "work", "argo", **KEYS)
    sent = core.record_signal(signal_of("AAPL"))
    core.dispatcher.enqueue([sent])

    until(lambda: core.state(sent.execution_id) == "held", within_s=30)

    assert core.execution(sent.execution_id)["reason_code"] == "broker_away"
    stop(worker)
    assert core.orders() == []


@pytest.mark.parametrize("mode", ["paper", "live"])
def test_without_an_address_or_keys_nothing_but_mode_exchange_opens_an_account(
    core: Core, record: Record, mode: str
) -> None:
    executor = core.executors["argo"].model_copy(update={"mode": mode})
    addressed = executor.model_copy(update={"base_url": "https://broker.example"})

    for lacking in (executor, addressed):
        with pytest.raises(ConfigInvalid):
            open_runtime(lacking, settings=core.settings, exchange_url=core.exchange.url, record=record)


# --- checks that need the record ---


@pytest.mark.parametrize("command", [["work", "argo"], ["keep"], ["produce"], ["serve"], ["up", "--source", "none"]])
def test_no_process_starts_while_a_removed_executor_has_open_work(
    core: Core, processes: Processes, command: list[str]
) -> None:
    core.send()
    core.rows("UPDATE execution SET executor_id = 'old'")

    process = processes.start(core, *command, TRADEWIRE_API_TOKEN="t" * 16, TRADEWIRE_SOURCE="none", PORT="0")

    ends(processes, process, 2, "executors.old: is no longer in the file", "tradewire config forget old --why TEXT")


def test_only_the_typed_name_forgets_a_removed_executor(core: Core, processes: Processes) -> None:
    execution_id = core.send()
    core.rows("UPDATE execution SET executor_id = 'old'")
    forget = ["config", "forget", "old", "--why", "closed"]

    ends(processes, processes.start(core, *forget), 2, "--yes-forget: is missing")
    ends(processes, processes.start(core, *forget, "--yes-forget", "odl"), 2, "nothing was changed")
    assert core.state(execution_id) == "queued"
    ends(processes, processes.start(core, *forget, "--yes-forget", "old"), 0, "1 executions that waited were skipped")
    assert core.execution(execution_id)["reason_code"] == "executor_gone"
    worker = processes.start(core, "work", "argo")
    until(lambda: alive(core, "worker"))
    stop(worker)


def test_diff_names_the_process_to_restart_and_why_what_changed(core: Core, processes: Processes) -> None:
    worker = processes.start(core, "work", "argo")
    sent = core.record_signal(signal_of("AAPL"))
    core.dispatcher.enqueue([sent])
    until(core.orders)
    ends(processes, processes.start(core, "config", "diff"), 0, "uses the same")
    core.executors_path.write_text(executor_toml("argo", quantity=2))

    as_text = ends(processes, processes.start(core, "config", "diff"), 1, "size.value: 1 -> 2")
    assert f"restart worker argo (pid {worker.pid} on " in as_text
    as_json = json.loads(ends(processes, processes.start(core, "config", "diff", "argo", "--json"), 1))
    assert (as_json["equal"], len(as_json["restart"])) == (False, 1)
    ends(processes, processes.start(core, "config", "diff", "arog"), 2, "EXECUTOR: 'arog' is not in")
    why = ["why", str(sent.execution_id)]
    ends(processes, processes.start(core, *why), 0, "decided under settings", "changed since: size.value: 1 -> 2")
    told = json.loads(ends(processes, processes.start(core, *why, "--json"), 0))
    assert told["executions"][0]["settings"]["changes"] == ["size.value: 1 -> 2"]
    stop(worker)


def test_end_by_command(core: Core, processes: Processes) -> None:
    execution_id = core.send()
    end = ["end", str(execution_id), "--why", "wrong ticker", "--by", "ann"]

    ended = json.loads(ends(processes, processes.start(core, *end, "--json"), 0))

    assert ended["execution_id"] == str(execution_id)
    assert core.execution(execution_id)["reason_code"] == "ended_by_person"
    ends(processes, processes.start(core, *end), 1, "it has ended already")
    ends(processes, processes.start(core, "end", "x", "--why", "y"), 2, "'x' is not an id")


def test_accept_is_for_real_money_only(core: Core, processes: Processes) -> None:
    accept = ["config", "accept"]

    ends(processes, processes.start(core, *accept, "argo", "--sentence", "yes"), 1, "only settings of a live executor")
    ends(processes, processes.start(core, *accept, "arog", "--sentence", "yes"), 2, "is not in")
    ends(processes, processes.start(core, *accept, "argo"), 2, "--sentence: is missing")


def live(**limits: int) -> str:
    """Return the table of argo in mode live. No test reaches its broker."""
    table = paper("https://api.alpaca.markets", account="123").replace('"paper"', '"live"')
    for name, value in (
        {"daily_loss_percent": 5, "drawdown_percent": 10, "gross_exposure_percent": 90} | limits
    ).items():
        table = table.replace(f'{name} = "off"', f"{name} = {value}")
    return table


@pytest.mark.parametrize("command", [["work", "argo"], ["keep"], ["produce"], ["serve"], ["up", "--source", "none"]])
def test_no_process_starts_on_a_live_limit_that_was_loosened(
    core: Core, processes: Processes, command: list[str]
) -> None:
    sentence = "I accept real orders on account 123"
    real = {
        "TRADEWIRE_LIVE": sentence,
        "TRADEWIRE_API_TOKEN": "t" * 16,
        "TRADEWIRE_SOURCE": "none",
        "PORT": "0",
        **KEYS,
    }
    accept = ["config", "accept", "argo", "--sentence"]
    core.executors_path.write_text(live())
    ends(processes, processes.start(core, *accept, sentence, **real), 0, "accepted: the settings of argo")
    core.executors_path.write_text(live(daily_loss_percent=6, drawdown_percent=9))

    process = processes.start(core, *command, **real)

    said = ends(processes, process, 2, "executors.argo.limits.daily_loss_percent: 5 -> 6 loosens")
    assert f'tradewire config accept argo --sentence "{sentence}"' in said
    assert "drawdown_percent" not in said
    ends(processes, processes.start(core, "config", "diff", **real), 1, "limits.daily_loss_percent: 5 -> 6")
    ends(processes, processes.start(core, *accept, "yes", **real), 1, "nothing was accepted")
    ends(processes, processes.start(core, *accept, sentence, **real), 0, "looser: limits.daily_loss_percent: 5 -> 6")
    ends(processes, processes.start(core, "config", "diff", **real), 0)


# --- processes that execute without a queue ---


def test_direct_execution_passes_the_same_gates(core: Core, processes: Processes) -> None:
    send = ["signal", "send", "--direct"]
    line = json_line(signal_of("AAPL"))
    core.executors_path.write_text(paper(core.exchange.url, account="PA-OTHER"))
    ends(processes, processes.start(core, *send, stdin=line, **KEYS), 2, "not the pinned PA-OTHER")
    core.executors_path.write_text(executor_toml("new"))

    ends(
        processes,
        processes.start(core, *send, stdin=line),
        2,
        "argo: is no longer in the file, and left executions: 1 queued",
    )

    assert core.orders() == []
    assert len(core.rows("SELECT * FROM signal")) == 1


def test_a_command_that_only_records_keeps_the_settings_that_routing_used(core: Core, processes: Processes) -> None:
    line = json_line(signal_of("AAPL", confidence=10))

    ends(processes, processes.start(core, "signal", "send", stdin=line), 0, "confidence_below_minimum")

    assert core.rows(
        "SELECT s.body ->> 'id' AS id FROM execution AS e JOIN executor_settings AS s USING (settings_hash)"
    ) == [{"id": "argo"}]


def test_a_producer_that_sends_by_itself_verifies_the_account_first(core: Core, processes: Processes) -> None:
    core.executors_path.write_text(paper(core.exchange.url, account="PA-OTHER"))

    process = processes.start(core, "produce", TRADEWIRE_SOURCE="none", TRADEWIRE_DELIVERY="direct", **KEYS)

    ends(processes, process, 2, "not the pinned PA-OTHER")
