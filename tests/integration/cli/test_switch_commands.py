from __future__ import annotations

import getpass
import json
import socket
from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from pipeline.accounts.account_key import account_key_of
from pipeline.accounts.switches import turn_on
from pipeline.entrypoints.doctor.switches import check_switches
from pipeline.model.switches import SwitchKind
from tests.command import app, commands_use
from tests.factories import Core, executor_toml, until
from workers.keeper.account_controls import account_controls_of

ME = f"{getpass.getuser()}@{socket.gethostname()}"


@pytest.fixture
def core(make_core: Callable[..., Core], monkeypatch: pytest.MonkeyPatch) -> Core:
    """A core with two executors, which the commands use too."""
    core = make_core(executor_toml("argo") + executor_toml("prop_firm"))
    core.prices(AAPL=100, MSFT=100)
    commands_use(core, monkeypatch)
    return core


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def said(*arguments: str, code: int = 0) -> Any:
    result = run(*arguments, "--json")
    assert result.exit_code == code, (result.output, result.exception)
    return json.loads(result.stdout)


def limit_halt(core: Core, cause: str = "daily_loss") -> None:
    core.record.run(
        lambda connection: turn_on(
            connection,
            account_key=account_key_of(connection, "argo"),
            kind=SwitchKind.HALTED,
            cause=cause,
            facts={"lost": "510", "allowed": "500"},
            by="keeper",
        )
    )


@pytest.mark.parametrize(
    ("command", "state", "code"),
    [("pause", "held", "paused"), ("reduce", "skipped", "reducing"), ("halt", "skipped", "halted")],
)
def test_a_switch_works_without_any_process_and_says_who_and_why(
    core: Core, command: str, state: str, code: str
) -> None:
    [stand] = said(command, "argo", "--why", "the news")

    [switch] = stand["switches"]
    assert (switch["cause"], switch["set_by"], switch["why"]) == ("person", ME, "the news")
    entry = core.run(core.send("AAPL"))
    assert (entry["state"], entry["reason_code"]) == (state, code)
    assert (entry["reason_facts"]["by"], entry["reason_facts"]["why"]) == (ME, "the news")
    assert core.run(core.send("MSFT", executor="prop_firm"), "prop_firm")["state"] == "accepted"


def test_the_same_command_again_changes_nothing(core: Core) -> None:
    assert said("halt", "argo", "--why", "x") == said("halt", "argo", "--why", "x") == said("halt", "argo")

    assert len(core.rows("SELECT * FROM switch_history")) == 1


def test_beside_another_users_file_an_account_that_the_record_knows_is_halted(core: Core) -> None:
    core.run(core.send("AAPL"))
    core.executors_path.chmod(0o666)

    assert [each["kind"] for each in said("halt", "argo")[0]["switches"]] == ["halted"]
    assert all(run("halt", name).exit_code != 0 for name in ("theirs", "--all"))
    assert len(core.rows("SELECT * FROM switch")) == 1


def test_resume_lifts_everything_and_lets_paused_entries_go_at_once(core: Core) -> None:
    run("pause", "argo")
    entry = core.send("AAPL")
    assert core.run(entry)["state"] == "held"
    run("reduce", "argo")

    [stand] = said("resume", "argo")

    assert ([each["kind"] for each in stand["lifted"]], stand["switches"]) == (["paused", "reducing"], [])
    [row] = core.rows("SELECT due_at <= clock_timestamp() AS due FROM execution WHERE execution_id = %s", [entry])
    assert row["due"]
    assert core.run(entry)["state"] == "accepted"


def test_resume_after_a_limit_requires_a_reason(core: Core) -> None:
    limit_halt(core)

    for refused in (run("resume", "argo"), run("resume", "argo", "--why", " ")):
        assert refused.exit_code != 0
        assert "--why" in str(refused.exception)
    assert len(core.rows("SELECT * FROM switch")) == 1
    [stand] = said("resume", "argo", "--why", "the firm agrees")
    assert [each["reason_code"] for each in stand["lifted"]] == ["halted_daily_loss"]
    assert core.rows("SELECT why, moved_by FROM switch_history WHERE turned = 'off'") == [
        {"why": "the firm agrees", "moved_by": ME}
    ]


def test_resume_says_that_the_loss_is_still_there(make_core: Callable[..., Core], core: Core) -> None:
    core.executors_path.write_text(
        core.executors_path.read_text().replace('daily_loss_percent = "off"', "daily_loss_percent = 1")
    )
    core.runtimes["argo"].snapshots.read()
    limit_halt(core)
    core.rows("UPDATE account_watch SET equity = 98970")

    result = run("resume", "argo", "--why", "the firm agrees")

    assert result.exit_code == 0
    assert "argo: lifted halted  halted_daily_loss lost=510 allowed=500 by=keeper since=" in result.stdout
    assert "daily_loss is still at 103.0 % of its limit (lost 1030.00 of 1000.00)" in result.stdout


