"""`tradewire orders`: list the open orders, cancel one, or close the position in a symbol."""

from collections.abc import Iterator
from typing import Annotated

import typer

from config.schema.fields import plain
from pipeline.entrypoints.cli.close_position import close
from pipeline.entrypoints.cli.options import AsJson, ByMachine, finite
from pipeline.entrypoints.cli.output import echo, echo_json
from pipeline.entrypoints.cli.tables import print_table
from pipeline.model.errors import ConfigInvalid, Problem
from pipeline.model.states import ENDED, State
from pipeline.operations.cancel_order import NamedOrder, not_one, orders_named, request_cancel, wait_for_end
from pipeline.startup.acting import name_accounts
from pipeline.startup.arguments import check_name, me
from pipeline.startup.context import open_record, settings_for_a_person
from pipeline.store.record import Record
from pipeline.store.rows import Role
from pipeline.views.orders import CancelView, OpenOrderView, missing_processes, open_orders

app = typer.Typer(no_args_is_help=True, help="Orders by hand: list the open ones, cancel one, close a position.")
app.command()(close)

_HEADINGS = (
    "account", "role", "side", "symbol", "type", "status", "order", "quantity", "filled", "limit", "stop",
)  # fmt: skip


@app.command("list")
def list_(
    *, executor: Annotated[str | None, typer.Option(help="Only of this executor.")] = None, as_json: AsJson = False
) -> None:
    """List tradewire's open orders, oldest first. Orders that others placed at the broker are not shown."""
    settings = settings_for_a_person("orders", anywhere=True)
    with open_record(settings) as record:
        found = open_orders(record, executor_id=executor)
    if not found:
        check_name(settings, executor)
    if as_json:
        echo_json([each.to_json() for each in found])
    elif found:
        print_table(_HEADINGS, [_row(each) for each in found], left=7)
    else:
        echo("no open orders")


@app.command()
def cancel(
    order_id: Annotated[
        str, typer.Argument(metavar="ORDER_ID", help="The broker's id, the client_order_id, or the execution's id.")
    ],
    *,
    why: Annotated[
        str | None, typer.Option(help="The reason, which is recorded. It is needed for an exit or a stop order.")
    ] = None,
    by: ByMachine = None,
    wait: Annotated[
        float,
        typer.Option(min=0, callback=finite, metavar="SECONDS", help="How long to wait at most for the order's end."),
    ] = 10.0,
    as_json: AsJson = False,
) -> None:
    """Cancel an order of tradewire's: exit 0 when it is canceled, 1 when it was filled or is still open.

    The request is recorded, and the keeper sends it until the order has ended. After the cancel of an exit the
    position stays open; after that of a stop order it has no stop.
    """
    settings = settings_for_a_person("orders")
    with open_record(settings) as record:
        order = _the_order(record, order_id, why)
        name_accounts(settings, [order.executor_id])
        order = request_cancel(record, order, by=by or me(), why=why)
        missing = missing_processes(record, [("keeper", "keeper")])
        # Without a keeper the request is not sent, and waiting shows nothing.
        order = wait_for_end(record, order, wait_s=0 if missing else wait)
    if as_json:
        echo_json(CancelView.of(order, missing).to_json())
    else:
        echo(*_cancel_lines(order, missing))
    is_left_to_the_keeper = wait == 0 and order.ended_at is None and not missing
    raise typer.Exit(0 if is_left_to_the_keeper or order.state in ENDED - {State.FILLED} else 1)


def _the_order(record: Record, text: str, why: str | None) -> NamedOrder:
    found = orders_named(record, text)
    if len(found) != 1:
        raise ConfigInvalid([Problem(key="ORDER_ID", message=not_one(text, found))])
    if found[0].why_it_is_needed and not (why or "").strip():
        message = f"is missing: {found[0]} {found[0].why_it_is_needed}"
        raise ConfigInvalid([Problem(key="--why", message=message)])
    return found[0]


def _cancel_lines(order: NamedOrder, missing: list[str]) -> Iterator[str]:
    if order.ended_at is None:
        yield f"cancel requested by {order.cancel_requested_by}: {order}, {order.progress}"
        if missing:
            yield "no keeper runs: the request is recorded, and the next keeper sends it"
        else:
            yield "the keeper sends the request until the order has ended"
        return
    before = " before the cancel" if order.state is State.FILLED else ""
    yield f"{order.state.value}{before}: {order}, {order.progress}"
    if order.role is Role.EXIT and order.state is not State.FILLED:
        yield "the position stays open: this exit is not repeated"
    if order.role is Role.PROTECTION and order.state is not State.FILLED:
        yield "the position has no stop order until the strategy's next entry is filled"


def _row(order: OpenOrderView) -> tuple[str, ...]:
    prices = ("" if price is None else plain(price) for price in (order.limit_price, order.stop_price))
    return (
        order.executor_id,
        order.role.value,
        order.side.value,
        order.symbol,
        order.type or "",
        order.order_status or "unknown",
        order.order_id or order.client_order_id,
        plain(order.quantity),
        plain(order.filled_quantity),
        *prices,
    )
