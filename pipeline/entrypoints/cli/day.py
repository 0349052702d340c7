"""The command `day`: the books of one day at each account."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Annotated

import typer

from pipeline.entrypoints.cli.options import AsJson
from pipeline.entrypoints.cli.output import echo, echo_json
from pipeline.entrypoints.cli.tables import currencies, end_if_books_failed, last_readings, money, print_table
from pipeline.startup.arguments import executor_of
from pipeline.startup.context import executors_for, open_record, settings_for_a_person
from pipeline.views.day import DayNotBegun, days
from pipeline.views.day_schemas import DayView


def day(
    *,
    on: Annotated[
        datetime | None,
        typer.Argument(metavar="[DATE]", formats=["%Y-%m-%d"], help="Like 2026-11-30; today if left out."),
    ] = None,
    executor: Annotated[str | None, typer.Option(help="Only of this executor.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show the books of a day: signals, orders, fills, profit, equity, limits and findings of each account.

    The day is the one of `hours` of the executor. What the record does not know is shown as unknown.
    """
    settings = settings_for_a_person("day", anywhere=True)
    executors = executors_for(settings)
    chosen = list(executors.values()) if executor is None else [executor_of(executors, executor)]
    with open_record(settings) as record:
        try:
            found = days(record, chosen, on=None if on is None else on.date())
        except DayNotBegun as error:
            raise typer.BadParameter(f"{error}.", param_hint="DATE") from None
        units = currencies(last_readings(record, [each.executor_id for each in found]))
    if as_json:
        echo_json([each.to_json() for each in found])
    else:
        for number, each in enumerate(found):
            if number:
                echo("")
            for line in _lines(each, units[each.executor_id]):
                echo(line)
            _print_symbols(each)
    end_if_books_failed()


def _lines(day: DayView, currency: str) -> Iterator[str]:
    def amount(number: Decimal | None) -> str:
        return "unknown" if number is None else money(number, currency)

    yield f"{day.executor_id} ({day.mode}), {day.day}{'' if day.over else ', so far'}"
    outcomes = _listed(day.outcomes) + (f", {day.elsewhere} elsewhere" if day.elsewhere else "")
    yield f"  signals     {day.signals}{': ' if day.signals else ''}{outcomes.removeprefix(', ')}"
    if day.reasons:
        yield f"  reasons     {_listed(day.reasons)}"
    yield f"  orders      {day.orders} sent, {day.decided} decisions, {day.fills} fills"
    trades = f"{day.trades} trades, {day.wins} with a profit" + (f", {day.unknown} unknown" if day.unknown else "")
    yield f"  realised    {amount(day.realised)} ({trades}), fees {amount(day.fees)}"
    yield f"  unrealised  {amount(day.unrealised_change)} changed"
    yield f"  equity      {amount(day.start_equity)} to {amount(day.end_equity)}: {amount(day.equity_change)}"
    yield f"  unexplained {amount(day.unexplained)}"
    warned = "unknown" if day.limits_warned is None else ", ".join(day.limits_warned) or "none"
    yield f"  limits      warned of: {warned}"
    for switch in day.switches:
        yield f"              {switch.kind} by {switch.cause} at {switch.at:%Y-%m-%dT%H:%M:%SZ}"
    yield f"  findings    {day.findings} new, {day.findings_open} open now"


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items())


def _print_symbols(day: DayView) -> None:
    def shown(number: Decimal | None) -> str:
        return "unknown" if number is None else f"{number:f}"

    rows = [
        [each.symbol, *(shown(number) for number in (each.before, each.bought, each.sold, each.after, each.broker))]
        for each in day.symbols
    ]
    if rows:
        print_table(["symbol", "before", "bought", "sold", "after", "broker"], rows, left=1)