def test_all_means_every_executor(core: Core) -> None:
    assert [stand["executor_id"] for stand in said("halt", "--all")] == ["argo", "prop_firm"]
    assert len(core.rows("SELECT * FROM switch")) == 2


@pytest.mark.parametrize("arguments", [["argos"], [], ["argo", "--all"]])
def test_the_executor_must_be_named(core: Core, arguments: list[str]) -> None:
    result = run("halt", *arguments)

    assert type(result.exception).__name__ == "ConfigInvalid"
    assert core.rows("SELECT * FROM switch") == []


def test_a_file_with_faults_does_not_prevent_a_stop(core: Core) -> None:
    core.executors_path.write_text(core.executors_path.read_text().replace("minimum_confidence", "minimal_confidence"))

    assert said("halt", "argo")[0]["switches"][0]["kind"] == "halted"


def test_active_switches_are_printed_for_people(core: Core) -> None:
    run("pause", "argo", "--why", "lunch")

    lines = run("halt", "argo").stdout.splitlines()

    assert [line.split(" by=")[0] for line in lines] == ["argo: paused", "argo: halted"]
    assert "why=lunch" in lines[0]
    assert run("resume", "argo").stdout.splitlines()[-1] == "argo: trading: no switch is on"


def bought(core: Core, symbol: str) -> None:
    execution = core.send(symbol)
    core.run(execution)
    until(lambda: core.follower().run_once() or core.state(execution) == "filled")
    core.runtimes["argo"].snapshots.read()


def test_flatten_says_what_is_left_and_who_is_missing(core: Core) -> None:
    bought(core, "AAPL")

    [stand] = said("flatten", "argo", "--wait", "0", code=1)

    assert stand["switches"][0]["flatten"]
    assert stand["progress"]["left"] == {"AAPL": "1"}
    assert stand["progress"]["missing"] == ["keeper", "worker of argo"]


def test_flatten_says_that_exits_wait_for_the_open(core: Core) -> None:
    core.executors_path.write_text(core.executors_path.read_text().replace('"extended"', '"hold"'))
    bought(core, "AAPL")
    core.exchange.admin("clock", {"mode": "fixed", "now": "2026-11-28T17:00:00Z"})
    run("flatten", "argo", "--wait", "0")
    account_controls_of(core.record, core.intake, core.runtimes["argo"], who="test keeper").run_once()
    [exit_] = core.rows("SELECT e.* FROM execution e JOIN signal s USING (signal_id) WHERE s.source LIKE 'tradewire:%'")
    assert core.run(exit_["execution_id"])["reason_code"] == "market_closed"

    result = run("flatten", "argo", "--wait", "60")

    assert result.exit_code == 1
    assert "argo: the market is closed: the exits are sent when it opens" in result.stdout


def test_flatten_ends_with_0_when_keeper_and_worker_have_closed_everything(core: Core, processes: Any) -> None:
    bought(core, "AAPL")
    bought(core, "MSFT")
    processes.start(core, "keep")
    processes.start(core, "work", "argo")

    result = run("flatten", "argo", "--wait", "40", "--why", "home")

    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-1] == "argo: flat: no position, no open order"
    assert core.runtimes["argo"].broker.positions() == []
    [switch] = core.rows("SELECT kind, flatten FROM switch")
    assert tuple(switch.values()) == ("halted", False)


def test_doctor_says_who_stopped_an_account_and_what_lets_it_go(core: Core) -> None:
    def found() -> list[tuple[str, str | None, str]]:
        looks = check_switches(core.record, core.executors)
        return [(look.status.value, look.remedy, look.saw.split(" since")[0]) for look in looks]

    assert found()[0] == ("ok", None, "nothing stops entries")
    run("pause", "argo")
    limit_halt(core)
    run("pause", "prop_firm", "--why", "lunch")

    argo, prop_firm = found()

    assert argo[:2] == ("critical", "`tradewire resume argo --why …` when it may trade again.")
    assert argo[2] == f"paused by={ME}"
    assert prop_firm == ("warning", "`tradewire resume prop_firm` when it may trade again.", f"paused by={ME}")


@pytest.mark.parametrize("url", [None, "postgresql://127.0.0.1:1/tradewire"])
def test_flatten_without_the_record_names_the_way_that_needs_none(
    core: Core, monkeypatch: pytest.MonkeyPatch, url: str | None
) -> None:
    monkeypatch.delenv("DATABASE_URL")
    if url is not None:
        monkeypatch.setenv("DATABASE_URL", url)

    ended = run("flatten", core.executors["argo"].id)

    assert ended.exit_code != 0
    # The request may be recorded although its answer was lost, or while the command waited for its end.
    assert "it is not known whether the keeper will flatten: use --direct" in ended.stderr


@pytest.mark.parametrize("command", ["pause", "reduce", "halt", "resume", "flatten"])
def test_two_names_are_refused_with_what_to_write(core: Core, command: str) -> None:
    result = run(command, "argo", "prop_firm")

    assert "name one executor, or --all" in str(result.exception)
