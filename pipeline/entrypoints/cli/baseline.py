"""`tradewire baseline`: show the equity from which an account's losses are counted, or correct it."""

import getpass
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Annotated

import typer

from config.schema.executor import Executors
from pipeline.accounts.equity_corrections import Baseline, correct, read
from pipeline.entrypoints.cli.options import AsJson, By
from pipeline.entrypoints.cli.output import echo, echo_json
from pipeline.model.errors import ConfigInvalid, Problem
from pipeline.startup.arguments import not_in_file
from pipeline.startup.context import executors_for, open_record, open_to_change, settings_for_a_person


def baseline(
    executor: Annotated[str, typer.Argument(metavar="EXECUTOR", help="The executor of the account.")],
    *,
    day_start: Annotated[
        str | None, typer.Option(metavar="AMOUNT", help="From now on the day's loss is counted from this amount.")
    ] = None,
    peak: Annotated[
        str | None, typer.Option(metavar="AMOUNT", help="From now on a trailing drawdown is counted from this amount.")
    ] = None,
    why: Annotated[str | None, typer.Option(help="The reason, which is recorded. A correction needs one.")] = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Show the equity from which an account's losses are counted, or correct it. A correction lifts no switch."""
    settings = settings_for_a_person("baseline")
    executors = executors_for(settings)
    figures = {"--day-start": day_start, "--peak": peak}
    _refuse_wrong_input(executor, executors, figures, why)
    corrects = day_start is not None or peak is not None
    with open_to_change(settings, [executor]) if corrects else open_record(settings) as record:
        if corrects:
            before, after = correct(
                record,
                executors[executor],
                day_start=_amount(day_start),
                peak=_amount(peak),
                by=by or getpass.getuser(),
                why=why or "",  # `_refuse_wrong_input` requires it.
            )
        else:
            before = after = read(record, executors[executor])
    if as_json:
        echo_json({"was": before.to_json(), "is": after.to_json()})
    else:
        echo(*_lines(before, after))


def _refuse_wrong_input(
    executor: str, executors: Executors, figures: Mapping[str, str | None], why: str | None
) -> None:
    problems = []
    if executor not in executors:
        problems.append(not_in_file(executors, executor))
    given = {key: text for key, text in figures.items() if text is not None}
    for key, text in given.items():
        if _amount(text) is None:
            problems.append(Problem(key=key, message=f"{text!r} is not an amount of money above 0"))
    if given and not (why or "").strip():
        problems.append(Problem(key="--why", message="a correction needs a reason"))
    if problems:
        raise ConfigInvalid(problems)


def _amount(text: str | None) -> Decimal | None:
    """Return the amount above 0 that *text* holds, or None."""
    try:
        # Decimal also reads NaN and Infinity, which are refused below.
        amount = Decimal(text or "")
    except InvalidOperation:
        return None
    return amount if amount.is_finite() and amount > 0 else None


def _lines(before: Baseline, after: Baseline) -> list[str]:
    lines = [f"{after.executor_id}  account {after.account}  day {after.day}  equity {after.equity}"]
    for name in ("day_start_equity", "day_start_balance", "peak_equity"):
        was, now = getattr(before, name), getattr(after, name)
        lines.append(f"  {name:<18} {now}" + (f"  (was {was})" if was != now else ""))
    return lines
