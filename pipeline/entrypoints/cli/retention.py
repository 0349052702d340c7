"""The command `retention`."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from config.alerts import load_alerts
from pipeline.entrypoints.cli.options import AsJson
from pipeline.entrypoints.cli.output import echo, echo_json
from pipeline.model.errors import ConfigInvalid, Problem
from pipeline.model.times import moment_of
from pipeline.operations.retention import remove_details
from pipeline.startup.acting import name_accounts
from pipeline.startup.arguments import parsed
from pipeline.startup.context import open_record, settings_for_a_person

# Details newer than this are always kept: the rules look back for some days, and people ask about last week.
_LEAST = timedelta(days=7)
# A dry run without --before counts the details that are older than this.
_USUAL = "180d"


def retention(
    *,
    before: Annotated[
        str | None, typer.Option(metavar="T", help="Remove details of what ended before: RFC 3339, or like 90d ago.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Remove nothing; print how much it would be (without --before: 180d).")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Remove old details and events from the record. Signals, executions and orders stay, with every id and fill."""
    if before is None and not dry_run:
        message = f"names what is removed, such as `--before {_USUAL}`; `--dry-run` prints how much that would be"
        raise ConfigInvalid([Problem(key="--before", message=message)])
    moment = parsed("--before", before or _USUAL, moment_of)
    if moment is None or moment > datetime.now(UTC) - _LEAST:
        message = f"must be at least {_LEAST.days} days ago: rules and people need what is newer"
        raise ConfigInvalid([Problem(key="--before", message=message)])
    settings = settings_for_a_person("retention")
    name_accounts(settings)
    receiver = load_alerts(settings).settings.events.url
    with open_record(settings) as record:
        removed = remove_details(record, before=moment, dry_run=dry_run, has_receiver=receiver is not None)
    if as_json:
        echo_json(removed.to_json() | {"before": moment.isoformat(), "dry_run": dry_run})
        return
    echo(
        f"{'would remove' if dry_run else 'removed'} {removed.steps} steps and {removed.attempts} attempts of "
        f"{removed.executions} executions, {removed.refusals} refusals, {removed.deliveries} refused deliveries and "
        f"{removed.events} events, all from before {moment:%Y-%m-%d %H:%M}Z"
    )
