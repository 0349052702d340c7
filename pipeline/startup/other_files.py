"""Check the files besides executors.toml: `up` does not start with a wrong one."""

from collections.abc import Mapping

from config.alerts import load_alerts
from config.schema.executor import ExecutorSettings
from config.schema.settings import Settings
from config.webhooks import load_webhooks
from pipeline.model.errors import ConfigInvalid, Problem


def other_file_problems(settings: Settings, executors: Mapping[str, ExecutorSettings]) -> list[Problem]:
    """Return every problem in webhooks.toml and alerts.toml.

    If *executors* is empty, the executors that webhooks.toml names are not checked.
    """
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
