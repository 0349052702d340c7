"""The subcommands of `tradewire`, and the module of each. A module is only loaded when its commands are needed."""

from collections.abc import Iterable
from importlib import import_module
from typing import Annotated, Any

import typer

from pipeline.entrypoints.cli.output import echo

# By command, in the order of `tradewire --help`, the module with the function of its name.
_COMMANDS = {
    "init": "init",
    "up": "processes",
    "status": "homes",
    "down": "homes",
    "reset": "homes",
    "backup": "backups",
    "restore": "backups",
    "migrate": "processes",
    "produce": "processes",
    "work": "processes",
    "keep": "processes",
    "track": "processes",
    "serve": "processes",
    "executions": "executions",
    "why": "executions",
    "positions": "positions",
    "trades": "trades",
    "pnl": "pnl",
    "day": "day",
    "reconcile": "reconcile",
    "export": "export",
    "report": "report",
    "reasons": "reasons",
    "doctor": "doctor",
    "tail": "tail",
    "top": "top",
    "probe": "probe",
    "end": "settings",
    "baseline": "baseline",
    "retention": "retention",
    "drill": "drill",
    "pause": "switches",
    "resume": "switches",
    "reduce": "switches",
    "halt": "switches",
    "flatten": "flatten",
    "mcp": "mcp",
}
# By group, the module whose `app` has its commands.
_GROUPS = {
    "config": "config",
    "alerts": "alerts",
    "events": "events",
    "dead": "dead",
    "orders": "orders",
    "signal": "signals",
    "webhook": "webhook",
    "token": "token",
    "exchange": "exchange",
}
_HELP = "Execute trading signals at broker accounts. Each signal ends at every account with an order id or a reason."


def build(arguments: Iterable[str] = ()) -> typer.Typer:
    """Return the command with the one subcommand that *arguments* name, or with all if they name none.

    A subcommand alone is there in half the time, since each loads libraries of its own.
    """
    named = next((argument for argument in arguments if not argument.startswith("-")), None)
    known = _COMMANDS.keys() | _GROUPS.keys()
    wanted = {named} & known or known
    app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False, help=_HELP)
    app.callback()(_everywhere)
    for name, module in _GROUPS.items():
        if name in wanted:
            app.add_typer(_module(module).app, name=name)
    for name, module in _COMMANDS.items():
        if name in wanted:
            app.command()(getattr(_module(module), name))
    return app


def _module(name: str) -> Any:
    return import_module(f"pipeline.entrypoints.cli.{name}")


def _print_version(asked: bool) -> None:  # noqa: FBT001 -- typer calls it so
    if asked:
        from importlib.metadata import version as version_of  # noqa: PLC0415 -- slow to import, and only needed here

        echo(f"tradewire {version_of('tradewire')}")
        raise typer.Exit


def _everywhere(
    *,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Take the options that come before the command."""
