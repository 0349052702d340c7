from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from pipeline.intake.sources.file import FileSource, open_source
from pipeline.intake.sources.protocol import Item, SourceContext, Unreadable
from pipeline.model.errors import ConfigInvalid, SourceUnavailable

BUY = {"symbol": "AAPL", "action": "BUY", "confidence": 98, "entry_price": 190}


def read_all(source: FileSource) -> list[Item]:
    items: list[Item] = []
    until = time.monotonic() + 10
    while not source.finished:
        assert time.monotonic() < until
        items += source.poll(threading.Event())
    source.close()
    return items


def signals_in(path: Path) -> list[Any]:
    return read_all(open_source(SourceContext(path=str(path))))


def written(path: Path, *lines: str) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def test_a_file_is_read_to_its_end_in_order(tmp_path: Path) -> None:
    path = written(tmp_path / "s.jsonl", *(json.dumps(BUY | {"source_id": str(n)}) for n in range(1200)))

    assert [str(n) for n in range(1200)] == [signal["source_id"] for signal in signals_in(path)]


def test_a_signal_without_a_source_id_gets_the_same_one_at_every_reading(tmp_path: Path) -> None:
    path = written(tmp_path / "s.jsonl", json.dumps(BUY), json.dumps(BUY))

    first, again = signals_in(path), signals_in(path)

    assert first == again
    assert first[0]["source_id"].startswith("s.jsonl:1:")
    assert first[0]["source_id"] != first[1]["source_id"]


def test_a_line_added_at_the_end_leaves_the_other_source_ids_as_they_were(tmp_path: Path) -> None:
    path = written(tmp_path / "s.jsonl", json.dumps(BUY))
    (before,) = signals_in(path)
    written(path, json.dumps(BUY), json.dumps(BUY | {"action": "SELL"}))

    assert signals_in(path)[0] == before


def test_other_content_on_the_same_line_gets_another_source_id(tmp_path: Path) -> None:
    (before,) = signals_in(written(tmp_path / "s.jsonl", json.dumps(BUY)))
    (after,) = signals_in(written(tmp_path / "s.jsonl", json.dumps(BUY | {"confidence": 97})))

    assert before["source_id"] != after["source_id"]


def test_every_element_of_an_array_on_one_line_gets_its_own_source_id(tmp_path: Path) -> None:
    signals = signals_in(written(tmp_path / "s.json", json.dumps([BUY, BUY])))

    assert len({signal["source_id"] for signal in signals}) == 2


def test_a_bad_line_is_handed_on_to_be_refused_and_the_others_go_on(tmp_path: Path) -> None:
    path = written(tmp_path / "s.jsonl", json.dumps(BUY), "not json", json.dumps(BUY))

    before, bad, after = signals_in(path)

    assert isinstance(bad, Unreadable)
    assert (bad.code, bad.message) == ("invalid_json", "line 2: not JSON: Expecting value")
    assert bad.raw["line"] == 2
    assert bad.raw["source_id"].startswith("s.jsonl:2:")
    assert before["symbol"] == after["symbol"] == "AAPL"


def test_an_empty_file_ends_at_once(tmp_path: Path) -> None:
    assert signals_in(written(tmp_path / "empty")) == []


@pytest.mark.parametrize("path", [None, "", "/does/not/exist.jsonl", "/"])
def test_no_file_is_a_fault_of_the_configuration(path: str | None) -> None:
    with pytest.raises(ConfigInvalid, match="TRADEWIRE_SOURCE_FILE"):
        open_source(SourceContext(path=path))


def test_a_file_that_others_may_write_is_refused_because_its_lines_become_orders(tmp_path: Path) -> None:
    path = written(tmp_path / "s.jsonl", json.dumps(BUY))
    source = open_source(SourceContext(path=str(path)))
    path.chmod(0o666)

    with pytest.raises(ConfigInvalid, match=r"TRADEWIRE_SOURCE_FILE.*other users can write to it"):
        open_source(SourceContext(path=str(path)))
    with pytest.raises(SourceUnavailable, match="other users can write to it"):
        read_all(source)


def test_a_pipe_that_others_may_write_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    open_source(SourceContext(path=str(tmp_path / "pipe")))
    (tmp_path / "pipe").chmod(0o666)

    with pytest.raises(ConfigInvalid, match="other users can write to it"):
        open_source(SourceContext(path=str(tmp_path / "pipe")))


def test_a_file_that_goes_away_is_unavailable_and_read_once_it_is_back(tmp_path: Path) -> None:
    path = written(tmp_path / "s.jsonl", json.dumps(BUY))
    source = open_source(SourceContext(path=str(path)))
    path.rename(tmp_path / "elsewhere")

    with pytest.raises(SourceUnavailable, match="No such file"):
        read_all(source)
    (tmp_path / "elsewhere").rename(path)

    assert len(read_all(source)) == 1


def test_lines_that_were_read_before_a_fault_are_not_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk may return a line and then an error, so the source returns the line first."""

    def broken(_stream: BinaryIO) -> Iterator[bytes]:
        yield json.dumps(BUY).encode()
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("pipeline.intake.sources.file.bounded_lines", broken)
    source = FileSource(str(written(tmp_path / "s.jsonl", json.dumps(BUY))))

    assert len(source.poll(threading.Event())) == 1
    with pytest.raises(SourceUnavailable, match="Input/output error"):
        source.poll(threading.Event())


_PRINT_STANDARD_INPUT = """
import json, threading
from pipeline.intake.sources.file import open_source
from pipeline.intake.sources.protocol import SourceContext
source = open_source(SourceContext(path="-"))
while not source.finished:
    for item in source.poll(threading.Event()):
        print(json.dumps(item), flush=True)
"""

_LEAVE_STANDARD_INPUT = """
import threading
from pipeline.intake.sources.file import open_source
from pipeline.intake.sources.protocol import SourceContext
source = open_source(SourceContext(path="-"))
assert list(source.poll(threading.Event())) == []
source.close()
print("left", flush=True)
"""


def run(code: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def test_standard_input_returns_each_line_as_it_comes_and_counts_none_as_a_repeat() -> None:
    ids = []
    for _ in range(2):
        with run(_PRINT_STANDARD_INPUT) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(json.dumps(BUY).encode() + b"\n")
            process.stdin.flush()
            ids.append(json.loads(process.stdout.readline())["source_id"])
            process.stdin.close()
            assert process.wait(10) == 0

    assert ids[0] != ids[1]
    assert ids[0].startswith("stdin-")


def test_a_process_ends_although_standard_input_stays_open() -> None:
    with run(_LEAVE_STANDARD_INPUT) as process:
        assert process.stdout is not None
        assert process.stdout.read() == b"left\n"
        assert process.wait(10) == 0


def test_a_stop_does_not_wait_for_standard_input(tmp_path: Path) -> None:
    """A named pipe without a writer makes its reader wait, as a terminal does."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    source = FileSource(str(pipe))
    stop = threading.Event()
    stop.set()

    assert source.poll(stop) == []
    assert not source.finished
    pipe.open("r+b", buffering=0).close()
    source.close()
