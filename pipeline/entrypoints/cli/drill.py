"""The command `drill`."""

import logging
import secrets
import signal
from typing import Annotated

import typer

from config.logs import configure_logs
from pipeline.entrypoints.cli.options import finite
from pipeline.entrypoints.cli.output import echo_json

#: A seed that the drill chooses itself is below this: enough for different drills, and short enough to type.
_SEEDS = 1_000_000


def drill(
    *,
    signals: Annotated[int, typer.Option(min=1, max=17_000, help="How many signals to send.")] = 200,
    seed: Annotated[int | None, typer.Option(min=0, help="The same seed breaks the same things.")] = None,
    pace: Annotated[
        float, typer.Option(min=0.1, max=200, callback=finite, metavar="PER_SECOND", help="How fast, at most.")
    ] = 20,
    exits: Annotated[
        bool, typer.Option("--exits", help="Half of the signals close what the others open; exits are timed.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the scratch folder.")] = False,
) -> None:
    """Send signals to a separate tradewire, break every part of it, and report lost, doubled or unexplained signals.

    It starts its own servers, exchange and processes in a scratch folder and uses no setting of your environment.
    """
    from rich.console import Console  # noqa: PLC0415 -- commands load only what they run

    from pipeline.entrypoints.drill.run import DrillPlan, drill_tradewire  # noqa: PLC0415
    from pipeline.entrypoints.drill.scratch import in_scratch  # noqa: PLC0415
    from pipeline.entrypoints.drill.table import ProgressBar, show  # noqa: PLC0415

    # SIGTERM stops the drill as Ctrl-C does, so that it ends its processes.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # The drill takes PostgreSQL away on purpose; warnings about that would only hide the findings.
    configure_logs("console", process="drill", level=logging.CRITICAL)
    seed = secrets.randbelow(_SEEDS) if seed is None else seed
    order = DrillPlan(signals=signals, seed=seed, pace=pace, exits=exits)
    console = Console(stderr=as_json)
    console.print(f"drill: {signals} signals in {order.seconds:.0f} s, seed {order.seed}")
    with ProgressBar(console) as bar:
        result = in_scratch(drill_tradewire, order, bar, keep=keep)
    if as_json:
        echo_json(result.to_json())
    else:
        show(console, result)
    raise typer.Exit(0 if result.passed else 1)
