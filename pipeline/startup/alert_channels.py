"""Refuse to trade real money unless alerts reach a person, or the user decided against alerts."""

from collections.abc import Mapping

from config.alerts import load_alerts
from config.schema.executor import ExecutorSettings
from config.schema.settings import Settings
from pipeline.model.errors import ConfigInvalid, Problem
from pipeline.monitoring.alerts.commands import tested_channels
from pipeline.store.record import Record


def check_channels(record: Record, executors: Mapping[str, ExecutorSettings], *, settings: Settings) -> None:
    """Refuse live executors until an alert channel has accepted a test, unless alerts.toml turns alerts off.

    Raises:
        ConfigInvalid: no channel was tested, and alerts.toml does not say "none"; or that file is wrong.
        RecordUnavailable: PostgreSQL is away.
    """
    live = [executor for executor in executors.values() if executor.mode == "live"]
    if not live:
        return
    # Read only now, so that an error in alerts.toml does not stop a process without live executors.
    alerts = load_alerts(settings)
    if alerts.silent or record.run(lambda connection: tested_channels(connection, alerts)):
        return
    how = (
        "no alert channel was tested: run `tradewire alerts test`"
        if alerts.channels
        else "no alert channel is set up: name one in alerts.toml and run `tradewire alerts test`"
    )
    message = f'trades real money, and {how}, or write alerts = "none" there'
    raise ConfigInvalid([Problem(key=f"executors.{executor.id}.mode", message=message) for executor in live])
