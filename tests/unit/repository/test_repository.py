"""The files beside the code agree with the code."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from config.executors import load_executors
from config.schema.settings import load_settings
from pipeline.entrypoints.supervisor.process_table import process_lines

_ROOT = Path(__file__).parents[3]
DEV = "requirements-dev.lock"


def _project() -> dict[str, object]:
    project: dict[str, object] = tomllib.loads((_ROOT / "pyproject.toml").read_text())["project"]
    return project


def _name(requirement: str) -> str:
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert found
    return re.sub(r"[-_.]+", "-", found[0]).lower()


def _locked(lock: str) -> dict[str, str]:
    """The blocks of the lock file by package name."""
    blocks = re.split(r"\n(?=[A-Za-z0-9])", (_ROOT / lock).read_text())
    return {_name(block): block for block in blocks if not block.startswith("#")}


def _version(block: str) -> str:
    return block.split(maxsplit=1)[0]


@pytest.mark.parametrize(
    ("lock", "extras"), [("requirements.lock", ["embedded", "build"]), (DEV, ["embedded", "build", "dev"])]
)
def test_a_lock_names_everything_that_the_project_asks_for(lock: str, extras: list[str]) -> None:
    project = _project()
    optional = project["optional-dependencies"]
    assert isinstance(optional, dict)
    asked = [*project["dependencies"], *(each for extra in extras for each in optional[extra])]  # type: ignore[misc]

    assert {_name(requirement) for requirement in asked} - _locked(lock).keys() == set()


def test_the_lock_of_the_installation_has_no_tool_and_the_versions_of_the_other() -> None:
    run, dev = _locked("requirements.lock"), _locked(DEV)

    assert {"pytest", "ruff", "mypy", "uv", "fakeredis", "playwright"} & run.keys() == set()
    assert {name: _version(block) for name, block in run.items()} == {name: _version(dev[name]) for name in run}


@pytest.mark.parametrize("lock", ["requirements.lock", DEV])
def test_a_lock_has_a_hash_for_every_package_and_names_no_index(lock: str) -> None:
    locked = _locked(lock)

    assert len(locked) > 50
    assert [name for name, block in locked.items() if "--hash=sha256:" not in block or "==" not in block] == []
    assert re.findall(r"://|--(?:extra-)?index-url|--find-links|--trusted-host", "\n".join(locked.values())) == []


@pytest.mark.parametrize("lock", ["requirements.lock", DEV])
def test_a_lock_says_nothing_of_the_machine_it_was_made_on(lock: str) -> None:
    header = re.split(r"^[a-z0-9][a-z0-9.-]*==", (_ROOT / lock).read_text(), flags=re.MULTILINE)[0]

    assert [line for line in header.splitlines() if not line.startswith("#")] == []
    assert "/" not in header


def test_the_procfile_runs_what_up_runs() -> None:
    text = (_ROOT / "Procfile").read_text()
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    in_procfile = {line.partition(":")[0]: line.partition(":")[2].split()[1:] for line in lines}
    executors = load_executors(_ROOT / "config" / "executors.toml", settings=load_settings(env_file=None))
    by_up = process_lines(dict.fromkeys(executors, 1), web_port=1, dashboard_port=2, exchange_port=3)

    assert in_procfile.keys() == {line.group for line in by_up}
    for line in by_up:
        command = " ".join(in_procfile[line.group])
        assert command in " ".join(line.command)
    # `up` runs the servers and the exchange, and honcho the others.
    others = list(in_procfile.keys() - {"exchange"})
    assert sorted(re.findall(r"--without (\S+)", text)[0].split(",")) == sorted(others)
    assert sorted(re.findall(r"#   honcho start (.*)", text)[0].split()) == sorted(others)


def test_every_start_of_a_module_leaves_the_working_folder_out() -> None:
    sources = [
        path
        for folder in ("config", "pipeline", "workers")
        for path in (_ROOT / folder).rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    ]
    texts = {path: path.read_text(errors="replace") for path in [_ROOT / "Procfile", *sources]}
    start = re.compile(r"""(?:"-P", )?"-m"|python3? (?:-P )?-m (?:pipeline|workers|config)\b""")

    found = {f"{path}: {one}" for path, text in texts.items() for one in start.findall(text) if "-P" not in one}

    assert found == set()
