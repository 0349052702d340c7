"""The command `pnl`: the profit by account, strategy, symbol or day."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Annotated

import typer

from pipeline.entrypoints.cli.options import AsJson, Since
from pipeline.entrypoints.cli.output import echo, echo_json
from pipeline.entrypoints.cli.tables import age, currencies, end_if_books_failed, last_readings, money, print_table
from pipeline.startup.arguments import check_name
from pipeline.startup.context import executors_for, open_record, settings_for_a_person, since
from pipeline.views.profit import By, Profit, profit

# The keeper reads accounts with positions more often.
_RECENT = timedelta(seconds=60)


def pnl(
    *,
    by: Annotated[By, typer.Option(help="Sum up by account, strategy, symbol or day.")] = By.ACCOUNT,
    executor: Annotated[str | None, typer.Option(help="Only of this executor.")] = None,
    after: Since = None,
    as_json: AsJson = False,
) -> None:
    """Show the profit before fees of closed trades (realised) and of what is open now (unrealised), and known fees.

    `--since` counts trades that were closed from then on. Days begin as `hours` of the executor says. Trades without a
    known profit count as trades only.
    """
    settings = settings_for_a_person("pnl", anywhere=True)
    executors = executors_for(settings)
    with open_record(settings) as record:
        rows = profit(record, executors, by=by, executor_id=executor, since=since(after))
        readings = last_readings(record, [each.executor_id for each in rows])
    if not rows:
        check_name(settings, executor)
    if as_json:
        echo_json([each.view().to_json() for each in rows])
    elif not rows:
        echo("no trades and no open positions of a strategy")
    else:
        _print(rows, by, currencies(readings))
    for executor_id in {each.executor_id: None for each in rows if each.unrealised}:
        reading = readings[executor_id]
        if reading is not None and age(reading) > _RECENT:
            echo(f"{executor_id}: at prices of {age(reading).total_seconds():.0f} s ago", err=True)
    if unknown := sum(each.unknown for each in rows):
        echo(f"{unknown} trades have an unknown profit, which `realised` lacks.", err=as_json)
    end_if_books_failed()


def _print(rows: Sequence[Profit], by: By, units: Mapping[str, str]) -> None:
    named = 0 if by is By.ACCOUNT else 1
    headings = ["account", *[by.value] * named, "realised", *_unless_days(by, "unrealised"), "fees", "trades", "wins"]
    lines = [
        [each.executor_id, *[each.key or "no strategy"] * named, *_figures(each, by, units[each.executor_id])]
        for each in rows
    ]
    for (mode, currency), total in _totals(rows, units).items():
        lines.append([f"total {mode}", *[""] * named, *_figures(total, by, currency)])
    print_table(headings, lines, left=1 + named)


def _figures(profit: Profit, by: By, currency: str) -> list[str]:
    return [
        money(profit.realised, currency),
        *_unless_days(by, money(profit.unrealised, currency)),
        money(profit.fees, currency),
        str(profit.trades),
        str(profit.wins),
    ]


def _unless_days(by: By, text: str) -> list[str]:
    """Return the column of what is open now, which belongs to no day."""
    return [] if by is By.DAY else [text]


def _totals(rows: Sequence[Profit], units: Mapping[str, str]) -> dict[tuple[str, str], Profit]:
    """Add up the rows whose amounts may be added up: those of one mode and currency."""
    groups: dict[tuple[str, str], list[Profit]] = {}
    for row in rows:
        groups.setdefault((row.mode, units[row.executor_id]), []).append(row)
    return {group: _sum(parts) for group, parts in groups.items()}


def _sum(rows: Sequence[Profit]) -> Profit:
    unrealised = [row.unrealised for row in rows if row.unrealised is not None]
    return replace(
        rows[0],
        realised=sum((row.realised for row in rows if row.realised is not None), Decimal(0)),
        unrealised=sum(unrealised, Decimal(0)) if len(unrealised) == len(rows) else None,
        fees=sum((row.fees for row in rows), Decimal(0)),
        trades=sum(row.trades for row in rows),
        wins=sum(row.wins for row in rows),
    )
