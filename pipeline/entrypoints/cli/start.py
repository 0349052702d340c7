"""Start the command. Ctrl-C is answered with one line while the modules load, which takes a moment."""

import os
import signal
from types import FrameType


def main() -> None:
    """Load and run the command."""
    signal.signal(signal.SIGINT, _end)
    from pipeline.entrypoints.cli.run import main as run  # noqa: PLC0415 -- slow

    run()


def _end(number: int, _frame: FrameType | None) -> None:
    os.write(2, b"tradewire: interrupted\n")
    os._exit(128 + number)
