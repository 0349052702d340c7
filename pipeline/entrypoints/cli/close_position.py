"""`tradewire orders close`: close the account's position in one symbol, or a part of it."""

import time
from collections.abc import Iterator
from contextlib import suppress
from decimal import Decimal, InvalidOperation
from typing import Annotated

import typer

from config.schema.fields import plain
from config.schema.settings import Settings
from pipeline.entrypoints.cli.options import AsJson, ByMachine, finite
from pipeline.entrypoints.cli.output import echo, echo_json
from pipeline.intake.intake import Intake, Recorded
from pipeline.model.errors import ConfigInvalid, InvalidSignal, Problem, RecordUnavailable, SourceIdConflict
from pipeline.model.reasons import Code
from pipeline.model.states import UNDECIDED, WORKING, State
from pipeline.model.symbols import canonical
from pipeline.operations.close_position import record_close
from pipeline.startup.arguments import executor_of, me, parsed
from pipeline.startup.context import executors_for, open_to_change, settings_for_a_person
from pipeline.store.record import Record
from pipeline.store.rows import ExecutionRow
from pipeline.store.settings_archive import keep_settings
from pipeline.views.counts import meaning_of
from pipeline.views.lists import execution
from pipeline.views.orders import missing_processes
from pipeline.views.schemas import ExecutionView

Why = Annotated[str | None, typer.Option(help="The reason, which is recorded.")]
_READ_EVERY_S = 0.1
_HUNDRED = Decimal(100)


def close(
    symbol: Annotated[str, typer.Argument(help="The symbol, like AAPL or BTC/USD.")],
    *,
    executor: Annotated[str, typer.Option(help="The executor of the account.")],
    percent: Annotated[
        str | None,
        typer.Option(metavar="P", help="The part of the position, above 0 to 100; rounded down. All by default."),
    ] = None,
    limit: Annotated[
        str | None,
        typer.Option(metavar="PRICE", help="The worst price of a limit order that rests; a market order without."),
    ] = None,
    why: Why = None,
    own_id: Annotated[
        str | None,
        typer.Option("--id", metavar="ID", help="Your own id: a second command with this id closes nothing again."),
    ] = None,
    by: ByMachine = None,
    wait: Annotated[
        float,
        typer.Option(min=0, callback=finite, metavar="SECONDS", help="How long to wait at most for the outcome."),
    ] = 15.0,
    as_json: AsJson = False,
) -> None:
    """Close the account's position in a symbol, whichever strategy opened it: exit 0 when the order is at the broker.

    The close goes through the worker, as every exit does. It ends entries of the symbol that wait, and cancels those
    that work. A close with --limit rests for the day (a coin's without end), unless a later exit takes its place.
    """
    settings = settings_for_a_person("orders")
    executors = executors_for(settings)
    chosen = executor_of(executors, executor)
    part, price = _percent(percent), parsed("--limit", limit, _positive)
    wanted = parsed("SYMBOL", symbol, canonical) or symbol
    with open_to_change(settings, [chosen.id]) as record:
        with suppress(RecordUnavailable):
            keep_settings(record, executors)
        intake = Intake(record, executors, by=by or me(), why=why)
        recorded = _recorded(intake, chosen.id, wanted, percent=part, limit=price, own_id=own_id)
        _enqueue(settings, recorded)
        row = _outcome(record, recorded.executions[0], wait_s=wait, until_filled=price is None)
        missing = (
            missing_processes(record, [("worker", chosen.id), ("keeper", "keeper")]) if row.state in UNDECIDED else []
        )
    if as_json:
        echo_json(ExecutionView.model_validate(row).to_json())
    else:
        echo(*_close_lines(row, missing, limited=price is not None))
    is_left_to_others = wait == 0 and row.state in UNDECIDED and not missing
    raise typer.Exit(0 if is_left_to_others or row.state in WORKING | {State.FILLED} else 1)


