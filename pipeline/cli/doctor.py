"""`tradewire doctor`: what is wrong, why, and what mends it."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from pipeline.cli.context import executors_for, settings_for_a_person
from pipeline.doctor.examine import examine
from pipeline.doctor.findings import Status, findings_json, worst

_MARKS = {Status.OK: "ok      ", Status.WARNING: "WARNING ", Status.CRITICAL: "CRITICAL"}
_EXITS = {Status.OK: 0, Status.WARNING: 1, Status.CRITICAL: 2}


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(doctor)


def doctor(*, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Examine every part: exit 0 when all is well, 1 with warnings, 2 when something is critical. It never trades."""
    settings = settings_for_a_person("doctor")
    findings = examine(settings, executors_for(settings))
    if as_json:
        typer.echo(json.dumps(findings_json(findings), indent=2))
    for finding in [] if as_json else findings:
        typer.echo(f"{_MARKS[finding.status]}  {finding.name}: {finding.saw}")
        for more in (finding.cause, finding.remedy):
            if more:
                typer.echo(f"            {more}")
    raise typer.Exit(_EXITS[worst(findings)])
