"""Give a drill a folder of its own, and keep it when something was found."""

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from pipeline.entrypoints.drill.progress import DrillProgress
from pipeline.entrypoints.drill.result import DrillResult
from pipeline.entrypoints.drill.run import DrillPlan


def in_scratch(
    drill: Callable[[DrillPlan, Path, DrillProgress], DrillResult],
    plan: DrillPlan,
    progress: DrillProgress,
    *,
    keep: bool,
) -> DrillResult:
    """Run *drill* in a new empty folder, which stays when *keep* is set or something was found.

    The folder of a drill that could not be carried out stays too, since its logs show the cause.
    """
    # Not below one of the user's folders: the drill must not read files there, and a socket's path must be short.
    home = Path(tempfile.mkdtemp(prefix="tradewire-drill-"))
    try:
        result = drill(plan, home, progress)
    except KeyboardInterrupt:
        shutil.rmtree(home, ignore_errors=True)
        raise
    if keep or not result.passed:
        return replace(result, kept=str(home))
    shutil.rmtree(home, ignore_errors=True)
    return result
