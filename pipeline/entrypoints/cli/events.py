"""`tradewire events`: list the events that other programs follow, and send them to their receiver again."""

from decimal import Decimal
from typing import Annotated

import typer

from config.alerts import load_alerts
from pipeline.entrypoints.cli.options import AsJson
from pipeline.entrypoints.cli.output import echo, echo_hint, echo_json
from pipeline.entrypoints.cli.tables import print_table
from pipeline.model.errors import ConfigInvalid, Problem
from pipeline.operations.event_feed import EventFeed, deliver_after, published_feed
from pipeline.startup.context import open_record, open_to_change, settings_for_a_person
from pipeline.views.event_schemas import EventView
from pipeline.views.events import events_after

app = typer.Typer()

_HEADINGS = ("id", "at", "kind", "account", "symbol", "outcome")
_After = Annotated[int | None, typer.Option("--since", metavar="ID", min=0, help="Only the events after this id.")]


@app.callback(invoke_without_command=True)
def events(
    context: typer.Context,
    *,
    after: _After = None,
    limit: Annotated[int, typer.Option(min=1, max=10000, help="List at most this many.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List the newest events, or those after an id, in their order: decisions, orders, fills, switches, findings."""
    if context.invoked_subcommand is not None:
        return
    with open_record(settings_for_a_person("events", anywhere=True)) as record:
        feed = published_feed(record)
        if after is not None:
            _require(after, feed)
        found = events_after(record, max(feed.published - limit, 0) if after is None else after, limit=limit)
    if as_json:
        echo_json([event.to_json() for event in found])
    elif not found:
        echo("no events")
    else:
        print_table(_HEADINGS, [_row(event) for event in found], left=len(_HEADINGS))
        if feed.problem is not None:
            echo_hint(f"The receiver has them up to {feed.delivered}; it did not take the next: {feed.problem}")


@app.command()
def replay(
    *,
    since: Annotated[int, typer.Option("--since", metavar="ID", min=0, help="The receiver gets the events after it.")],
) -> None:
    """Send the events after an id to their receiver, again or for the first time, and none of the earlier ones."""
    settings = settings_for_a_person("events")
    if load_alerts(settings).settings.events.url is None:
        message = f"no receiver is set up: {settings.alerts} has no url in [events]"
        raise ConfigInvalid([Problem(key="events.url", message=message)])
    with open_to_change(settings) as record:
        feed = published_feed(record)
        _require(since, feed)
        deliver_after(record, since)
    echo(f"the keeper sends the events from {since + 1} to {feed.published}, and goes on from there")


def _require(event_id: int, feed: EventFeed) -> None:
    if event_id > feed.published:
        message = f"there is no event {event_id}; the newest is {feed.published}"
        raise ConfigInvalid([Problem(key="--since", message=message)])


def _row(event: EventView) -> tuple[str, ...]:
    data = event.data
    match event.kind:
        case "decision" | "order":
            outcome = f"{data['action']} {data['status']}"
            outcome += f", {data['filled_quantity']} filled" if Decimal(data["filled_quantity"] or 0) else ""
            outcome += f": {data['reason']}" if data["reason"] else ""
        case "fill":
            outcome = f"{data['side']} {data['quantity']} at {data['price'] or 'an unknown price'}, {data['status']}"
        case "switch":
            outcome = f"{data['switch']} {data['turned']}: {data['cause']}, by {data['by']}"
        case "finding":
            figures = " ".join(f"{name}={value}" for name, value in data["facts"].items())
            outcome = f"{data['finding']} {data['status']}: {figures}"
        case _:
            outcome = ""
    at = f"{event.at:%Y-%m-%d %H:%M:%S}Z"
    return str(event.event_id), at, event.kind, event.executor_id or "-", event.symbol or "-", outcome
