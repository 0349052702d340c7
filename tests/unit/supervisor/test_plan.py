"""`up` refuses what was set and cannot be kept, before anything is started."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from config.schema.settings import Settings
from pipeline.entrypoints.supervisor.plan import make_plan
from pipeline.entrypoints.supervisor.servers.addresses import LOOPBACK
from pipeline.model.errors import ConfigInvalid

EXECUTORS = Path("config/executors.toml").absolute()


def test_a_port_that_was_set_and_is_taken_is_refused(tmp_path: Path) -> None:
    with socket.create_server((LOOPBACK, 0)) as other:
        port = other.getsockname()[1]
        settings = Settings(home=tmp_path, executors=EXECUTORS, port=port)

        with pytest.raises(ConfigInvalid, match=rf"PORT: another program listens on {port}"):
            make_plan(settings, source="none", without=[])
        plan = make_plan(settings, source="none", without=["web"])

    plan.reservations.release()


def test_the_port_that_was_set_goes_to_web_even_if_it_is_the_usual_one_of_another_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server((LOOPBACK, 0)) as other:
        port = other.getsockname()[1]
    monkeypatch.setattr("pipeline.entrypoints.supervisor.plan.EXCHANGE_PORT", port)

    plan = make_plan(Settings(home=tmp_path, executors=EXECUTORS, port=port), source="none", without=[])
    plan.reservations.release()

    assert plan.services.web_url == f"http://{LOOPBACK}:{port}"


@pytest.mark.parametrize("name", ["a,b", "a\nb"])
def test_a_home_with_a_character_that_the_servers_cannot_have_in_a_path_is_refused(tmp_path: Path, name: str) -> None:
    settings = Settings(home=tmp_path / name, executors=EXECUTORS)

    with pytest.raises(ConfigInvalid, match="TRADEWIRE_HOME: the path has a comma or a control character"):
        make_plan(settings, source="none", without=[])
