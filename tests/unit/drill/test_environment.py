"""A drill's processes do not get the user's servers, keys and settings."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from pipeline.entrypoints.drill.processes import clean_environment
from pipeline.entrypoints.drill.system import WORKERS, write_executors


@pytest.mark.parametrize(
    "name",
    ["DATABASE_URL", "REDIS_URL", "PORT", "TRADEWIRE_EXECUTORS", "ARGO_API_KEY", "ARGO_API_SECRET", "PGHOST"],
)
def test_no_variable_with_a_server_or_a_key_is_taken_over(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "the user's")

    assert name not in clean_environment()


def test_variables_that_a_program_needs_are_taken_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/somewhere")

    environment = clean_environment(TRADEWIRE_HOME="/scratch")

    assert (environment["PATH"], environment["TRADEWIRE_HOME"]) == ("/somewhere", "/scratch")


def test_the_executors_are_the_shipped_ones_for_load_with_more_workers(tmp_path: Path) -> None:
    names = write_executors(tmp_path / "executors.toml")

    tables = tomllib.loads((tmp_path / "executors.toml").read_text())["executors"]
    shipped = tomllib.loads(Path("config/executors.load.toml").read_text())["executors"]
    assert tuple(shipped) == names
    assert {name: table | {"concurrency": WORKERS} for name, table in shipped.items()} == tables
