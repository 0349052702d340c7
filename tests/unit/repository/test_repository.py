"""The files beside the code say what the code needs."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from config.executors import load_executors
from config.schema.settings import load_settings
from pipeline.entrypoints.supervisor.process_table import process_lines

_ROOT = Path(__file__).parents[3]


def _project() -> dict[str, object]:
    project: dict[str, object] = tomllib.loads((_ROOT / "pyproject.toml").read_text())["project"]
    return project


def _name(requirement: str) -> str:
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert found
    return re.sub(r"[-_.]+", "-", found[0]).lower()


def _locked() -> dict[str, str]:
    """The lock's blocks, one per package, by its name."""
    blocks = re.split(r"\n(?=[A-Za-z0-9])", (_ROOT / "requirements.lock").read_text())
    return {_name(block): block for block in blocks if not block.startswith("#")}


def test_the_lock_names_everything_that_the_project_asks_for() -> None:
    project = _project()
    extras = project["optional-dependencies"]
    assert isinstance(extras, dict)
    asked = [*project["dependencies"], *extras["embedded"], *extras["dev"]]  # type: ignore[misc]

    assert {_name(requirement) for requirement in asked} - _locked().keys() == set()


def test_the_lock_has_a_hash_for_every_package_and_names_no_index() -> None:
    locked = _locked()

    assert len(locked) > 50
    assert [name for name, block in locked.items() if "--hash=sha256:" not in block or "==" not in block] == []
    assert re.findall(r"://|--(?:extra-)?index-url|--find-links|--trusted-host", "\n".join(locked.values())) == []


def test_the_lock_says_nothing_of_the_machine_it_was_made_on() -> None:
    header = re.split(r"^[a-z0-9][a-z0-9.-]*==", (_ROOT / "requirements.lock").read_text(), flags=re.MULTILINE)[0]

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
