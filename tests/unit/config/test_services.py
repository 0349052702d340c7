from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import psutil
import pytest

from config.schema.settings import load_settings
from config.services import Services, effective, read_services, running_services, write_services
from pipeline.model.errors import ConfigInvalid

KEYS = {
    "database_url", "redis_url", "exchange_url", "exchange_token", "web_url", "rq_dashboard_url", "api_token", "pids",
    "folder", "executors", "webhooks", "alerts",
}  # fmt: skip


def services(*, pid: int | None = None) -> Services:
    return Services(
        database_url="postgresql://u:hunter2@127.0.0.1:5433/d",
        redis_url="redis://127.0.0.1:6380/0",
        exchange_url="http://127.0.0.1:8100",
        web_url="http://127.0.0.1:8000",
        rq_dashboard_url="http://127.0.0.1:9181",
        api_token="hunter3",
        pids={"up": os.getpid() if pid is None else pid},
    )


def test_services_are_read_back_as_written(tmp_path: Path) -> None:
    write_services(tmp_path / "home", services())

    assert read_services(tmp_path / "home") == services()


def test_the_file_holds_the_keys_of_the_contract_for_its_owner_only(tmp_path: Path) -> None:
    path = write_services(tmp_path / "home", services())

    assert path == tmp_path / "home" / "services.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    written = json.loads(path.read_text(encoding="utf-8"))
    assert written.keys() == KEYS
    assert written["api_token"] == "hunter3"


def test_writing_again_replaces_the_whole_file_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    write_services(tmp_path, services())
    write_services(tmp_path, Services(pids={"up": 1}))

    assert read_services(tmp_path) == Services(pids={"up": 1})
    assert [path.name for path in tmp_path.iterdir()] == ["services.json"]


def test_no_file_is_none(tmp_path: Path) -> None:
    assert read_services(tmp_path) is None


@pytest.mark.parametrize("content", ["", "{", '{"pids": 3}', '{"api_token": ["hunter3"]}'])
def test_a_file_that_up_did_not_write_is_refused_without_repeating_it(tmp_path: Path, content: str) -> None:
    (tmp_path / "services.json").write_text(content, encoding="utf-8")

    with pytest.raises(ConfigInvalid) as caught:
        read_services(tmp_path)

    assert "hunter3" not in str(caught.value)


def test_secrets_do_not_show_in_its_repr() -> None:
    assert "hunter" not in repr(services())


def test_services_of_a_running_up_are_used(tmp_path: Path) -> None:
    write_services(tmp_path, services())

    assert running_services(tmp_path) == services()


def test_services_of_an_up_that_has_ended_are_ignored(tmp_path: Path) -> None:
    with psutil.Popen(["true"]) as ended:
        ended.wait(10)
    write_services(tmp_path, services(pid=ended.pid))

    assert running_services(tmp_path) is None


def test_a_later_process_with_the_same_id_is_not_up(tmp_path: Path) -> None:
    path = write_services(tmp_path, services())
    before_we_started = psutil.Process().create_time() - 60
    os.utime(path, (before_we_started, before_we_started))

    assert running_services(tmp_path) is None


def test_a_running_up_completes_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    write_services(tmp_path / ".tradewire", services())
    monkeypatch.setenv("REDIS_URL", "redis://own:1/0")

    settings = effective(load_settings())

    assert settings.redis_url is not None
    assert settings.redis_url.get_secret_value() == "redis://own:1/0"
    assert settings.database_url == services().database_url
    assert settings.api_token == services().api_token
    assert settings.exchange_url == "http://127.0.0.1:8100"


def test_beside_an_up_that_is_gone_only_the_environment_counts(tmp_path: Path) -> None:
    write_services(tmp_path / ".tradewire", Services(redis_url="redis://h/0"))

    assert effective(load_settings()) == load_settings()


AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")


@AS_ROOT
def test_an_up_runs_as_the_user_who_wrote_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Otherwise another user's file could name a process of this user, and `tradewire down` would end it."""
    folder = tmp_path / "theirs"
    path = write_services(folder / ".tradewire", services())
    assert running_services(folder / ".tradewire") is not None

    for each in (folder, path):
        os.chown(each, 65534, 65534)

    with pytest.raises(ConfigInvalid, match="belongs to the user"):
        running_services(folder / ".tradewire")
    monkeypatch.setenv("SUDO_UID", "65534")
    assert running_services(folder / ".tradewire") is None


@AS_ROOT
def test_a_file_that_another_user_put_into_a_shared_folder_is_refused(tmp_path: Path) -> None:
    """Its addresses would lead to that user's servers, and signals, keys and halts would go there."""
    path = write_services(tmp_path / ".tradewire", services())
    os.chown(path, 65534, 65534)

    with pytest.raises(ConfigInvalid, match="belongs to the user"):
        read_services(tmp_path / ".tradewire")
