"""Check the files besides executors.toml: a process refuses to start with a wrong one."""

from collections.abc import Mapping

from config.alerts import load_alerts
from config.schema.executor import ExecutorSettings
from config.schema.settings import Settings
from config.webhooks import load_webhooks
from pipeline.model.errors import ConfigInvalid, Problem


def other_file_problems(settings: Settings, executors: Mapping[str, ExecutorSettings]) -> list[Problem]:
    """Return every problem of webhooks.toml and alerts.toml. Without *executors* it is not known which ones exist."""
    problems = list[Problem]()
    try:
        load_webhooks(settings, executors=tuple(executors) or None)
    except ConfigInvalid as error:
        problems += error.problems
    try:
        load_alerts(settings)
    except ConfigInvalid as error:
        problems += error.problems
    return problems
