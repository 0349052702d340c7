"""Run the tests of the configuration without the machine's variables and `.env`."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from config.executors import load_executors
from config.schema.executor import Executors
from config.schema.settings import Settings, load_settings
from pipeline.model.errors import ConfigInvalid

#: The fewest keys with which an executor can start.
SMALLEST = """
[executors.argo]
mode = "exchange"
[executors.argo.size]
method = "equity_percent"
value = 10
[executors.argo.limits]
open_positions = 10
gross_exposure_percent = 100
daily_loss_percent = 5
drawdown_percent = 10
stop_distance_percent = 20
"""

Fault = Callable[[str], dict[str, str]]


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for name in list(os.environ):
        if name.startswith("TRADEWIRE_") or name.endswith(("_API_KEY", "_API_SECRET")):
            monkeypatch.delenv(name)
    for name in ("DATABASE_URL", "REDIS_URL", "PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def settings() -> Settings:
    return load_settings()


@pytest.fixture
def faults_in(tmp_path: Path) -> Fault:
    """Load an executors file with this text, which must be refused, and return the messages by key."""

    def load(text: str) -> dict[str, str]:
        path = tmp_path / "executors.toml"
        path.write_text(text, encoding="utf-8")
        with pytest.raises(ConfigInvalid) as caught:
            load_executors(path, settings=load_settings())
        return {problem.key: problem.message for problem in caught.value.problems}

    return load


@pytest.fixture
def smallest() -> str:
    return SMALLEST


@pytest.fixture
def loads(tmp_path: Path, smallest: str) -> Callable[..., Executors]:
    """Load the smallest executor with replacements in its text and further lines."""

    def load(more: str = "", **replaced: str) -> Executors:
        text = smallest
        for name, value in replaced.items():
            lines = [f"{name} = {value}" if at.startswith(f"{name} =") else at for at in text.splitlines()]
            text = "\n".join(lines)
        path = tmp_path / "executors.toml"
        path.write_text(f"{text}\n{more}", encoding="utf-8")
        return load_executors(path, settings=load_settings())

    return load
