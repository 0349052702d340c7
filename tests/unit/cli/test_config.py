from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from config.services import Services, write_services
from pipeline.entrypoints.cli.config import app

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith("TRADEWIRE_") or name.endswith(("_API_KEY", "_API_SECRET")):
            monkeypatch.delenv(name)
    for name in ("DATABASE_URL", "REDIS_URL", "PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRADEWIRE_EXECUTORS", str(REPOSITORY / "config/executors.toml"))


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def test_check_of_the_shipped_file_is_fine() -> None:
    result = run("check")

    assert result.exit_code == 0
    assert "argo, prop_firm: fine" in result.stdout
    assert "not enforced yet" not in result.stdout


def test_check_prints_every_problem_of_file_and_environment_and_exits_2(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "bad.toml").write_text('[executors.argo]\nmode = "papr"\n', encoding="utf-8")
    monkeypatch.setenv("TRADEWIRE_EXECUTORS", "bad.toml")
    monkeypatch.setenv("PORT", "http")

    result = run("check")

    assert result.exit_code == 2
    assert [line.split(": ")[0] for line in result.stdout.splitlines()] == [
        "PORT",
        "executors.argo.mode",
        "executors.argo.size",
        "executors.argo.limits",
    ]


def test_check_takes_another_file(tmp_path: Path) -> None:
    (tmp_path / "other.toml").write_text("", encoding="utf-8")

    assert run("check", "other.toml").exit_code == 2


def test_check_exits_1_with_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRADEWIRE_LGO", "json")

    result = run("check")

    assert result.exit_code == 1
    assert "warning: TRADEWIRE_LGO: " in result.stdout


def test_check_as_json_has_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "-1")
    monkeypatch.setenv("TRADEWIRE_LGO", "json")

    result = run("check", "--json")

    body = json.loads(result.stdout)
    assert result.exit_code == 2
    assert body["status"] == "critical"
    assert [problem["key"] for problem in body["problems"]] == ["PORT"]
    assert [warning["key"] for warning in body["warnings"]] == ["TRADEWIRE_LGO"]
    assert [note["key"] for note in body["notes"]] == ["executors.prop_firm.limits.daily_loss_percent"]
    assert set(body) == {"status", "problems", "warnings", "notes"}


def test_check_warns_of_an_executor_that_can_never_trade_what_the_source_produces(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shipped = (REPOSITORY / "config/executors.toml").read_text(encoding="utf-8")
    text = shipped.replace("minimum_confidence = 82", 'minimum_confidence = 82\nsymbols = ["SPY", "QQQ"]')
    (tmp_path / "spy.toml").write_text(text, encoding="utf-8")

    with_replay = run("check", "spy.toml")
    monkeypatch.setenv("TRADEWIRE_SOURCE", "none")
    without = run("check", "spy.toml")

    assert with_replay.exit_code == 1
    assert "warning: executors.prop_firm.route.symbols: takes none of the symbols" in with_replay.stdout
    assert without.exit_code == 0


def test_show_has_every_executor_and_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARGO_API_SECRET", "hunter2")

    text, as_json = run("show"), run("show", "--json")

    assert text.exit_code == as_json.exit_code == 0
    assert "hunter2" not in text.stdout + as_json.stdout
    assert "# prop_firm" in text.stdout
    body = json.loads(as_json.stdout)
    assert body["executors"]["argo"]["route.minimum_confidence"] == {"value": "75", "origin": "file"}
    assert body["environment"]["TRADEWIRE_EXECUTORS"]["origin"] == "environment"


def test_show_of_a_bad_file_prints_its_problems_and_exits_2(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRADEWIRE_EXECUTORS", "nowhere.toml")

    result = run("show")

    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("nowhere.toml: cannot be read")


def test_env_prints_what_a_running_up_says(tmp_path: Path) -> None:
    services = Services(redis_url="redis://127.0.0.1:7000/0", api_token="abc", pids={"up": os.getpid()})
    write_services(tmp_path / ".tradewire", services)

    text, as_json = run("env"), run("env", "--json")

    assert text.stdout.splitlines() == [
        f"export TRADEWIRE_HOME={tmp_path / '.tradewire'}",
        "export REDIS_URL=redis://127.0.0.1:7000/0",
        "export TRADEWIRE_API_TOKEN=abc",
    ]
    assert json.loads(as_json.stdout) == {
        "TRADEWIRE_HOME": str(tmp_path / ".tradewire"),
        "REDIS_URL": "redis://127.0.0.1:7000/0",
        "TRADEWIRE_API_TOKEN": "abc",
    }


def test_env_without_a_running_up_exits_1_and_prints_nothing_to_evaluate() -> None:
    result = run("env")

    assert result.exit_code == 1
    assert result.stdout == ""
    assert "no `tradewire up` runs" in result.stderr


def test_check_names_the_wrong_key_of_the_alerts_that_keeper_and_web_would_refuse(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "alerts.toml").write_text("group_s = 0\n", encoding="utf-8")
    monkeypatch.setenv("TRADEWIRE_ALERTS", "alerts.toml")

    result = run("check")

    assert result.exit_code == 2
    assert "group_s: " in result.stdout
    assert "fine" not in result.stdout
