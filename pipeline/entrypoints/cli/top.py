"""`tradewire top`: everything on one screen, with keys for actions."""

import sys

from pipeline.entrypoints.terminal.top import show
from pipeline.model.errors import ConfigInvalid, Problem
from pipeline.startup.arguments import me
from pipeline.startup.context import executors_for, open_record, settings_for_a_person, stop_on_signals


def top() -> None:
    """Show accounts, rates, limits, dead letters and the newest executions live; keys pause, resume, halt, requeue."""
    # Keys are read from standard input, and the screen is drawn on standard output.
    if not (sys.stdin and sys.stdin.isatty() and sys.stdout.isatty()):
        message = "it needs a terminal; programs use `tradewire tail`, `report --json` and `doctor --json`"
        raise ConfigInvalid([Problem(key="top", message=message)])
    settings = settings_for_a_person("top", anywhere=True)
    executors = executors_for(settings)
    with open_record(settings) as record:
        show(
            record,
            executors,
            by=me(),
            descriptor=sys.stdin.fileno(),
            stop=stop_on_signals(),
            refusal=f"name the home first: TRADEWIRE_HOME={settings.home}" if settings.last_started else None,
        )
