"""Give a drill a folder of its own, and keep it when there is something to look for in it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from pipeline.entrypoints.drill.progress import Watcher
from pipeline.entrypoints.drill.result import Result
from pipeline.entrypoints.drill.run import DrillPlan


def in_scratch(
    drill: Callable[[DrillPlan, Path, Watcher], Result], order: DrillPlan, watcher: Watcher, *, keep: bool
) -> Result:
    """Run *drill* in a new empty folder; it stays when *keep* says so, or when something was found.

    A drill that could not be carried out leaves its folder too: its logs say why.
    """
    # Not in the user's folders: nothing of theirs is to be read, and a socket's path must be short.
    home = Path(tempfile.mkdtemp(prefix="tradewire-drill-"))
    try:
        result = drill(order, home, watcher)
    except KeyboardInterrupt:
        shutil.rmtree(home, ignore_errors=True)
        raise
    if keep or not result.passed:
        return replace(result, kept=str(home))
    shutil.rmtree(home, ignore_errors=True)
    return result
