"""`tradewire doctor`: check every part, once or repeatedly; print each problem with its cause and remedy."""

import re
import sys
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated

import typer

from config.places import origin_of, with_shipped_files
from config.schema.settings import Settings
from pipeline.entrypoints.cli.options import finite
from pipeline.entrypoints.cli.output import echo, echo_json
from pipeline.entrypoints.doctor.examine import examine
from pipeline.entrypoints.doctor.findings import CheckResult, CheckStatus, findings_json, worst
from pipeline.model.errors import ConfigInvalid, Problem
from pipeline.startup.context import executors_for, settings_for_a_person, stop_on_signals

_MARKS = {CheckStatus.OK: "ok      ", CheckStatus.WARNING: "WARNING ", CheckStatus.CRITICAL: "CRITICAL"}
_EXITS = {CheckStatus.OK: 0, CheckStatus.WARNING: 1, CheckStatus.CRITICAL: 2}
_EVERY_S = 5.0
#: Commands in remedies, except those that find the last started home themselves, and `up`.
_COMMAND = re.compile(r"`tradewire (?!up\b|doctor\b|report\b|why\b)")
_CLEAR = "\x1b[H\x1b[2J"  # The cursor to the top left, and an empty screen.


def doctor(
    seconds: Annotated[
        float | None,
        typer.Argument(
            metavar="SECONDS",
            min=0.5,
            callback=finite,
            help="With --watch: the seconds between two checks; 5 by default.",
        ),
    ] = None,
    *,
    watch: Annotated[bool, typer.Option("--watch", help="Repeat the checks until Ctrl-C.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON; with --watch one line per check.")] = False,
) -> None:
    """Check every part: exit 0 when all is well, 1 with warnings, 2 when something is critical. It never trades."""
    if seconds is not None and not watch:
        raise ConfigInvalid([Problem(key="SECONDS", message="it is only used with --watch")])
    settings = with_shipped_files(settings_for_a_person("doctor", anywhere=True))
    executors = executors_for(settings)
    if not as_json:
        _print_start(settings)
    # Ctrl-C ends a single check as usual; it ends a watch with the exit code of the last check.
    stop = stop_on_signals() if watch else None
    while True:
        findings = [_with_home(finding, settings) for finding in examine(settings, executors)]
        _print(findings, as_json=as_json, watched=watch)
        if stop is None or stop.wait(seconds or _EVERY_S):
            raise typer.Exit(_EXITS[worst(findings)])


def _print_start(settings: Settings) -> None:
    if settings.database_url is None:
        echo(f"nothing runs in {settings.home.absolute()}: `tradewire up` starts everything")
    if origin := origin_of(settings.executors):
        echo(f"executors: {settings.executors}{origin}", err=True)


def _with_home(finding: CheckResult, settings: Settings) -> CheckResult:
    """Name the home in the remedy if it was found as the last started one: commands that change it need its name."""
    if not settings.last_started or not finding.remedy:
        return finding
    return replace(finding, remedy=_COMMAND.sub(f"`TRADEWIRE_HOME={settings.home} tradewire ", finding.remedy))


def _print(findings: list[CheckResult], *, as_json: bool, watched: bool) -> None:
    if as_json:
        body = findings_json(findings)
        echo_json({"at": _now()} | body if watched else body, indent=None if watched else 2)
        sys.stdout.flush()  # A pipe would hold the line back until its buffer is full.
        return
    if watched:
        if sys.stdout.isatty():
            typer.echo(_CLEAR, nl=False)
        echo(f"{_now()}  {worst(findings).value}")
    for finding in findings:
        echo(f"{_MARKS[finding.status]}  {finding.name}: {finding.saw}")
        for more in (finding.cause, finding.remedy):
            if more:
                echo(f"            {more}")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
