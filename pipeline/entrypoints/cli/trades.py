"""The command `trades`: what exits closed, with the profit."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Annotated

import typer

from config.schema.fields import plain
from pipeline.entrypoints.cli.options import AsJson, Since
from pipeline.entrypoints.cli.output import echo, echo_json
from pipeline.entrypoints.cli.tables import (
    UNKNOWN,
    currencies,
    end_if_books_failed,
    group_of,
    last_readings,
    money,
    print_table,
    sums,
)
from pipeline.model.errors import ConfigInvalid
from pipeline.startup.arguments import check_name, symbol_of
from pipeline.startup.context import executors_for, open_record, settings_for_a_person, since
from pipeline.views.book_schemas import TradeView
from pipeline.views.trades import trades as list_trades

_HEADINGS = (
    "closed", "account", "symbol", "strategy", "exit", "quantity", "entry price", "exit price", "realised", "fees",
)  # fmt: skip


def trades(
    *,
    executor: Annotated[str | None, typer.Option(help="Only of this executor.")] = None,
    symbol: Annotated[str | None, typer.Option(help="Only of this symbol.")] = None,
    after: Since = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="List at most this many.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List closed trades, newest first: the part of each entry that one exit closed, with its profit before fees.

    A quantity below zero was short. A profit is unknown if no entry of ours opened what the exit closed, or if the
    broker gave no price.
    """
    settings = settings_for_a_person("trades", anywhere=True)
    modes: Mapping[str, str] = {}
    # The trades can be read even if the executors file is wrong now.
    with suppress(ConfigInvalid):
        modes = {each.id: each.mode for each in executors_for(settings).values()}
    with open_record(settings) as record:
        page = list_trades(record, executor_id=executor, symbol=symbol_of(symbol), since=since(after), limit=limit)
        units = currencies(last_readings(record, [each.executor_id for each in page.items]))
    if not page.items:
        check_name(settings, executor)
    if as_json:
        echo_json([each.to_json() for each in page.items])
    elif not page.items:
        echo("no trades")
    else:
        _print(page.items, modes, units)
        if page.has_more:
            echo(f"The newest {limit}; there are more. `tradewire export trades` writes all.")
    end_if_books_failed()


def _print(trades: Sequence[TradeView], modes: Mapping[str, str], units: Mapping[str, str]) -> None:
    rows = [_row(each, units[each.executor_id]) for each in trades]
    known = [each for each in trades if each.realised is not None]
    amounts = [(group_of(each.executor_id, modes, units), (each.realised, each.fees)) for each in known]
    for group, (realised, fees) in sums(amounts).items():
        currency = group.partition(" ")[2]
        rows.append((f"total {group}", *[""] * 7, money(realised, currency), money(fees, currency)))
    print_table(_HEADINGS, rows, left=5)
    if unknown := len(trades) - len(known):
        echo(f"The total lacks {unknown} with an unknown profit.")


def _row(trade: TradeView, currency: str) -> tuple[str, ...]:
    return (
        f"{trade.closed_at:%Y-%m-%d %H:%M:%S}Z",
        trade.executor_id,
        trade.symbol,
        trade.strategy or "no strategy",
        trade.exit_reason,
        plain(trade.quantity),
        UNKNOWN if trade.entry_price is None else plain(trade.entry_price),
        UNKNOWN if trade.exit_price is None else plain(trade.exit_price),
        money(trade.realised, currency),
        money(trade.fees, currency),
    )
