"""End this process when the one that started it is gone, however that ended."""

from __future__ import annotations

import os
import signal
import threading
import time

from pipeline.entrypoints.supervisor.servers.spawn import LIFELINE

#: How long a process may take to finish what it has in hand.
_GRACE_S = 3.0


def watch_lifeline() -> None:
    """Watch the pipe that the environment names, in a thread of its own; without one nothing happens.

    At its end the process gets SIGTERM from itself, and 3 s later it is ended as it is: the starter was
    killed, so nobody else will do it. The variable leaves the environment: a child would not have the pipe.
    """
    number = os.environ.pop(LIFELINE, None)
    if number is not None:
        threading.Thread(target=_watch, args=(int(number),), name="lifeline", daemon=True).start()


def _watch(descriptor: int) -> None:
    try:
        while os.read(descriptor, 1):
            pass
    except OSError:
        # Not our pipe: the variable was inherited through somebody who does not pass descriptors on.
        return
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_GRACE_S)
    os._exit(1)
