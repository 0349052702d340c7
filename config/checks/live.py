"""Check that an executor in mode live has the limits that must not be off."""

from config.schema.executor import ExecutorSettings
from pipeline.model.errors import Problem

#: Limits that must not be off in mode live. Without the two loss limits nothing stops the account; without the
#: exposure limit, one wrong size can use the whole margin.
NEVER_OFF = ("daily_loss_percent", "drawdown_percent", "gross_exposure_percent")


def live_problems(executor: ExecutorSettings) -> list[Problem]:
    """Return a problem for each limit that is off and must not be. *executor* includes the rules of its pack."""
    if executor.mode != "live":
        return []
    return [
        Problem(key=f"executors.{executor.id}.limits.{name}", message='is "off": mode live needs a number')
        for name in NEVER_OFF
        if getattr(executor.limits, name) is None
    ]
