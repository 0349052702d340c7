"""The commands that run a process: up, migrate, produce, work, keep, track, serve."""

import logging
import os
from functools import partial
from typing import Annotated

import structlog
import typer

from config.logs import configure_logs
from config.places import origin_of, require_home, settings_for_up
from pipeline.entrypoints.cli.options import finite
from pipeline.entrypoints.cli.output import echo
from pipeline.model.errors import ConfigInvalid, Problem
from pipeline.startup.acting import name_accounts
from pipeline.startup.arguments import executor_of
from pipeline.startup.context import database_url, executors_for, redis_url, settings_for, stop_on_signals
from pipeline.store.record import Record

log = structlog.get_logger(__name__)


def up(
    *,
    seconds: Annotated[
        float | None,
        typer.Option("--for", min=0, callback=finite, metavar="SECONDS", help="Stop after this many seconds."),
    ] = None,
    source: Annotated[str | None, typer.Option(help="The producer's source, or none.")] = None,
    without: Annotated[str, typer.Option(help="Processes not to run, separated by commas.")] = "",
    user: Annotated[str | None, typer.Option(help="As root: the user of the embedded PostgreSQL.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="End when a process crashes again and again.")] = False,
) -> None:
    """Run everything on this machine, and print the result of every signal."""
    from pipeline.entrypoints.cli.startup import check_before_up  # noqa: PLC0415
    from pipeline.entrypoints.supervisor.embedded_addresses import refuse_ended_servers  # noqa: PLC0415
    from pipeline.entrypoints.supervisor.run import run_up  # noqa: PLC0415
    from pipeline.intake.source_reach import source_problems, untraded_source_problems  # noqa: PLC0415
    from pipeline.startup.other_files import other_file_problems  # noqa: PLC0415
    from pipeline.views.live_feed import follow_feed  # noqa: PLC0415 -- commands load only what they run

    settings = settings_for_up()
    refuse_ended_servers(settings.home)
    # The terminal shows the trades; the logs of the processes are in files.
    configure_logs(settings.log, process="up", level=logging.WARNING)
    echo(f"executors: {settings.executors.absolute()}{origin_of(settings.executors)}")
    # The children read `.env` and relative paths in their working folder.
    os.chdir(settings.folder)
    executors = executors_for(settings)
    # A wrong file would end the keeper and the web process at each start, while the workers go on trading.
    problems = [*source_problems(settings, source or settings.source), *other_file_problems(settings, executors)]
    if problems:
        raise ConfigInvalid(problems)
    for problem in untraded_source_problems(source or settings.source, executors):
        echo(f"note: {problem}")
    names = [name for name in without.replace(" ", "").split(",") if name]
    gate = check_before_up(settings, executors)
    run = partial(run_up, settings, feed=follow_feed, gate=gate, seconds=seconds, source=source)
    raise typer.Exit(run(without=names, user=user, strict=strict))


def migrate() -> None:
    """Bring the record's schema up to date."""
    from pipeline.store.migrate import migrate as apply  # noqa: PLC0415

    settings = settings_for("migrate")
    require_home(settings)
    url = database_url(settings)
    name_accounts(settings)
    applied = apply(url)
    echo(f"applied: {', '.join(applied)}" if applied else "the schema is up to date")


def produce() -> None:
    """Read signals from the source in TRADEWIRE_SOURCE and record them."""
    from pipeline.entrypoints.cli.startup import checked_start  # noqa: PLC0415
    from pipeline.entrypoints.producer import produce_for_ever  # noqa: PLC0415

    settings = settings_for("producer")
    executors = executors_for(settings)
    # Handle signals before the checks, because a late refusal ends this process by SIGTERM.
    stop = stop_on_signals()
    # Only a producer that executes signals itself uses the accounts.
    sends = "direct" in (settings.delivery, settings.fallback)
    with checked_start(settings, executors, by="producer", accounts=sends):
        produce_for_ever(settings, executors, database_url=database_url(settings), stop=stop)


def work(executor: Annotated[str, typer.Argument(help="The executor whose signals are executed.")]) -> None:
    """Execute the signals that are queued for one executor."""
    from pipeline.startup.alert_channels import check_channels  # noqa: PLC0415
    from pipeline.startup.checks import check_start  # noqa: PLC0415
    from workers.execution.process import work as work_for  # noqa: PLC0415

    settings = settings_for(executor)
    executors = executors_for(settings)
    worked = executor_of(executors, executor)

    def gate(record: Record) -> None:
        check_start(record, executors, by=f"worker {executor}")
        check_channels(record, {executor: worked}, settings=settings)

    work_for(
        worked,
        settings=settings,
        database_url=database_url(settings),
        redis_url=redis_url(settings),
        exchange_url=settings.exchange_url,
        stop=stop_on_signals(),
        gate=gate,
    )


def keep() -> None:
    """Run the keeper, which repairs and follows up: lost jobs, dead workers, unknown orders, fills, dead letters."""
    from pipeline.entrypoints.cli.startup import checked_start  # noqa: PLC0415
    from workers.keeper.process import keep as keep_for_ever  # noqa: PLC0415

    settings = settings_for("keeper")
    executors = executors_for(settings)
    stop = stop_on_signals()
    with checked_start(settings, executors, by="keeper", accounts=True):
        keep_for_ever(
            executors,
            settings=settings,
            database_url=database_url(settings),
            redis_url=redis_url(settings),
            exchange_url=settings.exchange_url,
            stop=stop,
        )


def track() -> None:
    """Run the tracker, which records fills and other changes of orders when the broker's stream reports them."""
    from pipeline.entrypoints.cli.startup import checked_start  # noqa: PLC0415
    from workers.tracker.process import track as track_for_ever  # noqa: PLC0415

    settings = settings_for("tracker")
    executors = executors_for(settings)
    stop = stop_on_signals()
    with checked_start(settings, executors, by="tracker"):
        track_for_ever(
            executors,
            settings=settings,
            database_url=database_url(settings),
            exchange_url=settings.exchange_url,
            stop=stop,
        )


def serve(*, host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1") -> None:
    """Serve the page, the HTTP API and webhooks. Needs TRADEWIRE_API_TOKEN; PORT changes the port from 8000."""
    from pipeline.entrypoints.cli.startup import checked_start  # noqa: PLC0415
    from pipeline.entrypoints.web.server import serve as serve_web  # noqa: PLC0415

    settings = settings_for("web")
    if settings.api_token is None:
        message = "the web process needs a token: set TRADEWIRE_API_TOKEN"
        raise ConfigInvalid([Problem(key="TRADEWIRE_API_TOKEN", message=message)])
    executors = executors_for(settings)
    with checked_start(settings, executors, by="web"):
        serve_web(settings, executors, host=host, port=8000 if settings.port is None else settings.port)
