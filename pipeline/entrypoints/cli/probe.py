"""`tradewire probe`: send one marked order through every step and time each one."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Annotated

import typer

from config.schema.executor import Executors, ExecutorSettings
from config.schema.settings import Settings
from pipeline.entrypoints.cli.options import AsJson, finite
from pipeline.entrypoints.cli.output import echo, echo_json
from pipeline.intake.intake import Intake
from pipeline.model.errors import ConfigInvalid, Problem
from pipeline.queues.dispatcher import Dispatcher
from pipeline.queues.queue import ExecutionQueue
from pipeline.queues.redis_server import connect
from pipeline.startup.alert_channels import check_channels
from pipeline.startup.arguments import executor_of, symbol_of
from pipeline.startup.checks import check_start
from pipeline.startup.context import executors_for, open_to_change, redis_url, settings_for_a_person
from workers.account.pinned_account import check_account
from workers.account.runtime import open_runtime
from workers.keeper.reconciliation import reconcile_once
from workers.probe import STEPS, Probed, Prober

_BY = "probe"


def probe(
    executor: Annotated[str, typer.Argument(metavar="EXECUTOR", help="The executor of the account.")],
    *,
    never_marketable: Annotated[
        bool,
        typer.Option(
            "--never-marketable",
            help="Send a limit order at half the price, and cancel it at once. For paper and live.",
        ),
    ] = False,
    symbol: Annotated[
        str | None, typer.Option(help="A symbol that the account does not hold; chosen when not given.")
    ] = None,
    wait: Annotated[
        float,
        typer.Option(
            metavar="SECONDS", min=1, max=60, callback=finite, help="How long to wait at most for each order."
        ),
    ] = 15.0,
    as_json: AsJson = False,
) -> None:
    """Send a marked order of one unit through every step and time each one: exit 0 if all succeed, 1 if not."""
    settings = settings_for_a_person("probe")
    executors = executors_for(settings)
    chosen = _known(executors, executor, never_marketable=never_marketable)
    wanted = symbol_of(symbol)
    with _prober(settings, executors, chosen) as prober:
        probed = prober.run(symbol=wanted, never_marketable=never_marketable, wait_s=wait)
    if as_json:
        echo_json(probed.to_json())
    else:
        _print(probed)
    raise typer.Exit(0 if probed.well else 1)


def _known(executors: Executors, executor_id: str, *, never_marketable: bool) -> ExecutorSettings:
    executor = executor_of(executors, executor_id)
    if executor.mode != "exchange" and not never_marketable:
        message = (
            f"{executor_id} is in mode {executor.mode}: there a probe only orders far from the market: add this option"
        )
        raise ConfigInvalid([Problem(key="--never-marketable", message=message)])
    return executor


@contextmanager
def _prober(settings: Settings, executors: Executors, executor: ExecutorSettings) -> Iterator[Prober]:
    with open_to_change(settings, [executor.id]) as record, connect(redis_url(settings), timeout_s=2.0) as redis:
        # A probe may trade real money, so it makes all checks that a worker makes at its start.
        check_start(record, executors, by=_BY)
        check_channels(record, {executor.id: executor}, settings=settings)
        runtime = open_runtime(executor, settings=settings, exchange_url=settings.exchange_url, record=record)
        with closing(runtime):
            check_account(runtime)
            # The probe's entry waits for a reconcile, and perhaps no keeper runs.
            reconcile_once(record, runtime, _BY)
            intake = Intake(record, executors, by=_BY)
            yield Prober(record=record, intake=intake, dispatcher=Dispatcher(ExecutionQueue(redis)), runtime=runtime)


def _print(probed: Probed) -> None:
    kind = "a limit at half the price, to be canceled" if probed.never_marketable else "one unit, to be sold again"
    echo(f"probe of {probed.executor_id} ({probed.mode}): {probed.symbol}, {kind}")
    times, before = probed.steps.after_ms(), 0.0
    for step in STEPS:
        at = times[step]
        echo(f"  {step:<9} {'not reached' if at is None else f'{at:>9.1f} ms  {at - before:+9.1f} ms'}")
        before = before if at is None else at  # The second time counts from the last step that was reached.
    order = f"  order {probed.steps.order_id}" if probed.steps.order_id else ""
    echo(f"{probed.steps.state.value}{order}{f'  {probed.reason}' if probed.reason else ''}")
    if probed.closed is not None:
        echo(f"sold again: {probed.closed.value}  (tradewire why {probed.closed_by})")
    if not probed.well:
        echo(f"It did not complete every step: see `tradewire why {probed.execution_id}` and `tradewire doctor`.")
