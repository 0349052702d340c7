"""A command that changes something first names the home that it changes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from config.schema.settings import load_settings
from config.services import Services, write_services
from pipeline.startup.acting import name_accounts

URL = "postgresql://postgres@/tradewire?host=%2Ftmp%2Fhome"


@pytest.fixture(autouse=True)
def shell(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRADEWIRE_HOME", str(tmp_path))
    monkeypatch.setenv("DATABASE_URL", URL)


def named(capsys: pytest.CaptureFixture[str]) -> str:
    name_accounts(load_settings(), ["argo"])
    return capsys.readouterr().err


def test_the_record_of_a_running_up_is_named_by_its_home(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_services(tmp_path, Services(database_url=URL, pids={"up": os.getpid()}))

    assert named(capsys) == f"home {tmp_path}: argo (mode unknown)\n"


def test_another_record_is_named_by_its_address(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_services(tmp_path, Services(database_url="postgresql://127.0.0.1/other", pids={"up": os.getpid()}))

    assert named(capsys) == f"record {URL}: argo (mode unknown)\n"


def test_a_password_in_the_query_of_the_address_is_not_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://127.0.0.1/d?user=u&password=hunter2")

    assert named(capsys) == "record postgresql://127.0.0.1/d?user=u&password=***: argo (mode unknown)\n"
