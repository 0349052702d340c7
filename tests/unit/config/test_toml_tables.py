from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from config.executors import load_executors
from config.schema.settings import load_settings
from config.schema.toml_tables import parsed_toml
from pipeline.model.errors import ConfigInvalid

Faults = Callable[[str], dict[str, str]]


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "executors.argo"),
        ("[executors]\n", "executors.argo"),
        ("executors = 3\n", "executors.argo"),
        ("[executor.argo]\n", "executors.argo"),
    ],
)
def test_a_file_without_an_executor_is_refused(faults_in: Faults, text: str, part: str) -> None:
    assert part in faults_in(text)["executors"]


def test_a_syntax_error_is_reported_with_its_line(faults_in: Faults, tmp_path: Path) -> None:
    faults = faults_in('[executors.argo]\nmode = "exchange\n')

    assert "line 2" in faults[str(tmp_path / "executors.toml")]


def test_a_key_given_twice_is_refused(faults_in: Faults, tmp_path: Path) -> None:
    faults = faults_in('[executors.argo]\nmode = "exchange"\nmode = "live"\n')

    assert "is not TOML" in faults[str(tmp_path / "executors.toml")]


def test_a_missing_file_says_which_variable_names_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match=r"nowhere\.toml: cannot be read .*TRADEWIRE_EXECUTORS"):
        load_executors(tmp_path / "nowhere.toml", settings=load_settings())


@pytest.mark.parametrize("name", ["Argo", "1st", "ar-go", "a" * 33, "web", "keeper", "exchange"])
def test_an_executor_name_that_is_not_allowed_is_refused(faults_in: Faults, smallest: str, name: str) -> None:
    assert f"executors.{name}" in faults_in(smallest.replace("executors.argo", f"executors.{name}"))


def test_a_byte_order_mark_is_no_part_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_bytes(b"\xef\xbb\xbfa = 1\n")

    assert parsed_toml(path) == {"a": 1}
