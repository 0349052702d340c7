"""A full disk, a closed input, an early Ctrl-C and an option without a command lead to one line each."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from config.services import Services, write_services
from pipeline.entrypoints.supervisor.offline import offline_postgres
from tests.waiting import patience

REPOSITORY = Path(__file__).parents[3]
COMMAND = [sys.executable, "-m", "pipeline.entrypoints.cli"]


def run(here: Path, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    users_folders = {name: value for name, value in os.environ.items() if name.startswith("XDG_")}
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(REPOSITORY)} | users_folders
    env |= {"TRADEWIRE_EXECUTORS": str(REPOSITORY / "config/executors.toml")} | options.pop("env", {})
    return subprocess.run(
        [*COMMAND, *arguments], check=False, cwd=here, env=env, stderr=subprocess.PIPE, text=True, **options
    )


def test_the_version_is_printed_without_a_command(tmp_path: Path) -> None:
    ended = run(tmp_path, "--version", stdout=subprocess.PIPE)

    assert (ended.returncode, ended.stdout.split()[0], ended.stderr) == (0, "tradewire", "")


@pytest.mark.parametrize("command", [["reasons"], ["reasons", "--json"], ["--version"]])
def test_a_full_disk_is_named(tmp_path: Path, command: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        ended = run(tmp_path, *command, stdout=full)

    assert ended.returncode == 1
    assert ended.stderr == "tradewire: the output cannot be written: No space left on device\n"


def test_a_closed_input_is_named(tmp_path: Path) -> None:
    ended = run(tmp_path, "webhook", "test", "-", preexec_fn=lambda: os.close(0))

    assert (ended.returncode, ended.stderr) == (2, "-: standard input is closed\n")


def test_a_variable_of_up_that_is_set_by_hand_is_named(tmp_path: Path) -> None:
    ended = run(tmp_path, "reasons", env={"TRADEWIRE_LIFELINE": "abc"}, stdout=subprocess.PIPE)

    said = "TRADEWIRE_LIFELINE: only `tradewire up` sets it; run `unset` on it\n"
    assert (ended.returncode, ended.stderr) == (2, said)


def test_rq_dashboard_on_a_taken_port_is_one_line(tmp_path: Path) -> None:
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(REPOSITORY), "REDIS_URL": "redis://127.0.0.1:1/0"}
    env["TRADEWIRE_API_TOKEN"] = "open-sesame-open-sesame"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = subprocess.run(
            [sys.executable, "-P", "-m", "pipeline.entrypoints.rq_dashboard", "--port", str(port)],
            check=False, cwd=tmp_path, env=env, capture_output=True, text=True,
        )  # fmt: skip

    said = f"cannot listen on 127.0.0.1:{port}: Address already in use\n"
    assert (ended.returncode, ended.stderr) == (2, said)


def test_an_early_interrupt_is_one_line(tmp_path: Path) -> None:
    # Ctrl-C is sent after the first of our modules is imported, and long before the last one.
    program = "import os, signal; from pipeline.entrypoints.cli import start; "
    program += "import sys; sys.meta_path.insert(0, type('Late', (), {'find_spec': staticmethod("
    program += "lambda *_: os.kill(os.getpid(), signal.SIGINT))})()); start.main()"
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=REPOSITORY, stderr=subprocess.PIPE, text=True, check=False
    )

    assert (ended.returncode, ended.stderr) == (128 + signal.SIGINT, "tradewire: interrupted\n")


def test_an_interrupt_at_a_question_ends_the_command_as_at_any_other_moment(tmp_path: Path) -> None:
    ours, theirs = os.openpty()
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(REPOSITORY), "TRADEWIRE_HOME": str(tmp_path)}
    with subprocess.Popen(["sleep", "600"]) as up:
        try:
            write_services(tmp_path, Services(pids={"up": up.pid}))
            down = subprocess.Popen([*COMMAND, "down"], stdin=theirs, stdout=theirs, stderr=subprocess.DEVNULL, env=env)
            said = b""
            while b"Stop it? [y/N]:" not in said:
                said += os.read(ours, 1000)
            down.send_signal(signal.SIGINT)
            assert down.wait(patience(30)) == 128 + signal.SIGINT
            assert up.poll() is None
        finally:
            up.kill()
    assert os.read(ours, 1000).split() == b"nothing was changed".split()
    os.close(ours)
    os.close(theirs)


@pytest.mark.parametrize(
    ("source", "variable"), [("alpaca", "ALPACA_API_KEY"), ("file", "TRADEWIRE_SOURCE_FILE"), ("x", "TRADEWIRE_SOURCE")]
)
@pytest.mark.parametrize("command", [["config", "check"], ["up", "--for", "1"]])
def test_a_source_that_cannot_be_opened_is_refused_before_anything_starts(
    tmp_path: Path, source: str, variable: str, command: list[str]
) -> None:
    ended = run(tmp_path, *command, env={"TRADEWIRE_SOURCE": source}, stdout=subprocess.PIPE)

    assert ended.returncode == 2
    # `up` first names the file of the executors.
    assert f"\n{variable}: " in "\n" + ended.stdout + ended.stderr


def test_an_unknown_source_is_refused_with_all_names_that_exist(tmp_path: Path) -> None:
    ended = run(tmp_path, "up", "--source", "nonse", stdout=subprocess.PIPE)

    assert ended.returncode == 2
    assert "'nonse' is not a source; known are: alpaca, drill, file, none, replay" in ended.stderr


@pytest.mark.parametrize(("variable", "text"), [("ALERTS", "group_s = 0"), ("WEBHOOKS", "[webhooks.mine]\nx = 1")])
def test_up_refuses_a_wrong_file_that_would_end_keeper_and_web_at_each_start(
    tmp_path: Path, variable: str, text: str
) -> None:
    (tmp_path / "wrong.toml").write_text(text)

    ended = run(tmp_path, "up", "--for", "1", env={f"TRADEWIRE_{variable}": "wrong.toml"}, stdout=subprocess.PIPE)

    assert ended.returncode == 2
    assert ended.stderr.startswith(("group_s: ", "webhooks.mine.x: "))
    assert not (tmp_path / ".tradewire").exists()


@pytest.mark.parametrize("command", [["config", "check"], ["doctor"]])
@pytest.mark.parametrize("content", [b"PORT=1\nX=\xff\n", b"PORT=1\nno variable\n", b'PORT=1\nX="open\n'])
def test_a_bad_line_of_the_environment_file_is_named(tmp_path: Path, content: bytes, command: list[str]) -> None:
    (tmp_path / ".env").write_bytes(content)

    ended = run(tmp_path, *command, stdout=subprocess.PIPE)

    assert ended.returncode == 2
    assert (ended.stdout + ended.stderr).startswith(f"{tmp_path}/.env:2: is not ")


def test_a_variable_left_over_from_a_run_that_has_ended_is_named_beside_what_cannot_be_reached(tmp_path: Path) -> None:
    url = f"postgresql://postgres@/tradewire?host={tmp_path}"
    (tmp_path / "services.json").write_text(json.dumps({"database_url": url}))

    ended = run(tmp_path, "report", env={"TRADEWIRE_HOME": str(tmp_path), "DATABASE_URL": url})

    assert ended.returncode == 1
    assert ended.stderr.startswith("tradewire: PostgreSQL cannot be reached")
    assert ended.stderr.splitlines()[-1].startswith("tradewire: this shell sets DATABASE_URL, of the `tradewire up`")


@pytest.mark.parametrize(("command", "code"), [(["config", "check"], 0), (["doctor"], 2)])
def test_without_files_a_check_uses_the_shipped_ones_as_up_does(tmp_path: Path, command: list[str], code: int) -> None:
    users_folders = {"XDG_CONFIG_HOME": str(tmp_path / "user"), "XDG_STATE_HOME": str(tmp_path / "state")}
    ended = run(tmp_path, *command, env={"TRADEWIRE_EXECUTORS": "", **users_folders}, stdout=subprocess.PIPE)

    assert ended.returncode == code, ended.stderr
    assert f"{REPOSITORY}/config/executors.toml, as shipped" in ended.stdout + ended.stderr


def test_doctor_first_says_that_nothing_runs(tmp_path: Path) -> None:
    ended = run(tmp_path, "doctor", stdout=subprocess.PIPE)

    assert ended.stdout.startswith(f"nothing runs in {tmp_path}/.tradewire: `tradewire up` starts everything\n")


def test_doctor_names_the_home_in_its_remedies_where_it_was_only_found_as_the_last_started_one(tmp_path: Path) -> None:
    # PostgreSQL's user may pass through this folder, also where the tests run as root.
    folder = Path(tempfile.mkdtemp(prefix="tradewire-"))
    folder.chmod(0o755)
    home, here = folder / ".tradewire", tmp_path / "here"
    (home / "postgres").mkdir(parents=True)
    here.mkdir()
    # This process takes the place of `up`; its PostgreSQL has no tables.
    with offline_postgres(home) as url:
        write_services(home, Services(database_url=url, folder=home.parent, pids={"up": os.getpid()}))
        state = tmp_path / "state/tradewire/homes"
        state.mkdir(parents=True)
        (state / "0").write_text(str(home))
        env = {"XDG_STATE_HOME": str(tmp_path / "state"), "XDG_CONFIG_HOME": str(tmp_path / "user")}

        elsewhere = run(here, "doctor", env=env, stdout=subprocess.PIPE)
        in_place = run(home.parent, "doctor", env=env, stdout=subprocess.PIPE)

    assert f"Run `TRADEWIRE_HOME={home} tradewire migrate`." in elsewhere.stdout
    assert "Run `tradewire migrate`." in in_place.stdout
    shutil.rmtree(folder)
