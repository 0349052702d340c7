"""The `tradewire` command. Each subcommand parses its arguments, calls one service, and prints the result."""

import errno
import os
import sys
from collections.abc import Callable
from typing import Annotated

import typer

from config.left_over import left_over_variables
from pipeline.entrypoints.cli import (
    alerts,
    backups,
    baseline,
    config,
    dead,
    doctor,
    drill,
    exchange,
    executions,
    flatten,
    homes,
    init,
    mcp,
    probe,
    processes,
    reasons,
    report,
    retention,
    settings,
    signals,
    switches,
    tail,
    token,
    top,
    webhook,
)
from pipeline.entrypoints.cli.output import echo
from pipeline.entrypoints.supervisor.lifeline import watch_lifeline
from pipeline.model.errors import ConfigInvalid, MissingRights, TradewireError, Unavailable

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    help="Execute trading signals at broker accounts. Each signal ends at every account with an order id or a reason.",
)
app.add_typer(config.app, name="config")
app.add_typer(alerts.app, name="alerts")
app.add_typer(dead.app, name="dead")
app.add_typer(signals.app, name="signal")
app.add_typer(webhook.app, name="webhook")
app.add_typer(token.app, name="token")
app.add_typer(exchange.app, name="exchange")
# The disk is full, a quota is used up, or the file system is read-only.
_CANNOT_WRITE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
# In the order in which `tradewire --help` lists them.
_COMMANDS: tuple[Callable[..., None], ...] = (
    *(init.init, processes.up, homes.status, homes.down, homes.reset, backups.backup, backups.restore),
    *(processes.migrate, processes.produce, processes.work, processes.keep, processes.serve),
    *(executions.executions, executions.why, report.report, reasons.reasons, doctor.doctor),
    *(tail.tail, top.top, probe.probe, settings.end, baseline.baseline, retention.retention, drill.drill),
    *(switches.pause, switches.resume, switches.reduce, switches.halt, flatten.flatten, mcp.mcp),
)
for command in _COMMANDS:
    app.command()(command)
for command in (settings.diff, settings.accept, settings.forget):
    config.app.command()(command)


def _print_version(asked: bool) -> None:  # noqa: FBT001 -- typer calls it so
    if asked:
        from importlib.metadata import version as version_of  # noqa: PLC0415 -- slow to import, and only needed here

        echo(f"tradewire {version_of('tradewire')}")
        raise typer.Exit


@app.callback()
def _everywhere(
    *,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Take the options that come before the command."""


def main() -> None:
    """Run the command. Exit 2 for a wrong setting or argument or a missing database right, and 1 for other errors."""
    watch_lifeline()
    try:
        app()
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
        if error.errno not in _CANNOT_WRITE:
            raise
        echo(f"tradewire: {error.filename or 'the output'} cannot be written: {error.strerror}", err=True)
        # At a normal exit, the interpreter would try to write the rest of the output.
        os._exit(1)
