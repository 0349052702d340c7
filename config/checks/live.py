"""Check that an executor of real money has the limits without which nobody would lend it any."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.model.errors import Problem

if TYPE_CHECKING:
    from config.schema.executor import ExecutorSettings

#: Limits that cannot be off in mode live: without the two on losses nothing ever stops it, without the third one
#: wrong size buys the whole margin.
NEVER_OFF = ("daily_loss_percent", "drawdown_percent", "gross_exposure_percent")


def live_problems(executor: ExecutorSettings) -> list[Problem]:
    """Return the limits that are off and must not be, for an executor in mode live; its rule pack is joined."""
    if executor.mode != "live":
        return []
    return [
        Problem(key=f"executors.{executor.id}.limits.{name}", message='is "off": mode live needs a figure')
        for name in NEVER_OFF
        if getattr(executor.limits, name) is None
    ]
