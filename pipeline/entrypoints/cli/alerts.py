"""`tradewire alerts`: test the channels, list alerts, acknowledge them."""

import getpass
from dataclasses import asdict
from typing import Annotated, Any

import typer

from config.alerts import load_alerts
from pipeline.entrypoints.cli.options import AsJson, By
from pipeline.entrypoints.cli.output import echo, echo_json
from pipeline.model.errors import ConfigInvalid, Problem
from pipeline.model.json_values import object_json
from pipeline.monitoring.alerts import commands
from pipeline.startup.context import open_record, open_to_change, settings_for_a_person

app = typer.Typer(no_args_is_help=True, help="List and acknowledge alerts, and test the channels that send them.")


@app.command("test")
def try_(
    channels: Annotated[list[str] | None, typer.Argument(metavar="CHANNEL", help="Only these channels.")] = None,
    *,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Send a test message to each channel: exit 1 when one did not accept it."""
    settings = settings_for_a_person("alerts")
    alerts = load_alerts(settings)
    if not alerts.channels:
        message = (
            f"no channel is set up: {settings.alerts} names none. An example is in the comments of the file that "
            f"`tradewire init` writes; pipeline/docs/alerts.md explains it"
        )
        raise ConfigInvalid([Problem(key="channels", message=message)])
    with open_to_change(settings) as record:
        names = list(dict.fromkeys(channels or alerts.channels))  # Each once, in the order given.
        took = commands.try_channels(record, alerts, names, by=by or getpass.getuser())
    if as_json:
        echo_json([{"channel": name, "took": accepted} for name, accepted in took.items()])
    for name, accepted in [] if as_json else took.items():
        echo(f"{name}: {'accepted the test' if accepted else 'did NOT accept the test'}")
    raise typer.Exit(0 if all(took.values()) else 1)


@app.command("list")
def list_(
    *,
    all_: Annotated[bool, typer.Option("--all", help="Also those that are over.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=10000, help="List at most this many, the newest first.")] = 200,
    as_json: AsJson = False,
) -> None:
    """List the open alerts: exit 1 when one of them is not acknowledged."""
    with open_record(settings_for_a_person("alerts", anywhere=True)) as record:
        alerts, kinds = commands.listed(record, all_=all_, limit=limit), commands.open_by_kind(record)
    if as_json:
        echo_json([_json(alert) for alert in alerts])
    elif not alerts:
        echo("no alerts" if all_ else "no open alerts")
    for alert in [] if as_json else alerts:
        echo(_line(alert))
    hidden = sum(each.open for each in kinds) - sum(alert.over_at is None for alert in alerts)
    if hidden > 0 and not as_json:
        echo(f"{hidden} open alerts are not listed; open in all: {', '.join(map(str, kinds))}. See --limit")
    raise typer.Exit(1 if any(each.waiting for each in kinds) else 0)  # A person works on acknowledged ones.


@app.command()
def ack(
    alert: Annotated[str, typer.Argument(metavar="ALERT", help="Its number, or `all`.")],
    *,
    why: Annotated[str, typer.Option(help="What you do about it; kept with the alert.")] = "seen",
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Acknowledge an alert, or all of them: a person works on it. An alert ends by itself when its cause is gone."""
    if alert != "all" and not alert.isdecimal():
        raise ConfigInvalid([Problem(key="ALERT", message=f"{alert!r} is neither a number nor `all`")])
    with open_to_change(settings_for_a_person("alerts")) as record:
        which = None if alert == "all" else int(alert)
        acked = commands.ack(record, which, by=by or getpass.getuser(), why=why)
    if as_json:
        echo_json([asdict(each) for each in acked])
    for each in [] if as_json else acked:
        echo(f"acknowledged {each.alert_id}: {each.subject}")


def _line(alert: commands.ListedAlert) -> str:
    state = "open" if alert.over_at is None else f"over {alert.over_at:%H:%M:%S}"
    acked = f", acknowledged by {alert.acked_by}: {alert.acked_why}" if alert.acked_at else ""
    return (
        f"{alert.alert_id:>6}  {alert.opened_at:%Y-%m-%d %H:%M:%S}  {alert.severity:<8}  {state}{acked}  "
        f"{alert.subject}"
    )


def _json(alert: commands.ListedAlert) -> dict[str, Any]:
    return object_json(vars(alert)) | {"told_by": alert.told_by or []}
