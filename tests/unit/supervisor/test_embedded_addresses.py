"""A shell that names an embedded server of an `up` that has ended is refused; other addresses are the user's own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from config.services import Services, write_services
from config.started_homes import remember_home
from pipeline.entrypoints.supervisor.embedded_addresses import refuse_ended_servers
from pipeline.entrypoints.supervisor.servers.postgres import embedded_database_url
from pipeline.model.errors import ConfigInvalid


@pytest.fixture
def ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home of an `up` that has ended, with the password of its Valkey."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.delenv("REDIS_URL", raising=False)
    home = tmp_path / "one"
    (home / "valkey").mkdir(parents=True)
    (home / "valkey/password").write_text("hunter2hunter2")
    write_services(home, Services(redis_url="redis://:hunter2hunter2@127.0.0.1:7001/0"))
    remember_home(home)
    return home


@pytest.mark.parametrize(
    "url", ["redis://:hunter2hunter2@127.0.0.1:7000/0", "unix://:hunter2hunter2@{}/valkey/valkey.sock?db=0"]
)
def test_the_redis_of_an_earlier_start_in_another_home_is_recognized(
    tmp_path: Path, ended: Path, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("REDIS_URL", url.format(ended))

    with pytest.raises(ConfigInvalid) as refused:
        refuse_ended_servers(tmp_path / "two")

    assert f"REDIS_URL, of the `tradewire up` in {ended}, which has ended: run `unset REDIS_URL`" in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_a_server_of_ones_own_and_that_of_a_running_up_are_not_refused(
    tmp_path: Path, ended: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = "postgresql://postgres@/tradewire?host=%2Fvar%2Frun%2Fpostgresql"
    # After an `up` with a server of one's own, services.json names that server.
    write_services(ended, Services(database_url=own))
    monkeypatch.setenv("DATABASE_URL", own)
    refuse_ended_servers(ended)

    monkeypatch.setenv("DATABASE_URL", embedded_database_url(ended / "postgres"))
    with pytest.raises(ConfigInvalid, match="DATABASE_URL"):
        refuse_ended_servers(tmp_path / "two")
    write_services(ended, Services(pids={"up": os.getpid()}))
    refuse_ended_servers(tmp_path / "two")