def _close_lines(row: ExecutionRow, missing: list[str], *, limited: bool) -> Iterator[str]:
    which = f"{row.symbol} at {row.executor_id}"
    filled = f"{plain(row.filled_quantity or Decimal(0))} filled"
    if row.state is State.FILLED:
        price = "" if row.filled_average_price is None else f" at {plain(row.filled_average_price)}"
        yield f"filled: {which}, {filled}{price}"
    elif row.state is State.SKIPPED and row.reason_code == Code.NO_POSITION:
        yield f"{row.executor_id} holds no {row.symbol}: nothing was sent"
    else:
        order = "" if row.order_id is None else f", order {row.order_id}, {filled}"
        yield f"{row.state.value}: {which}{order}{f'  {row.reason}' if row.reason else ''}"
        if row.state is State.SKIPPED:
            yield str(meaning_of(row.reason_code)["remedy"])
    ended = row.state in (State.CANCELED, State.EXPIRED) and row.reason_code != Code.CANCELED_BY_PERSON
    if row.state is State.REJECTED or (ended and not limited):
        # A repeated command would close another part.
        yield "tradewire tries the rest again by itself: do not repeat the command"
    yield from (f"the {process} does not run: nothing is closed without it" for process in missing)
    if missing:
        yield f"the close stays recorded: `tradewire end {row.execution_id} --why TEXT` ends it"
    yield f"`tradewire why {row.execution_id}` shows all of it"


def _outcome(record: Record, row: ExecutionRow, *, wait_s: float, until_filled: bool) -> ExecutionRow:
    """Return the execution when it is decided or, with *until_filled*, has ended; at the latest after *wait_s*."""
    deadline = time.monotonic() + wait_s
    while True:
        row = execution(record, row.execution_id) or row
        if _is_over(row, until_filled=until_filled) or time.monotonic() >= deadline:
            return row
        time.sleep(_READ_EVERY_S)


def _is_over(row: ExecutionRow, *, until_filled: bool) -> bool:
    if row.state in UNDECIDED:
        # The market opens later than anyone waits here.
        return row.state is State.HELD and row.reason_code == Code.MARKET_CLOSED
    return row.state not in WORKING or not until_filled


def _recorded(
    intake: Intake, executor_id: str, symbol: str, *, percent: Decimal | None, limit: Decimal | None, own_id: str | None
) -> Recorded:
    # A token has no @ in its name, so this is no id of a close over HTTP.
    source_id = None if own_id is None else f"@cli:{own_id}"
    try:
        return record_close(intake, executor_id, symbol, percent=percent, limit=limit, source_id=source_id)
    except InvalidSignal as error:
        is_about_id = isinstance(error, SourceIdConflict) or str(error).startswith("source_id")
        raise ConfigInvalid([Problem(key="--id" if is_about_id else "SYMBOL", message=str(error))]) from None


def _enqueue(settings: Settings, recorded: Recorded) -> None:
    # Without Redis, the keeper hands the execution to the worker.
    if settings.redis_url is None or recorded.duplicate:
        return
    from pipeline.queues.dispatcher import Dispatcher  # noqa: PLC0415
    from pipeline.queues.queue import ExecutionQueue  # noqa: PLC0415 -- loads RQ
    from pipeline.queues.redis_server import connect  # noqa: PLC0415

    Dispatcher(ExecutionQueue(connect(settings.redis_url.get_secret_value()))).enqueue(recorded.executions)


def _percent(text: str | None) -> Decimal | None:
    percent = parsed("--percent", text, _positive)
    if percent is not None and percent > _HUNDRED:
        raise ConfigInvalid([Problem(key="--percent", message=f"{text} is not above 0 and up to 100")])
    return percent


def _positive(text: str) -> Decimal:
    try:
        # Decimal itself also accepts 1_000, and the digits of other alphabets.
        number = Decimal(text) if text.isascii() and "_" not in text else Decimal(0)
    except InvalidOperation:
        number = Decimal(0)
    if not (number.is_finite() and number > 0):
        raise ValueError(f"{text!r} is not a number above 0")
    return number
