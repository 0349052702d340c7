"""Named crash points: places where a test kills the process to show that nothing is lost.

`TRADEWIRE_CRASH_AT=worker.after_send` arms one point: the process kills itself with SIGKILL when it reaches that
point. With `TRADEWIRE_CRASH_AFTER=n` the process passes the point n times before that. Without an armed point,
`reached` does nothing.
"""

import os
import signal
from collections.abc import Callable

#: Every point between two effects in the processing of a signal, in order. pipeline/docs/crashes.md has the table.
POINTS = (
    "intake.before_commit",
    "intake.after_commit",
    "relay.after_enqueue",
    "worker.after_pop",
    "worker.after_take",
    "worker.after_cancel_mark",
    "worker.after_check",
    "worker.after_intent",
    "worker.after_send",
    "worker.after_record",
    "worker.after_handover",
    "worker.after_job",
    "keeper.after_mark",
    "keeper.after_enqueue",
    "keeper.after_lease_sweep",
    "keeper.after_lookup",
    "keeper.after_resolve",
    "keeper.after_poll",
    "keeper.after_mirror",
    "keeper.after_events",
    "tracker.after_frame",
    "tracker.after_record",
)


def _armed() -> Callable[[str], None]:
    point = os.environ.get("TRADEWIRE_CRASH_AT")
    if point is None:
        return _nothing
    passes = int(os.environ.get("TRADEWIRE_CRASH_AFTER", "0"))

    def reached_armed(name: str) -> None:
        nonlocal passes
        if name == point:
            passes -= 1
            if passes < 0:
                # SIGKILL, so that neither a handler nor a `finally` cleans anything up.
                os.kill(os.getpid(), signal.SIGKILL)

    return reached_armed


def _nothing(_name: str) -> None:
    """Do nothing; no point is armed."""


#: Report that the process has reached the point of this name.
reached: Callable[[str], None] = _armed()
