from __future__ import annotations

import json
import shlex
import subprocess
from pathlib import Path

import pytest

from config.checks.strictness import DIRECTIONS
from config.executors import load_executors
from config.schema.settings import load_settings
from config.services import Services
from config.show import (
    export_lines,
    service_variables,
    shown_executors,
    shown_settings,
    shown_text,
)


def test_every_value_has_its_origin(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("TRADEWIRE_LOG=json\n", encoding="utf-8")
    monkeypatch.setenv("PORT", "8001")
    settings = load_settings()
    filled = settings.model_copy(update={"exchange_url": "http://127.0.0.1:8100"})

    shown = shown_settings(settings, completed=filled)

    assert shown["PORT"] == {"value": 8001, "origin": "environment"}
    assert shown["TRADEWIRE_LOG"] == {"value": "json", "origin": ".env"}
    assert shown["TRADEWIRE_CADENCE_S"] == {"value": 5, "origin": "default"}
    assert shown["TRADEWIRE_EXCHANGE_URL"] == {"value": "http://127.0.0.1:8100", "origin": "running up"}
    assert shown["TRADEWIRE_HOME"] == {"value": ".tradewire", "origin": "default"}


def test_no_secret_is_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, smallest: str) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:hunter2@h:5432/d")
    monkeypatch.setenv("REDIS_URL", "redis://:hunter2@h/0")
    monkeypatch.setenv("TRADEWIRE_API_TOKEN", "hunter2-and-nine-more")
    monkeypatch.setenv("ARGO_API_KEY", "hunter2")
    monkeypatch.setenv("ARGO_API_SECRET", "hunter2")
    settings = load_settings()
    (tmp_path / "e.toml").write_text(smallest, encoding="utf-8")
    executors = load_executors(tmp_path / "e.toml", settings=settings)

    environment = shown_settings(settings)
    argo = shown_executors(executors, settings)["argo"]

    assert "hunter2" not in json.dumps([environment, argo])
    assert environment["DATABASE_URL"]["value"] == "postgresql://u:***@h:5432/d"
    assert environment["REDIS_URL"]["value"] == "redis://:***@h/0"
    assert environment["TRADEWIRE_API_TOKEN"] == {"value": "***", "origin": "environment"}
    assert argo["ARGO_API_SECRET"] == {"value": "***", "origin": "environment"}


def test_a_password_in_the_query_of_an_address_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://h/d?user=u&password=hunter2")

    shown = shown_settings(load_settings())

    assert shown["DATABASE_URL"]["value"] == "postgresql://h/d?user=u&password=***"


def test_an_executors_values_are_json_with_their_origin(tmp_path: Path, smallest: str) -> None:
    text = smallest.replace("value = 10", "value = 10.50").replace("drawdown_percent = 10", 'drawdown_percent = "off"')
    (tmp_path / "e.toml").write_text(
        f'{text}[executors.argo.route]\nsymbols = ["AAPL"]\n[executors.argo.hours]\nday_starts_at = "17:00"\n',
        encoding="utf-8",
    )
    settings = load_settings()

    shown = shown_executors(load_executors(tmp_path / "e.toml", settings=settings), settings)["argo"]

    assert shown["size.value"] == {"value": "10.5", "origin": "file"}
    assert shown["size.maximum_percent"] == {"value": None, "origin": "default"}
    assert shown["limits.drawdown_percent"] == {"value": "off", "origin": "file"}
    assert shown["limits.entry_age_s"] == {"value": 60, "origin": "default"}
    assert shown["route.symbols"] == {"value": ["AAPL"], "origin": "file"}
    assert shown["hours.day_starts_at"] == {"value": "17:00", "origin": "file"}
    assert shown["retry.attempts"] == {"value": 5, "origin": "default"}
    assert shown["groups"] == {"value": None, "origin": "default"}
    assert shown["limits.orders_per_day"] == {"value": "off", "origin": "default"}
    assert shown["firm.maximum_quantity"] == {"value": "off", "origin": "default"}
    assert shown["firm.initial_balance"] == {"value": None, "origin": "default"}
    assert shown["ARGO_API_KEY"] == {"value": None, "origin": "default"}
    assert json.loads(json.dumps(shown)) == shown


def test_groups_are_shown_one_by_one(tmp_path: Path, smallest: str) -> None:
    groups = '[executors.argo.groups]\ntech = ["AAPL", "MSFT"]\ncrypto = ["BTC/USD"]\n'
    (tmp_path / "e.toml").write_text(smallest + groups, encoding="utf-8")
    settings = load_settings()

    shown = shown_executors(load_executors(tmp_path / "e.toml", settings=settings), settings)["argo"]

    assert shown["groups.tech"] == {"value": ["AAPL", "MSFT"], "origin": "file"}
    assert shown["groups.crypto"] == {"value": ["BTC/USD"], "origin": "file"}
    assert "groups" not in shown


def test_every_key_of_an_executor_is_shown(tmp_path: Path, smallest: str) -> None:
    (tmp_path / "e.toml").write_text(smallest, encoding="utf-8")
    settings = load_settings()

    shown = shown_executors(load_executors(tmp_path / "e.toml", settings=settings), settings)["argo"]

    assert shown.keys() - {"ARGO_API_KEY", "ARGO_API_SECRET"} == DIRECTIONS.keys() - {"id"}


def test_text_is_one_line_per_value() -> None:
    shown = {
        "short": {"value": None, "origin": "default"},
        "longer": {"value": ["A", "B"], "origin": "file"},
        "flag": {"value": False, "origin": "file"},
    }

    assert shown_text(shown) == [
        "short = -      (default)",
        "longer = A, B  (file)",
        "flag = false   (file)",
    ]


def test_a_shell_reads_the_export_lines_back_exactly() -> None:
    services = Services(
        database_url="postgresql://u:p'w $HOME `id`@127.0.0.1/d",
        api_token="a b",
        web_url="http://127.0.0.1:8000",
    )
    lines = export_lines(service_variables(services, Path("/srv/home")))
    script = "\n".join([*lines, 'printf "%s|%s" "$DATABASE_URL" "$TRADEWIRE_API_TOKEN"'])

    shell = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True, timeout=10)

    assert shell.stdout == "postgresql://u:p'w $HOME `id`@127.0.0.1/d|a b"


def test_only_what_is_known_is_exported() -> None:
    variables = service_variables(Services(redis_url="redis://127.0.0.1/0", pids={"up": 1}), Path("/srv/home"))

    assert variables == {"TRADEWIRE_HOME": "/srv/home", "REDIS_URL": "redis://127.0.0.1/0"}
    assert export_lines(variables)[1:] == [f"export REDIS_URL={shlex.quote('redis://127.0.0.1/0')}"]
