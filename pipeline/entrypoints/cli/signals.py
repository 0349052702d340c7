"""`tradewire signal send`: record signals from a file or standard input, and print the result of each."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Annotated, Any, BinaryIO
from uuid import UUID

import typer

from config.schema.executor import Executors
from config.schema.settings import Settings
from pipeline.entrypoints.cli.options import finite, standard_input
from pipeline.entrypoints.cli.output import echo, echo_json
from pipeline.intake.intake import Intake, Recorded
from pipeline.intake.sources.reading import ParsedLine, bounded_lines, read_signals
from pipeline.model.errors import ConfigInvalid, InvalidSignal, Problem, RecordUnavailable
from pipeline.model.states import UNDECIDED
from pipeline.startup.alert_channels import check_channels
from pipeline.startup.checks import check_start
from pipeline.startup.context import database_url, executors_for, open_to_change, settings_for_a_person
from pipeline.store.record import Record
from pipeline.store.settings_archive import keep_settings
from pipeline.views.history import executions_of
from pipeline.views.schemas import ExecutionView, RecordedView

app = typer.Typer(no_args_is_help=True, help="Send signals.")

#: The source of signals that name none.
SOURCE = "manual"

_READ_EVERY_S = 0.05
# When a line has failed because PostgreSQL is away, lines are refused without an attempt for this many seconds.
_NO_RETRY_S = 1.0


@app.command()
def send(
    file: Annotated[str, typer.Argument(help="A file of JSON, or - for standard input.")] = "-",
    *,
    wait: Annotated[
        float,
        typer.Option(
            min=0,
            callback=finite,
            metavar="SECONDS",
            help="Wait at most this long until every signal is decided: an order id or a reason, not a fill.",
        ),
    ] = 0.0,
    direct: Annotated[bool, typer.Option("--direct", help="Execute in this process, without the queues.")] = False,
) -> None:
    """Record signals: a JSON object, an array, or JSON lines. Prints one line of JSON for each, in order."""
    settings = settings_for_a_person("signal")
    executors = executors_for(settings)
    with open_to_change(settings) as record, closing(_opened(file)) as stream:
        _check_start(record, executors, settings, direct=direct)
        intake = Intake(record, executors, by="signal send")
        execute, close = _execution(settings, executors, direct=direct)
        try:
            answers = list(_record_all(read_signals(bounded_lines(stream)), intake, execute, follow=wait > 0))
        finally:
            close()
        _print_waited(record, answers, wait)
    if not answers:
        echo("0 signals", err=True)
    raise typer.Exit(1 if any("error" in answer for answer in answers) else 0)


def _check_start(record: Record, executors: Executors, settings: Settings, *, direct: bool) -> None:
    # With --direct the command may send orders, so it checks the executors file as a process does at its start.
    # Otherwise it only records the settings that it routes by. While PostgreSQL is away nothing is checked, because
    # every signal is refused anyway.
    with suppress(RecordUnavailable):
        if direct:
            check_start(record, executors, by="signal send")
            check_channels(record, executors, settings=settings)
        else:
            keep_settings(record, executors)


def _record_all(
    lines: Iterable[ParsedLine], intake: Intake, execute: Callable[[Recorded], None], *, follow: bool
) -> Iterator[dict[str, Any]]:
    """Record each signal as it is read, and yield its answer. Unless *follow* is set, also print it at once."""
    away: RecordUnavailable | None = None
    until = 0.0
    for line in lines:
        try:
            if away is not None and time.monotonic() < until:
                raise away
            answer = _record_one(line, intake, execute)
        except RecordUnavailable as error:
            # The error of the last try, raised again, does not prolong the pause.
            away, until = error, time.monotonic() + _NO_RETRY_S if error is not away else until
            answer = error_json(line.line, "record_unavailable", str(error))
        if not follow:  # With --wait the answer is printed later, with the outcomes.
            _print(answer)
        yield answer


def error_json(line: int, code: str, message: str) -> dict[str, Any]:
    """Return the answer to a line that is not recorded, or perhaps not."""
    return {"line": line, "error": {"code": code, "message": message}}


def _record_one(line: ParsedLine, intake: Intake, execute: Callable[[Recorded], None]) -> dict[str, Any]:
    try:
        if line.value is None:
            message = line.error or "not JSON"
            intake.refuse(line.text or message, source=SOURCE, code="invalid_json", message=message)
            return error_json(line.line, "invalid_json", message)
        # A program that sends signals through this command sets its own name as their source.
        by_person = line.value.get("source") in (None, SOURCE)
        recorded = intake.record(line.value, source=SOURCE, by_person=by_person)
    except InvalidSignal as error:
        return error_json(line.line, error.code, str(error))
    execute(recorded)
    return RecordedView.model_validate(recorded).to_json()


def _execution(
    settings: Settings, executors: Executors, *, direct: bool
) -> tuple[Callable[[Recorded], None], Callable[[], None]]:
    """Return two functions: one executes a recorded signal, here or through the queues; call the other at the end."""
    if direct:
        from workers.execution.direct import DirectExecutor  # noqa: PLC0415 -- loads the broker's library
        from workers.keeper.reconciliation import reconcile_once  # noqa: PLC0415

        url = database_url(settings)
        runner = DirectExecutor(
            executors, settings=settings, database_url=url, by="signal send", reconcile=reconcile_once
        )
        return (lambda recorded: runner.execute(recorded.executions)), runner.close
    from pipeline.queues.dispatcher import Dispatcher  # noqa: PLC0415
    from pipeline.queues.queue import ExecutionQueue  # noqa: PLC0415 -- loads RQ
    from pipeline.queues.redis_server import connect  # noqa: PLC0415

    if settings.redis_url is None:
        # The signals are recorded; the keeper enqueues them.
        return (lambda _recorded: None), (lambda: None)
    dispatcher = Dispatcher(ExecutionQueue(connect(settings.redis_url.get_secret_value())))
    return (lambda recorded: _enqueue(dispatcher, recorded)), (lambda: None)


def _enqueue(dispatcher: Any, recorded: Recorded) -> None:
    if not recorded.duplicate:  # A duplicate was enqueued when it was first recorded.
        dispatcher.enqueue(recorded.executions)


def _print_waited(record: Record, answers: list[dict[str, Any]], wait: float) -> None:
    """Print the answers when every execution has been decided, or when the time is over."""
    if wait <= 0:
        return
    deadline = time.monotonic() + wait
    ids = [UUID(answer["signal_id"]) for answer in answers if "signal_id" in answer]
    while ids:
        rows = executions_of(record, ids)
        if time.monotonic() >= deadline or not any(row.state in UNDECIDED for row in rows):
            break
        time.sleep(_READ_EVERY_S)
    by_signal: dict[str, list[dict[str, Any]]] = {}
    for row in executions_of(record, ids) if ids else []:
        by_signal.setdefault(str(row.signal_id), []).append(ExecutionView.model_validate(row).to_json())
    for answer in answers:
        if "signal_id" in answer:
            answer["executions"] = by_signal.get(answer["signal_id"], answer["executions"])
        _print(answer)


def _print(answer: dict[str, Any]) -> None:
    echo_json(answer, indent=None)


def _opened(file: str) -> BinaryIO:
    if file == "-":
        stream = standard_input()
        if stream.isatty():
            echo("reading signals from the keyboard; Ctrl-D ends the input", err=True)
        return stream
    try:
        return Path(file).open("rb")
    except OSError as error:
        raise ConfigInvalid([Problem(key="FILE", message=f"{file} cannot be read: {error.strerror}")]) from None
