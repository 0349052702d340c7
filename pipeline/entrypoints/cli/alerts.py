"""`tradewire alerts`: test the channels, list what is wrong, say that somebody looks."""

from __future__ import annotations

import getpass
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any

import typer

from config.alerts import load_alerts
from pipeline.model.errors import ConfigInvalid, Problem
from pipeline.model.json_values import time_json
from pipeline.monitoring.alerts import commands
from pipeline.startup.context import open_record, settings_for_a_person

app = typer.Typer(no_args_is_help=True, help="See to it that somebody is told, and what of.")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
By = Annotated[str | None, typer.Option(help="Who; the login name by default.")]


@app.command("test")
def try_(
    channels: Annotated[list[str] | None, typer.Argument(metavar="CHANNEL", help="Only these.")] = None,
    *,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Send a test to each channel, and keep which took it: exit 1 when one did not."""
    settings = settings_for_a_person("alerts")
    alerts = load_alerts(settings)
    if not alerts.channels:
        message = f"no channel is set up: {settings.alerts} names none"
        raise ConfigInvalid([Problem(key="channels", message=message)])
    with open_record(settings) as record:
        names = list(dict.fromkeys(channels or alerts.channels))
        found = commands.try_channels(record, alerts, names, by=by or getpass.getuser())
    if as_json:
        typer.echo(json.dumps([asdict(each) for each in found], indent=2))
    for each in [] if as_json else found:
        typer.echo(f"{each.channel}: {'took the test' if each.took else 'did NOT take the test'}")
    raise typer.Exit(0 if all(each.took for each in found) else 1)


@app.command("list")
def list_(
    *,
    all_: Annotated[bool, typer.Option("--all", help="Those that are over too.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=10000, help="How many, the newest first.")] = 200,
    as_json: AsJson = False,
) -> None:
    """List what is wrong: exit 1 when something is that nobody has acknowledged."""
    with open_record(settings_for_a_person("alerts")) as record:
        rows = commands.listed(record, all_=all_, limit=limit)
    if as_json:
        typer.echo(json.dumps([_json(row) for row in rows], indent=2))
    elif not rows:
        typer.echo("no alerts" if all_ else "no open alerts")
    for row in [] if as_json else rows:
        typer.echo(_line(row))
    raise typer.Exit(1 if any(row["over_at"] is None and row["acked_at"] is None for row in rows) else 0)


@app.command()
def ack(
    alert: Annotated[str, typer.Argument(metavar="ALERT", help="Its number, or `all`.")],
    *,
    why: Annotated[str, typer.Option(help="What is being done; it is kept.")] = "seen",
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Say that somebody looks at an alert, or at all. It ends when what it tells of does."""
    if alert != "all" and not alert.isdecimal():
        raise ConfigInvalid([Problem(key="ALERT", message=f"{alert!r} is not a number, nor `all`")])
    with open_record(settings_for_a_person("alerts")) as record:
        which = None if alert == "all" else int(alert)
        rows = commands.ack(record, which, by=by or getpass.getuser(), why=why)
    if as_json:
        typer.echo(json.dumps([dict(row) for row in rows], indent=2))
    for row in [] if as_json else rows:
        typer.echo(f"acknowledged {row['alert_id']}: {row['subject']}")


def _line(row: Mapping[str, Any]) -> str:
    state = "open" if row["over_at"] is None else f"over {row['over_at']:%H:%M:%S}"
    acked = f", {row['acked_by']} looks: {row['acked_why']}" if row["acked_at"] else ""
    return (
        f"{row['alert_id']:>6}  {row['opened_at']:%Y-%m-%d %H:%M:%S}  {row['severity']:<8}  {state}{acked}  "
        f"{row['subject']}"
    )


def _json(row: Mapping[str, Any]) -> dict[str, Any]:
    times = {name: time_json(row[name]) for name in ("opened_at", "seen_at", "over_at", "acked_at")}
    words = ("alert_id", "key", "kind", "severity", "subject", "facts", "acked_by", "acked_why")
    return {name: row[name] for name in words} | times | {"told_by": row["told_by"] or []}
