"""The command `positions`: what each account holds, and what our strategies hold of it."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import timedelta
from decimal import Decimal
from typing import Annotated

import typer

from config.schema.executor import ExecutorSettings
from config.schema.fields import plain
from config.schema.settings import Settings
from pipeline.accounts.snapshot import Snapshot
from pipeline.entrypoints.cli.options import AsJson
from pipeline.entrypoints.cli.output import echo, echo_json
from pipeline.entrypoints.cli.tables import (
    UNKNOWN,
    age,
    currencies,
    end_if_books_failed,
    group_of,
    last_readings,
    money,
    print_table,
    sums,
)
from pipeline.model.errors import BrokerUnavailable, BrokerUnreadable, ConfigInvalid
from pipeline.startup.arguments import executor_of
from pipeline.startup.context import executors_for, open_record, settings_for_a_person
from pipeline.store.record import Record
from pipeline.views.book_schemas import HeldPosition, StrategyPosition
from pipeline.views.positions import positions as list_positions
from workers.account.refusals import AccountRefused
from workers.account.runtime import open_runtime

# The account is read anew: a shared reading may be older than the newest fill.
_NOW = timedelta(0)
_HEADINGS = (
    "account", "symbol", "strategies", "quantity", "average", "price", "value", "unrealised", "stop", "target",
)  # fmt: skip


def positions(
    *,
    executor: Annotated[str | None, typer.Option(help="Only of this executor.")] = None,
    as_json: AsJson = False,
) -> None:
    """List what each account holds at its broker, and what each strategy holds of it by its fills.

    The account is read now; if that fails, the last reading is shown, with its age. `no strategy` stands for signals
    that name none, and `not by tradewire` for a position that no signal opened. `stop` and `target` are the nearest
    prices of the strategies' signals. In JSON, `protected` is true where stop orders cover all holdings with a
    stop, false where they do not, and null where no stop was given. No orders are placed for targets yet.
    """
    settings = settings_for_a_person("positions", anywhere=True)
    executors = executors_for(settings)
    chosen = list(executors.values()) if executor is None else [executor_of(executors, executor)]
    with open_record(settings) as record:
        failures = {each.id: _read(each, settings, record) for each in chosen}
        held = list_positions(record, chosen)
        readings = last_readings(record, [each.id for each in chosen])
    if as_json:
        echo_json([each.to_json() for each in held])
    elif not held:
        echo("no positions")
    else:
        _print(held, {each.id: each.mode for each in chosen}, currencies(readings))
    for executor_id, failure in failures.items():
        if failure is not None:
            echo(f"{executor_id}: the account cannot be read: {failure}; {_age(readings[executor_id])}", err=True)
    end_if_books_failed()


def _read(executor: ExecutorSettings, settings: Settings, record: Record) -> str | None:
    """Read the account, and return why that failed, or None."""
    try:
        with closing(
            open_runtime(executor, settings=settings, exchange_url=settings.exchange_url, record=record)
        ) as it:
            found = it.snapshots.fresh(within=_NOW)
    except (BrokerUnavailable, BrokerUnreadable, ConfigInvalid) as error:
        return str(error)
    return found.message if isinstance(found, AccountRefused) else None


def _age(reading: Snapshot | None) -> str:
    if reading is None:
        return "it was never read"
    return f"shown as read {age(reading).total_seconds():.0f} s ago"


def _print(held: Sequence[HeldPosition], modes: Mapping[str, str], units: Mapping[str, str]) -> None:
    rows = [_row(each, units.get(each.executor_id, "")) for each in held]
    amounts = [(group_of(each.executor_id, modes, units), (each.market_value, each.unrealised)) for each in held]
    for group, (value, unrealised) in sums(amounts).items():
        currency = group.partition(" ")[2]
        total = (f"total {group}", "", "", "", "", "", money(value, currency), money(unrealised, currency), "", "")
        rows.append(total)
    print_table(_HEADINGS, rows, left=3)


def _row(held: HeldPosition, currency: str) -> tuple[str, ...]:
    strategies = ", ".join(f"{each.strategy or 'no strategy'} {_holds(each)}" for each in held.strategies)
    return (
        held.executor_id,
        held.symbol,
        strategies or "not by tradewire",
        _number(held.quantity),
        _number(held.average_price),
        _number(held.market_price),
        money(held.market_value, currency),
        money(held.unrealised, currency),
        "" if held.stop_price is None else f"{plain(held.stop_price)}{'' if held.protected else ' (no order)'}",
        "" if held.target_price is None else f"{plain(held.target_price)} (no order)",
    )


def _holds(part: StrategyPosition) -> str:
    price = "" if part.average_price is None else f" at {plain(part.average_price)}"
    return f"{plain(part.quantity)}{price}"


def _number(number: Decimal | None) -> str:
    return UNKNOWN if number is None else plain(number)
