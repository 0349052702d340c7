"""`tradewire config check` names every fault of a file in one run.

Each file in `bad_executors` begins with the keys of its faults. `{file}` stands for the path of the file, and
`{folder}` for its folder.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.command import app
from tests.waiting import patience

FOLDER = Path(__file__).parent / "bad_executors"
FILES = sorted(FOLDER.glob("*.toml"))


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith("TRADEWIRE_") or name.endswith(("_API_KEY", "_API_SECRET")):
            monkeypatch.delenv(name)
    for name in ("DATABASE_URL", "REDIS_URL", "PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def faults_of(path: Path) -> list[str]:
    first = [line.removeprefix("# fault: ") for line in path.read_text("utf-8").splitlines() if "# fault: " in line]
    return [fault.replace("{file}", str(path)).replace("{folder}", str(path.parent)) for fault in first]


def test_there_are_twenty_bad_files_at_least() -> None:
    assert len(FILES) >= 20
    assert all(faults_of(path) for path in FILES)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_fault_of_a_file_is_named_at_once(path: Path) -> None:
    result = CliRunner().invoke(app, ["config", "check", str(path), "--json"])

    body = json.loads(result.stdout)
    assert result.exit_code == 2
    assert body["status"] == "critical"
    assert sorted(problem["key"] for problem in body["problems"]) == sorted(faults_of(path))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_each_fault_is_a_line_that_begins_with_its_key_and_says_more(path: Path) -> None:
    result = CliRunner().invoke(app, ["config", "check", str(path)])

    said = [line for line in result.stdout.splitlines() if not line.startswith(("warning: ", "note: "))]
    assert result.exit_code == 2
    for fault in faults_of(path):
        assert [line for line in said if line.startswith(f"{fault}: ") and len(line) > len(fault) + 10], fault
    assert len(said) == len(faults_of(path))


def test_the_installed_command_prints_the_same() -> None:
    path = FOLDER / "misspelt_words.toml"
    command = [str(Path(sys.executable).parent / "tradewire"), "config", "check", str(path)]

    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=patience(15))

    assert done.returncode == 2
    assert [fault for fault in faults_of(path) if f"{fault}: " not in done.stdout] == []
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize("command", ["up", "produce", "work", "keep", "track", "serve"])
def test_no_process_starts_on_a_file_with_a_fault(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = FOLDER / "limits_out_of_range.toml"
    monkeypatch.setenv("TRADEWIRE_EXECUTORS", str(path))
    arguments = [command, "argo"] if command == "work" else [command]
    tradewire = str(Path(sys.executable).parent / "tradewire")
    monkeypatch.setenv("TRADEWIRE_API_TOKEN", "a-token-for-this-test")

    done = subprocess.run([tradewire, *arguments], capture_output=True, text=True, check=False, timeout=patience(15))

    assert done.returncode == 2
    assert [fault for fault in faults_of(path) if f"{fault}: " not in done.stderr] == []
