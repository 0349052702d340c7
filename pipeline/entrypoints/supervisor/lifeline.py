"""End this process when the process that started it is gone, however that ended."""

import os
import re
import signal
import threading
import time

from pipeline.entrypoints.supervisor.servers.spawn import LIFELINE
from pipeline.model.errors import ConfigInvalid, Problem

#: Seconds that a process may take to finish its current work.
_GRACE_S = 3.0


def watch_lifeline() -> None:
    """Watch the pipe that the variable `TRADEWIRE_LIFELINE` names, in a thread; without the variable, do nothing.

    The pipe ends when the starter was killed and cannot stop this process any more. The process then sends itself
    SIGTERM, and exits 3 s later if it still runs. The variable is removed, since a child does not inherit the pipe.

    Raises:
        ConfigInvalid: the variable is not the number of a pipe.
    """
    number = os.environ.pop(LIFELINE, None)
    if number is not None:
        if not re.fullmatch(r"[0-9]{1,6}", number):
            raise ConfigInvalid([Problem(key=LIFELINE, message="only `tradewire up` sets it; run `unset` on it")])
        threading.Thread(target=_watch, args=(int(number),), name="lifeline", daemon=True).start()


def _watch(descriptor: int) -> None:
    try:
        while os.read(descriptor, 1):
            pass
    except OSError:
        # The variable was inherited through a process that did not pass the pipe on.
        return
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_GRACE_S)
    os._exit(1)
