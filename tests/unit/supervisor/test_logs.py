from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.entrypoints.supervisor.logs import LogTail, open_log


class _Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return open_log(tmp_path / "logs", "argo")


def _write(log: Path, *lines: str) -> None:
    with log.open("a") as file:
        file.writelines(line + "\n" for line in lines)


def _entry(level: str, event: str, **facts: object) -> str:
    return json.dumps({"event": event, "level": level, "timestamp": "…", "process": "argo", **facts})


def test_errors_are_passed_on_and_all_else_stays_in_the_file(log: Path) -> None:
    tail = LogTail(log)
    _write(log, _entry("info", "order.submitted"), "plain words", "{not json", "[1]", _entry("warning", "x.late"))
    _write(log, _entry("error", "broker.refused", executor="argo"), _entry("critical", "disk.filled"))

    assert list(tail.errors()) == ["broker.refused executor=argo", "disk.filled"]
    assert list(tail.errors()) == []


def test_earlier_errors_are_not_returned_again(log: Path) -> None:
    _write(log, _entry("error", "old.trouble"))

    assert list(LogTail(log).errors()) == []


def test_a_half_written_line_is_read_when_it_is_whole(log: Path) -> None:
    tail = LogTail(log)
    whole = _entry("error", "broker.refused") + "\n"
    with log.open("a") as file:
        file.write(whole[:20])
        file.flush()
        assert list(tail.errors()) == []
        file.write(whole[20:])

    assert list(tail.errors()) == ["broker.refused"]


def test_the_same_error_is_returned_once_a_minute(log: Path) -> None:
    clock = _Clock()
    tail = LogTail(log, clock=clock)
    counts = []
    for clock.now in (0, 1, 59, 60):
        _write(log, _entry("error", "redis.lost"))
        counts.append(len(list(tail.errors())))

    assert counts == [1, 0, 0, 1]


def test_the_last_line_of_a_crash_is_its_exception(log: Path) -> None:
    _write(log, "Traceback (most recent call last):", '  File "x.py", line 1', "ValueError: no such thing", "")

    assert LogTail(log).last_line() == "ValueError: no such thing"


def test_the_last_line_of_a_log_is_shown_as_event_and_exception(log: Path) -> None:
    _write(log, _entry("error", "worker.failed", exception="Traceback …\nKeyError: 'id'"))

    assert LogTail(log).last_line() == "worker.failed KeyError: 'id'"


def test_a_large_log_is_put_aside_at_the_next_start(log: Path) -> None:
    tail = LogTail(log)
    log.write_text("x" * 5_000_001)

    again = open_log(log.parent, "argo")
    _write(again, _entry("error", "new.trouble"))

    assert again == log
    assert log.with_suffix(".log.1").stat().st_size == 5_000_001
    assert list(tail.errors()) == ["new.trouble"]


def test_a_log_that_grows_large_is_put_aside_while_its_process_writes(log: Path) -> None:
    tail = LogTail(log)
    with log.open("ab", buffering=0) as process:
        for number in range(13):
            process.write(b"x" * 999_999 + b"\n" + _entry("error", f"trouble.{number}").encode() + b"\n")
            assert list(tail.errors()) == [f"trouble.{number}"]
            assert log.stat().st_size < 6_000_000

    assert log.with_suffix(".log.1").stat().st_size < 6_000_000
    assert log.with_suffix(".log.1").stat().st_mode & 0o777 == 0o600
    assert "trouble.12" in log.read_text()
