"""Refuse to trade real money unless alerts reach a person, or the user decided against alerts."""

from collections.abc import Mapping

from config.alerts import load_alerts
from config.schema.executor import ExecutorSettings
from config.schema.settings import Settings
from pipeline.model.errors import ConfigInvalid
from pipeline.monitoring.alerts.commands import live_without_alerts
from pipeline.store.record import Record


def check_channels(record: Record, executors: Mapping[str, ExecutorSettings], *, settings: Settings) -> None:
    """Refuse live executors until an alert channel has accepted a test.

    Raises:
        ConfigInvalid: no channel was tested, and alerts.toml does not say "none"; or that file is wrong.
        RecordUnavailable: PostgreSQL is away.
    """
    if all(executor.mode != "live" for executor in executors.values()):
        return
    alerts = load_alerts(settings)
    problems = record.run(lambda connection: live_without_alerts(connection, list(executors.values()), alerts))
    if problems:
        raise ConfigInvalid(problems)
