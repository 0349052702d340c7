from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipeline.model.errors import ConfigInvalid
from tests.command import app

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRADEWIRE_EXECUTORS", str(REPOSITORY / "config/executors.toml"))
    return tmp_path


def become(here: Path, body: str, *arguments: str) -> tuple[int, str]:
    file = here / "body"
    file.write_text(body)
    result = CliRunner().invoke(app, ["webhook", "test", str(file), *arguments])
    return result.exit_code, result.stdout


def test_a_body_is_shown_as_the_signal_that_it_becomes(here: Path) -> None:
    code, said = become(here, '{"ticker": "NASDAQ:AAPL", "action": "exit", "secret": "not-to-be-shown"}', "--json")

    shown = json.loads(said)
    assert code == 0
    assert (shown["dialect"], shown["identity"]) == ("tradingview", "body")
    assert shown["signal"]["source"] == "tradingview"
    assert {"symbol": "AAPL", "action": "SELL", "intent": "close"}.items() <= shown["signal"].items()
    assert "does not name the side to close" in shown["notes"][0]
    assert "not-to-be-shown" not in said


def test_a_person_is_told_the_dialect_the_identity_and_the_signal(here: Path) -> None:
    code, said = become(here, "buy 10 AAPL at 190.10")

    assert code == 0
    assert "dialect    text" in said
    assert "the same body within 35 s is a re-send" in said
    assert '"entry_price": "190.10"' in said


def test_a_refusal_is_told_and_exits_1(here: Path) -> None:
    code, said = become(here, "buy AAPL")

    assert code == 1
    assert said.startswith("refused: no_price\nan entry needs the price")


def test_an_unknown_webhook_is_a_mistake_of_the_user(here: Path) -> None:
    (here / "body").write_text("buy AAPL at 1")

    result = CliRunner().invoke(app, ["webhook", "test", str(here / "body"), "--name", "nobody"])

    assert isinstance(result.exception, ConfigInvalid)
    assert "there is no webhook 'nobody'; there is tradingview" in str(result.exception)


def test_the_webhook_of_the_file_is_used(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "mine.toml").write_text("[webhooks.mine]\nconfidence = 55\n")
    monkeypatch.setenv("TRADEWIRE_WEBHOOKS", str(here / "mine.toml"))

    code, said = become(here, "buy AAPL at 1", "--name", "mine", "--json")

    assert code == 0
    assert json.loads(said)["signal"]["confidence"] == "55"


def test_config_check_looks_at_the_webhooks_too(here: Path) -> None:
    (here / "config").mkdir()
    (here / "config/webhooks.toml").write_text('[webhooks.mine]\ndialekt = "auto"\nexecutors = ["agro"]\n')

    result = CliRunner().invoke(app, ["config", "check"])

    assert result.exit_code == 2
    assert 'webhooks.mine.dialekt: is not a key here; did you mean "dialect"' in result.stdout
