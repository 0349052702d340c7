"""No line of the code can fill the disk with its log lines."""

from __future__ import annotations

import io
import logging

import pytest

from config.log_limit import MOST_A_MINUTE, LimitedHandler


class _Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> _Clock:
    return _Clock()


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def log(stream: io.StringIO, clock: _Clock) -> logging.Logger:
    made = logging.Logger("noisy")  # noqa: LOG001 - of this test alone
    made.addHandler(LimitedHandler(stream, clock=clock))
    return made


def repeat(log: logging.Logger, times: int) -> None:
    for _ in range(times):
        log.error("out of descriptors %s", "x" * 1000)


def test_a_line_that_repeats_writes_so_much_a_minute_and_says_so_once(log: logging.Logger, stream: io.StringIO) -> None:
    repeat(log, 5000)

    assert MOST_A_MINUTE - 2000 < len(stream.getvalue()) < MOST_A_MINUTE + 500
    assert stream.getvalue().count("are left out") == 1


def test_other_lines_are_still_written(log: logging.Logger, stream: io.StringIO) -> None:
    repeat(log, 2000)
    log.error("an order was lost")

    assert stream.getvalue().endswith("an order was lost\n")


def test_the_next_minute_begins_with_the_number_of_lines_left_out(
    log: logging.Logger, stream: io.StringIO, clock: _Clock
) -> None:
    repeat(log, 2000)
    written = stream.getvalue().count("out of descriptors")
    clock.now = 61.0
    repeat(log, 1)

    last, again = stream.getvalue().splitlines()[-2:]
    assert last == f"{2000 - written} lines like the next one were left out"
    assert again.startswith("out of descriptors")


def test_one_line_above_the_limit_is_left_out(log: logging.Logger, stream: io.StringIO) -> None:
    log.error("%s", "x" * (MOST_A_MINUTE + 1))

    assert len(stream.getvalue()) < 500
