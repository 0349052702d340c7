from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from pipeline.entrypoints.supervisor.process_table import ProcessLine, leave_out, process_lines, server_lines
from pipeline.entrypoints.supervisor.servers.spawn import guard_command
from pipeline.model.errors import ConfigInvalid


def _lines(**executors: int) -> list[ProcessLine]:
    return process_lines(executors, web_port=1, dashboard_port=2, exchange_port=3)


def _names(lines: list[ProcessLine]) -> list[str]:
    return [line.name for line in lines]


def test_every_executor_of_the_file_gets_its_workers() -> None:
    lines = _lines(argo=1, prop_firm=2)

    assert _names(lines) == [
        "exchange",
        "argo",
        "prop_firm.1",
        "prop_firm.2",
        "producer",
        "keeper",
        "tracker",
        "web",
        "rq_dashboard",
    ]
    assert [list(line.command[-2:]) for line in lines if line.group == "prop_firm"] == [["work", "prop_firm"]] * 2


def test_without_a_port_for_it_the_exchange_is_not_run() -> None:
    assert "exchange" not in _names(process_lines({"argo": 1}, web_port=1, dashboard_port=2, exchange_port=None))


@pytest.mark.parametrize(
    ("without", "gone"),
    [
        (["prop_firm"], {"prop_firm.1", "prop_firm.2"}),
        (["prop_firm.2", "web"], {"prop_firm.2", "web"}),
        ([], set()),
    ],
)
def test_a_name_leaves_out_a_process_or_all_of_its_group(without: list[str], gone: set[str]) -> None:
    lines = _lines(argo=1, prop_firm=2)

    assert set(_names(lines)) - set(_names(leave_out(lines, without))) == gone


def test_names_of_no_process_are_refused_all_at_once_with_those_that_exist() -> None:
    with pytest.raises(ConfigInvalid) as caught:
        leave_out(_lines(argo=2), ["agro", "web", "fax"])

    assert len(caught.value.problems) == 2
    assert "did you mean argo?" in str(caught.value)
    assert "exchange, argo.1, argo.2, producer, keeper, tracker, web, rq_dashboard" in str(caught.value)


@pytest.mark.parametrize(
    ("valkey", "postgres", "servers"),
    [
        (True, True, ["postgres", "valkey"]),
        (False, True, ["postgres"]),
        (True, False, ["valkey"]),
        (False, False, []),
    ],
)
def test_only_the_servers_that_are_not_given_are_embedded(*, valkey: bool, postgres: bool, servers: list[str]) -> None:
    lines = server_lines("/home", valkey=valkey, postgres=postgres)

    assert _names(lines) == servers
    assert all(line.server for line in lines)


@pytest.mark.parametrize("command", [_lines(argo=1)[1].command, _lines()[-1].command, guard_command("valkey")])
def test_no_code_from_the_working_folder_runs(tmp_path: Path, command: Sequence[str]) -> None:
    for module in ("structlog", "config"):
        (tmp_path / f"{module}.py").write_text("raise SystemExit('planted code ran')")

    done = subprocess.run([*command, "--help"], cwd=tmp_path, check=False, capture_output=True, text=True)

    assert (done.returncode, done.stderr) == (0, "")
