"""`tradewire config`: show and check the configuration, and print the addresses of a running `up`."""

from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from config.checks.shadowed_limits import shadowed_limits
from config.checks.warnings import warnings_of
from config.executors import load_executors
from config.places import located_settings, origin_of, with_shipped_files
from config.reference import page
from config.schema.executor import Executors
from config.schema.settings import Settings, readable_settings
from config.services import effective, running_services
from config.show import export_lines, service_variables, shown_executors, shown_problems, shown_settings, shown_text
from pipeline.entrypoints.cli import settings
from pipeline.entrypoints.cli.options import AsJson
from pipeline.entrypoints.cli.output import echo, echo_json
from pipeline.intake.source_reach import source_problems, untraded_source_problems
from pipeline.model.errors import ConfigInvalid, Problem
from pipeline.startup.other_files import other_file_problems

app = typer.Typer(no_args_is_help=True, help="Show, check and export the configuration.")


@app.command()
def show(*, as_json: AsJson = False) -> None:
    """Show every value that is used, and its origin; secrets are masked."""
    try:
        settings = located_settings(anywhere=True)
        environment = shown_settings(settings, completed=effective(settings))
        in_force = effective(settings).executors
        executors = shown_executors(load_executors(in_force, settings=settings), settings)
    except ConfigInvalid as error:
        _refuse(error)
    if as_json:
        _print_json({"environment": environment, "executors": executors})
        return
    lines = ["# environment", *shown_text(environment)]
    for executor_id, shown in executors.items():
        lines += ["", f"# {executor_id}", *shown_text(shown)]
    echo(*lines)


@app.command()
def check(
    file: Annotated[Path | None, typer.Argument(help="The executors file; TRADEWIRE_EXECUTORS by default.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Check the whole configuration: exit 0 when it is fine, 1 with warnings, 2 with problems."""
    settings, problems = readable_settings()
    if not problems:
        settings = located_settings(anywhere=True)
        # Check the file in the place where a person edits it. If there is none, check the file of the running `up`.
        settings = with_shipped_files(settings if settings.executors.exists() else effective(settings))
    path = file or settings.executors
    executors = Executors(path, {})  # Stays empty if the file is wrong; the rest is checked nevertheless.
    try:
        executors = load_executors(path, settings=settings)
    except ConfigInvalid as error:
        problems += error.problems
    problems += [*other_file_problems(settings, executors), *source_problems(settings, settings.source)]
    warnings = warnings_of(executors, settings) + untraded_source_problems(settings.source, executors)
    notes = shadowed_limits(executors)
    # Notes do not change the exit status: a limit that another limit shadows is not a mistake.
    status = "critical" if problems else "warning" if warnings else "ok"
    if as_json:
        found = {"problems": problems, "warnings": warnings, "notes": notes}
        body = {name: shown_problems(listed) for name, listed in found.items()}
        _print_json({"status": status} | body)
    else:
        _print_findings(problems, warnings, notes)
        if not problems:
            notes_only = "; the notes need no change" if notes else ""
            echo(f"{path}{origin_of(path)}: {', '.join(executors)}: fine{notes_only}")
    raise typer.Exit({"ok": 0, "warning": 1, "critical": 2}[status])


@app.command()
def env(*, as_json: AsJson = False) -> None:
    """Print export lines for a running `up`, for eval "$(tradewire config env)". They contain its token."""
    try:
        settings: Settings = located_settings(anywhere=True)
        services = running_services(settings.home)
    except ConfigInvalid as error:
        _refuse(error)
    if services is None:
        echo(f"no `tradewire up` runs with TRADEWIRE_HOME={settings.home}", err=True)
        raise typer.Exit(1)
    variables = service_variables(services, settings.home)
    if as_json:
        _print_json(variables)
    else:
        echo(*export_lines(variables))


@app.command()
def reference() -> None:
    """Print every variable and key with its default and meaning: the page pipeline/docs/configuration.md."""
    echo(*page().splitlines())


for command in (settings.diff, settings.accept, settings.forget):
    app.command()(command)


def _print_findings(problems: list[Problem], warnings: list[Problem], notes: list[Problem]) -> None:
    for problem in problems:
        echo(str(problem))
    for warning in warnings:
        echo(f"warning: {warning}")
    for note in notes:
        echo(f"note: {note}")


def _print_json(value: Any) -> None:
    echo_json(value)


def _refuse(error: ConfigInvalid) -> NoReturn:
    for problem in error.problems:
        echo(str(problem), err=True)
    raise typer.Exit(2) from None
