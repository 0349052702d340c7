"""Run the `tradewire` command. Each subcommand parses its arguments, calls one service, and prints the result."""

import errno
import os
import signal
import sys
from pathlib import Path

from config.left_over import left_over_variables
from pipeline.entrypoints.cli.commands import build
from pipeline.entrypoints.cli.output import ClosedOutput, echo, replace_closed_outputs
from pipeline.entrypoints.supervisor.lifeline import watch_lifeline
from pipeline.model.errors import ConfigInvalid, MissingRights, TradewireError, Unavailable

# The disk is full, a quota is used up, or the file system is read-only.
_CANNOT_WRITE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


def main() -> None:
    """Run the command. Exit 2 for a wrong setting or argument or a missing database right, and 1 for other errors."""
    closed = replace_closed_outputs()
    try:
        watch_lifeline()
        _run(closed)
    except ConfigInvalid as error:
        for problem in error.problems:
            echo(str(problem), err=True)
        sys.exit(2)
    except TradewireError as error:
        echo(f"tradewire: {error}", err=True)
        if isinstance(error, Unavailable) and (hint := left_over_variables()) is not None:
            echo(f"tradewire: {hint}", err=True)
        sys.exit(2 if isinstance(error, MissingRights) else 1)
    except BrokenPipeError:
        # `tradewire executions | head` closes the pipe early, which is not an error.
        sys.stderr.close()
        sys.exit(0)
    except OSError as error:
        if _folder_was_removed():
            echo("tradewire: the working folder was removed: change to another one", err=True)
            sys.exit(2)
        if error.errno not in _CANNOT_WRITE:
            raise
        echo(f"tradewire: {error.filename or 'the output'} cannot be written: {error.strerror}", err=True)
        # At a normal exit, the interpreter would try to write the rest of the output.
        os._exit(1)


def _run(closed: ClosedOutput | None) -> None:
    try:
        command = build(sys.argv[1:])
        # `start` ends the command at a Ctrl-C for as long as modules load, and `build` loads the most.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        command()
    except SystemExit as ended:
        if closed is None or not closed.lost or ended.code:
            raise
        echo("tradewire: the output cannot be written: it is closed", err=True)
        sys.exit(1)


def _folder_was_removed() -> bool:
    try:
        Path.cwd()
    except FileNotFoundError:
        return True
    return False
