"""Alerts of real processes: killed keepers, a web process that takes over, the commands, and the check at the start."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from config.executors import load_executors
from config.schema.executor import Executors
from config.schema.settings import Settings
from pipeline.model.errors import ConfigInvalid, RecordUnavailable
from pipeline.startup.alert_channels import check_channels
from pipeline.store.record import Record
from tests.core_fixtures import Processes, Started
from tests.factories import Core, until
from tests.integration.monitoring.receivers import Receiver, alerts_at, receiving
from workers.keeper.alert_tasks import ping_deadman


def set_up(tmp_path: Path, **receivers: Receiver) -> dict[str, str]:
    """Write alerts.toml, and return the environment variables that name it and the channels."""
    path = tmp_path / "alerts.toml"
    path.write_text(f"channels = {json.dumps(list(receivers))}\ngroup_s = 1\n")
    return {"TRADEWIRE_ALERTS": str(path)} | {name: receiver.url for name, receiver in receivers.items()}


def dead(core: Core) -> None:
    """Make a dead letter, as a worker does after its last attempt."""
    execution_id = core.send()
    for state, lease in (("submitting", "now() + interval '1 minute'"), ("dead", "NULL")):
        core.rows(
            f"UPDATE execution SET state = '{state}', due_at = NULL, lease_until = {lease}, "
            "reason_code = 'attempts_used_up' WHERE execution_id = %s",
            [execution_id],
        )


def leads(processes: Processes, keeper: Started) -> bool:
    return "keeper.leads" in processes.said(keeper)


def test_a_keeper_that_is_killed_while_it_sends_is_followed_by_one_that_sends_again(
    core: Core, processes: Processes, tmp_path: Path
) -> None:
    keepers: list[Started] = []

    def kill() -> None:
        # The keeper dies before the receiver answers, so it does not learn that the message arrived.
        if keepers[0].poll() is None:
            os.kill(keepers[0].pid, signal.SIGKILL)
            keepers[0].wait(10)

    with receiving(on_message=kill) as (receiver,):
        environment = set_up(tmp_path, ALERTS_MAIN=receiver)
        keepers.append(processes.start(core, "keep", **environment))
        until(lambda: leads(processes, keepers[0]))
        dead(core)
        until(lambda: keepers[0].poll() is not None, within_s=30)
        assert core.rows("SELECT delivered_at FROM alert_delivery") == [{"delivered_at": None}]
        core.rows("UPDATE alert_delivery SET due_at = now()")

        keepers.append(processes.start(core, "keep", **environment))

        until(lambda: len(receiver.messages) >= 2, within_s=30)
        until(lambda: core.rows("SELECT 1 AS yes FROM alert_delivery WHERE delivered_at IS NOT NULL"))
        assert receiver.bodies[0] == receiver.bodies[1]
        assert "dead letter at argo" in receiver.bodies[0]
        assert "s3cr3t" not in processes.said(keepers[0]) + processes.said(keepers[1])


def test_two_keepers_send_a_message_once(core: Core, processes: Processes, tmp_path: Path) -> None:
    with receiving() as (receiver,):
        environment = set_up(tmp_path, ALERTS_MAIN=receiver)
        two = [processes.start(core, "keep", **environment) for _ in range(2)]
        until(lambda: any(leads(processes, keeper) for keeper in two))
        dead(core)

        until(lambda: any("dead letter" in body for body in receiver.bodies), within_s=30)
        core.rows("UPDATE execution SET state = 'discarded', ended_at = now() WHERE state = 'dead'")
        until(lambda: any("It is over:" in body for body in receiver.bodies), within_s=40)

    lines = [line for body in receiver.bodies for line in body.splitlines() if "dead letter" in line]
    assert len(lines) == 2
    assert lines[1].startswith(lines[0].removesuffix(" UTC)"))


def test_the_web_process_tells_that_no_keeper_runs(core: Core, processes: Processes, tmp_path: Path) -> None:
    with receiving() as (receiver,):
        environment = set_up(tmp_path, ALERTS_MAIN=receiver)
        processes.start(core, "serve", TRADEWIRE_API_TOKEN="open-sesame-open-sesame", PORT="0", **environment)

        until(lambda: receiver.messages, within_s=40)
        assert "no keeper runs" in receiver.bodies[0]

        keeper = processes.start(core, "keep", **environment)
        until(lambda: leads(processes, keeper))
        until(lambda: any("It is over:\n- [critical] no keeper runs" in body for body in receiver.bodies), within_s=40)


def test_the_ping_goes_out_while_the_record_answers(record: Record) -> None:
    with receiving() as (receiver,):
        address = alerts_at({"ALERTS_PING": f"http://127.0.0.1:{receiver.port}/ping/secret"}).channels["ALERTS_PING"]
        ping_deadman(record, address)
        assert receiver.asked == ["/ping/secret"]

        with Record("postgresql://127.0.0.1:1/nowhere", retry_for_s=0.0) as away, pytest.raises(RecordUnavailable):
            ping_deadman(away, address)
        assert len(receiver.asked) == 1


def test_an_outside_address_that_does_not_answer_is_said_without_its_secret(record: Record) -> None:
    address = alerts_at({"ALERTS_PING": "http://127.0.0.1:1/ping/secret"}).channels["ALERTS_PING"]

    with capture_logs() as logs:
        ping_deadman(record, address)

    assert [entry["event"] for entry in logs] == ["deadman.not_reached"]
    assert "secret" not in str(logs)


# --- the gate ---


def live(tmp_path: Path) -> Executors:
    path = tmp_path / "live.toml"
    path.write_text(LIVE)
    settings = Settings(executors=path, home=tmp_path, live="I accept real orders on account 123456789")
    return load_executors(path, settings=settings)


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARGO_API_KEY", "key")
    monkeypatch.setenv("ARGO_API_SECRET", "secret")


def settings_with(tmp_path: Path, text: str) -> Settings:
    (tmp_path / "alerts.toml").write_text(text)
    return Settings(alerts=tmp_path / "alerts.toml")


@pytest.mark.usefixtures("keys")
def test_real_money_needs_a_channel_that_took_a_test_at_the_address_that_it_has(
    core: Core, processes: Processes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    executors = live(tmp_path)
    with receiving(2) as (receiver, other):
        environment = set_up(tmp_path, ALERTS_MAIN=receiver)
        settings = Settings(alerts=Path(environment["TRADEWIRE_ALERTS"]))
        monkeypatch.setenv("ALERTS_MAIN", receiver.url)
        with pytest.raises(ConfigInvalid, match="no alert channel was tested: run `tradewire alerts test`"):
            check_channels(core.record, executors, settings=settings)

        test = processes.start(core, "alerts", "test", **environment)
        assert test.wait(30) == 0, processes.said(test)

        assert receiver.messages[0]["title"] == "tradewire: a test"
        check_channels(core.record, executors, settings=settings)
        monkeypatch.setenv("ALERTS_MAIN", other.url)
        with pytest.raises(ConfigInvalid, match="was tested"):
            check_channels(core.record, executors, settings=settings)


@pytest.mark.usefixtures("keys")
def test_real_money_without_a_channel_needs_alerts_none(record: Record, tmp_path: Path) -> None:
    executors = live(tmp_path)

    with pytest.raises(ConfigInvalid, match="no alert channel is set up"):
        check_channels(record, executors, settings=settings_with(tmp_path, ""))

    check_channels(record, executors, settings=settings_with(tmp_path, 'alerts = "none"'))


@pytest.mark.usefixtures("keys")
@pytest.mark.parametrize(
    "command",
    [
        ["work", "argo"],
        ["keep"],
        ["produce"],
        ["serve"],
        ["signal", "send", "--direct"],
        ["probe", "argo", "--never-marketable"],
    ],
)
def test_no_process_of_real_money_starts_untested(
    core: Core, processes: Processes, tmp_path: Path, command: list[str]
) -> None:
    live(tmp_path)
    environment = {
        "TRADEWIRE_EXECUTORS": str(tmp_path / "live.toml"),
        "TRADEWIRE_LIVE": "I accept real orders on account 123456789",
        "ARGO_API_KEY": "key",
        "ARGO_API_SECRET": "secret",
        "TRADEWIRE_API_TOKEN": "open-sesame-open-sesame",
        "TRADEWIRE_SOURCE": "none",
        "PORT": "0",
    }
    process = processes.start(core, *command, **environment)

    assert process.wait(40) == 2, processes.said(process)
    assert "no alert channel is set up" in processes.said(process)


def test_paper_trades_without_any_channel(record: Record, executors: Executors, tmp_path: Path) -> None:
    check_channels(record, executors, settings=settings_with(tmp_path, ""))


# --- the commands ---


def printed(processes: Processes, process: Started, code: int) -> Any:
    assert process.wait(30) == code, processes.said(process)
    return json.loads(processes.said(process))


def test_a_test_of_a_channel_that_is_down_fails_and_is_not_kept(
    core: Core, processes: Processes, tmp_path: Path
) -> None:
    with receiving(2) as (first, second):
        first.down = True
        environment = set_up(tmp_path, ALERTS_MAIN=first, ALERTS_SECOND=second)
        found = printed(processes, processes.start(core, "alerts", "test", "--json", **environment), 1)

        assert found == [{"channel": "ALERTS_MAIN", "took": False}, {"channel": "ALERTS_SECOND", "took": True}]
        assert [row["channel"] for row in core.rows("SELECT channel FROM alert_channel")] == ["ALERTS_SECOND"]
        wrong = processes.start(core, "alerts", "test", "ALERTS_THIRD", **environment)
        assert wrong.wait(30) == 1
        assert "'ALERTS_THIRD' is not a channel" in processes.said(wrong)


def test_a_test_without_any_channel_says_where_to_name_one(core: Core, processes: Processes, tmp_path: Path) -> None:
    (tmp_path / "alerts.toml").write_text("")
    process = processes.start(core, "alerts", "test", TRADEWIRE_ALERTS=str(tmp_path / "alerts.toml"))

    assert process.wait(30) == 2
    assert "no channel is set up" in processes.said(process)
    assert "pipeline/docs/alerts.md" in processes.said(process)


def test_alerts_are_listed_and_acknowledged_with_who_and_why(core: Core, processes: Processes) -> None:
    insert = "INSERT INTO alert (key, kind, severity, subject, over_at) VALUES (%s, 'unknown', 'critical', %s, "
    core.rows(insert + "NULL)", ["unknown:1", "nobody knows"])
    core.rows(insert + "now())", ["unknown:2", "nobody knew"])

    rows = printed(processes, processes.start(core, "alerts", "list", "--json"), 1)
    assert [(row["subject"], row["over_at"], row["acked_by"], row["told_by"]) for row in rows] == [
        ("nobody knows", None, None, [])
    ]
    assert len(printed(processes, processes.start(core, "alerts", "list", "--all", "--json"), 1)) == 2

    ack = ["alerts", "ack", str(rows[0]["alert_id"]), "--why", "on it", "--by", "ada"]
    assert processes.start(core, *ack).wait(30) == 0

    rows = printed(processes, processes.start(core, "alerts", "list", "--json"), 0)
    assert (rows[0]["acked_by"], rows[0]["acked_why"]) == ("ada", "on it")
    again = processes.start(core, *ack)
    assert again.wait(30) == 1
    assert "there is no open, unacknowledged alert" in processes.said(again)


def test_a_list_that_is_cut_says_so_and_waits_for_the_alerts_that_it_leaves_out(
    core: Core, processes: Processes
) -> None:
    insert = "INSERT INTO alert (key, kind, severity, subject, acked_at, acked_by) VALUES (%s, %s, 'critical', %s, "
    core.rows(insert + "NULL, NULL)", ["unknown:1", "unknown", "waits"])
    core.rows(insert + "now(), 'ada')", ["stopped:1", "stopped", "acknowledged"])

    process = processes.start(core, "alerts", "list", "--limit", "1")

    assert process.wait(30) == 1
    assert "1 open alerts are not listed; open in all: stopped 1, unknown 1. See --limit" in processes.said(process)


LIVE = """
[executors.argo]
broker = "alpaca"
mode = "live"
base_url = "https://api.alpaca.example"
base_url_allowed = "api.alpaca.example"
account = "123456789"
[executors.argo.size]
method = "quantity"
value = 1
[executors.argo.limits]
open_positions = 3
gross_exposure_percent = 50
daily_loss_percent = 2
drawdown_percent = 5
"""
