"""Time limits of waits. A wait ends when its condition is true, so its limit only has to suffice on a slow machine."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from functools import cache
from typing import TypeVar

T = TypeVar("T")

#: The start time of a small program on the machine for which the tests' time limits were written.
_STARTS_WITHIN_S = 0.15
#: The smallest and the largest factor of a limit. The smallest allows for a machine that becomes slower later.
_LEAST, _MOST = 4.0, 8.0


def _slowness() -> float:
    """Return the factor for limits on this machine, measured now: from 4 to 8."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import asyncio, json"], check=True)
    return min(max(_LEAST, _LEAST * (time.perf_counter() - began) / _STARTS_WITHIN_S), _MOST)


@cache
def slowness() -> float:
    """Return the factor for limits on this machine, measured at the first call."""
    return _slowness()


def patience(seconds: float) -> float:
    """Return the time limit on this machine for something that takes less than *seconds* on an idle one."""
    return seconds * slowness()


def promised(seconds: float) -> float:
    """Return the time limit on this machine for something that is promised within *seconds*.

    The limit is longer only on a machine that is slow now. The speed is measured at each call, because other tests may
    have started.
    """
    return seconds * _slowness() / _LEAST


def within(read: Callable[[], T], seconds: float) -> T:
    """Wait for a true result of *read* and return it. The limit is promised on every machine, so it is not scaled."""
    deadline = time.monotonic() + seconds
    while not (result := read()):
        assert time.monotonic() < deadline, f"not within {seconds:g} s"
        time.sleep(0.02)
    return result


def until(read: Callable[[], T], seconds: float) -> T:
    """Wait for a true result of *read* and return it; the limit grows on a slow machine."""
    return within(read, patience(seconds))
