from __future__ import annotations

import os
from pathlib import Path

import pytest

from config.left_over import left_over_variables
from config.services import Services, write_services

PAST = "postgresql://postgres@/tradewire?host=/tmp/past"


@pytest.fixture(autouse=True)
def shell(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("REDIS_URL", "TRADEWIRE_EXCHANGE_URL", "TRADEWIRE_EXCHANGE_TOKEN", "TRADEWIRE_API_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRADEWIRE_HOME", str(tmp_path))
    monkeypatch.setenv("DATABASE_URL", PAST)


def left_over(home: Path, url: str, **pids: int) -> str:
    write_services(home, Services(database_url=url, pids=pids))
    return left_over_variables() or ""


def test_a_variable_of_an_up_that_has_ended_is_named_with_the_way_out(tmp_path: Path) -> None:
    said = left_over(tmp_path, PAST)

    assert said.startswith(f"this shell sets DATABASE_URL, of the `tradewire up` in {tmp_path}, which has ended.")
    assert "unset DATABASE_URL" in said
    assert PAST not in said


def test_a_variable_of_the_up_before_the_running_one_is_named_with_the_way_out(tmp_path: Path) -> None:
    said = left_over(tmp_path, "postgresql://postgres@/tradewire?host=/tmp/now", up=os.getpid())

    assert f"DATABASE_URL, not of the `tradewire up` that runs in {tmp_path}" in said
    assert "config env" in said


def test_the_variables_of_the_running_up_and_ones_own_are_no_left_overs(tmp_path: Path) -> None:
    assert left_over_variables() is None
    assert left_over(tmp_path, PAST, up=os.getpid()) == ""
    assert left_over(tmp_path, "postgresql://postgres@/tradewire?host=/tmp/other") == ""
