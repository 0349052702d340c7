"""The command ends with one line, not with a traceback, whatever its folder and its streams are."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.entrypoints.cli import flatten, run, start
from pipeline.entrypoints.cli.output import ClosedOutput


def test_a_removed_working_folder_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "removed"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    monkeypatch.setattr(sys, "argv", ["tradewire", "config", "check"])

    with pytest.raises(SystemExit) as ended:
        run.main()

    assert ended.value.code == 2
    assert capsys.readouterr().err == "tradewire: the working folder was removed: change to another one\n"


@pytest.mark.parametrize("arguments", [["reasons"], ["reasons", "--json"], ["executions", "--help"]])
def test_a_closed_output_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "argv", ["tradewire", *arguments])

    with pytest.raises(SystemExit) as ended:
        run.main()

    assert ended.value.code == 1
    assert capsys.readouterr().err == "tradewire: the output cannot be written: it is closed\n"
    assert isinstance(sys.stdout, ClosedOutput)
    sys.stdout.close()


def test_flatten_goes_on_when_nobody_reads_its_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_lines: str, err: bool = False) -> None:
        raise BrokenPipeError

    monkeypatch.setattr(flatten, "echo", refuse)

    flatten._say_line("argo", as_json=False, line="held: nothing")


def test_while_the_commands_module_loads_ctrl_c_ends_with_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    handlers: list[object] = []

    def build(_arguments: list[str]) -> Callable[[], None]:
        handlers.append(signal.getsignal(signal.SIGINT))
        return lambda: handlers.append(signal.getsignal(signal.SIGINT))

    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(run, "build", build)
    try:
        start.main()
    finally:
        signal.signal(signal.SIGINT, before)

    assert handlers == [start._end, signal.default_int_handler]
