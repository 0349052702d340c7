from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from config.services import Services
from pipeline.entrypoints.supervisor.console import print_alarm, print_banner
from pipeline.entrypoints.supervisor.plan import Plan
from pipeline.entrypoints.supervisor.process_table import process_lines

SERVICES = Services(web_url="http://127.0.0.1:8000", api_token="open-sesame-open-sesame")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def printed(home: Path, output: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> str:
    processes = process_lines({"argo": 1}, web_port=8000, dashboard_port=9181, exchange_port=None)
    monkeypatch.setattr(sys, "stdout", output)
    print_banner(
        Plan(home=home, servers=[], processes=processes, environment={}, services=SERVICES, remarks=[], executors=[]),
        SERVICES,
    )
    return output.getvalue()


def test_a_terminal_is_shown_a_link_that_opens_the_page_and_no_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = printed(tmp_path, Terminal(), monkeypatch)

    assert "OPEN          http://127.0.0.1:8000/login/once/" in said
    assert "open-sesame" not in said


def test_a_log_holds_no_way_to_log_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "/login/once/" not in printed(tmp_path, io.StringIO(), monkeypatch)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("output", "red"), [(Terminal(), True), (io.StringIO(), False)])
def test_an_alarm_is_red_on_a_terminal(output: io.StringIO, monkeypatch: pytest.MonkeyPatch, *, red: bool) -> None:
    monkeypatch.setattr(sys, "stdout", output)
    print_alarm("argo \x1b[2J crashes")

    assert output.getvalue().startswith("\x1b[1;31margo") == red
    assert "\x1b[2J" not in output.getvalue()
