from __future__ import annotations

from pathlib import Path

import pytest

from config.checks import not_yet
from config.checks.not_yet import not_enforced_yet
from config.executors import load_executors
from config.schema.executor import Executors, ExecutorSettings
from config.schema.settings import load_settings


def load(tmp_path: Path, text: str) -> Executors:
    path = tmp_path / "executors.toml"
    path.write_text(text, encoding="utf-8")
    return load_executors(path, settings=load_settings())


def test_a_key_that_does_not_act_yet_is_named_once_for_all_executors(tmp_path: Path, smallest: str) -> None:
    one = f'{smallest}[executors.argo.order]\nunprotected = "guard"\n'
    text = one + one.replace("executors.argo", "executors.prop_firm")

    assert not_enforced_yet(load(tmp_path, text)) == ["order.unprotected"]


def test_defaults_and_keys_that_act_are_not_named(tmp_path: Path, smallest: str) -> None:
    assert not_enforced_yet(load(tmp_path, smallest)) == []


@pytest.mark.parametrize(("value", "named"), [("allow", False), ("guard", True), ("refuse", True)])
def test_entries_without_a_stop_are_named_when_they_are_not_just_allowed(
    tmp_path: Path, smallest: str, value: str, *, named: bool
) -> None:
    text = f'{smallest}[executors.argo.order]\nunprotected = "{value}"\n'

    assert ("order.unprotected" in not_enforced_yet(load(tmp_path, text))) is named


def test_the_keys_that_do_not_act_yet_exist() -> None:
    for section, name in not_yet._ACTING:
        assert name in ExecutorSettings.model_fields[section].annotation.model_fields  # type: ignore[union-attr]


def test_the_comments_of_the_shipped_file_say_which_keys_do_not_act() -> None:
    lines = (Path(__file__).parents[3] / "config/executors.toml").read_text().splitlines()
    said = {line.split()[0] for line in lines if "no effect yet" in line}

    assert said == {key.partition(".")[2] for key in not_yet.not_yet()}
