"""The commands `executions` and `why`."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Annotated, Any
from uuid import UUID

import typer

from config.schema.executor import ExecutorSettings
from pipeline.entrypoints.cli.options import AsJson, Since
from pipeline.entrypoints.cli.output import echo, echo_hint, echo_json
from pipeline.model.errors import ConfigInvalid, Problem
from pipeline.model.states import State
from pipeline.model.symbols import canonical
from pipeline.model.times import moment_of
from pipeline.startup.arguments import check_name, id_of, parsed
from pipeline.startup.context import executors_for, open_record, settings_for_a_person, since
from pipeline.views.history import executions as list_executions
from pipeline.views.history import signal_history
from pipeline.views.schemas import ExecutionView
from pipeline.views.symbol_history import ask


def executions(
    *,
    signal: Annotated[str | None, typer.Option(metavar="ID", help="Only of this signal.")] = None,
    status: Annotated[str | None, typer.Option(help="Only in this state.")] = None,
    executor: Annotated[str | None, typer.Option(help="Only of this executor.")] = None,
    after: Since = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="List at most this many.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List executions, newest first."""
    settings = settings_for_a_person("executions", anywhere=True)
    with open_record(settings) as record:
        rows = list_executions(
            record,
            signal_id=None if signal is None else id_of(signal, "--signal"),
            state=None if status is None else state_named(status),
            executor_id=executor,
            since=since(after),
            limit=limit,
        )
    if not rows:
        check_name(settings, executor)
    bodies = [ExecutionView.model_validate(row).to_json() for row in rows]
    if as_json:
        echo_json(bodies)
        return
    for body in bodies:
        what = body["reason"] or (f"order {body['order_id']}" if body["order_id"] else "")
        echo(
            f"{body['execution_id']}  {body['created_at'][:19]}Z  {body['executor_id']:<12} {body['action']:<4} "
            f"{body['symbol']:<8} {body['status']:<16} {what}"
        )
    if bodies:
        echo_hint("`tradewire why ID` shows the whole history of one.")


def why(
    which: Annotated[
        str, typer.Argument(metavar="SIGNAL_OR_EXECUTION_ID|SYMBOL", help="An id, or a symbol like AAPL.")
    ],
    *,
    at: Annotated[
        str | None, typer.Option(metavar="TIME", help="With a symbol: around this time; RFC 3339, or 15m, 2h, 3d ago.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show a signal's history at every account, with times. With a symbol: its newest signals, or why there is none."""
    settings = settings_for_a_person("why", anywhere=True)
    executors: Mapping[str, ExecutorSettings] = {}
    # The history can be read even if the executors file is wrong now.
    with suppress(ConfigInvalid):
        executors = executors_for(settings)
    some_id, symbol = _id_or_symbol(which)
    moment = parsed("--at", at, moment_of)
    with open_record(settings) as record:
        if some_id is not None:
            print_life(signal_history(record, some_id, executors=executors).to_json(), as_json=as_json)
            return
        answer = ask(record, symbol, at=moment)
        lives = [signal_history(record, each, executors=executors).to_json() for each in answer.signal_ids]
    if as_json:
        echo_json(answer.to_json() | {"signals": lives})
        return
    for number, body in enumerate(lives):
        echo(*[""] if number else [])  # An empty line between two signals.
        print_life(body, as_json=False)
    if not lives:
        first, *more = answer.silence_lines()
        echo(first, *(f"  {line}" for line in more))
    # Without a signal, `silence` has already shown the refused input.
    for row in answer.refused if lives else ():
        if row.mentions_symbol:
            echo("", str(row))


def _id_or_symbol(text: str) -> tuple[UUID | None, str]:
    with suppress(ValueError):
        return UUID(text), ""
    try:
        return None, canonical(text)
    except ValueError:
        key = "SIGNAL_OR_EXECUTION_ID|SYMBOL"
        raise ConfigInvalid([Problem(key=key, message=f"{text!r} is neither an id nor a symbol")]) from None


def print_life(body: dict[str, Any], *, as_json: bool) -> None:
    """Print a signal's history, as JSON or as text."""
    if as_json:
        echo_json(body)
        return
    signal = body["signal"]
    percent = "" if signal["confidence"] is None else f" at {signal['confidence']} %"
    price = signal["entry_price"] or signal["price"]  # `price` is the word "market".
    priced = "" if price is None else f", price {price}"
    echo(f"{signal['action']} {signal['symbol']}{percent}{priced}, from {signal['source']}")
    echo(f"signal {signal['signal_id']}, recorded {signal['recorded_at']}")
    for delivery in body["deliveries"]:
        kind = "re-sent" if delivery["resend_of"] else "delivered"
        notes = f"; {delivery['notes']}" if delivery["notes"] else ""
        echo(f"{kind} {delivery['at']} as {delivery['dialect']}: {delivery['identity_says']}{notes}")
    for execution in body["executions"]:
        _print_execution(execution)


def _print_execution(execution: dict[str, Any]) -> None:
    echo("", f"{execution['executor_id']} ({execution['mode']}): {execution['status']}  {execution['execution_id']}")
    if execution["pruned_at"] is not None:
        echo(f"  its steps and attempts were removed by `tradewire retention` at {execution['pruned_at']}")
    for move, repeats in _folded(execution["moves"]):
        reason = f"  {move['reason']}" if move["reason"] else ""
        why = f"  ({move['why']})" if move["why"] else ""
        # If there is a reason, its figures already contain the request id.
        asked = f"  request_id={move['request_id']}" if move["request_id"] and not reason else ""
        echo(f"  {move['after_ms']:>10.1f} ms  {move['to']:<16} by {move['by']}{reason}{asked}{why}")
        if repeats:
            echo(f"  {repeats[-1]['after_ms']:>10.1f} ms  {'':<16} held {len(repeats) + 1} times until then")
    for attempt in execution["attempts_made"]:
        echo(f"  {_attempt_line(attempt)}")
    if execution["pruned_at"] is not None and execution["reason"]:
        echo(f"  {execution['reason']}")
    for order in execution["orders"]:
        echo(f"  {_order_line(order)}", *_request_lines(order))
        for fill in order["fills"]:
            echo(f"    {_fill_line(fill)}")
    if execution["settings"]["hash"] is not None:
        echo(f"  {_settings_line(execution['settings'])}")
    if execution.get("remedy"):
        echo(f"  {execution['meaning']} {execution['remedy']}")


def _folded(moves: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Yield each state change, and the holds for the same reason that follow a hold; their claims are left out."""
    place = 0
    while place < len(moves):
        move, repeats = moves[place], list[dict[str, Any]]()
        if move["to"] == State.HELD:
            while _is_repeat(move, moves[place + 1 : place + 3]):
                place += 2
                repeats.append(moves[place])
        yield move, repeats
        place += 1


def _is_repeat(held: dict[str, Any], following: list[dict[str, Any]]) -> bool:
    if [each["to"] for each in following] != [State.SUBMITTING, State.HELD]:
        return False
    claim, again = following
    return not claim["reason"] and (again["reason"], again["why"]) == (held["reason"], held["why"])


def _attempt_line(attempt: dict[str, Any]) -> str:
    took = "" if attempt["took_ms"] is None else f" in {attempt['took_ms']} ms"
    asked = f" request_id={attempt['request_id']}" if attempt["request_id"] else ""
    message = f" {attempt['message']}" if attempt["message"] else ""
    sent = "not sent" if attempt["sent_at"] is None else f"sent {attempt['sent_at']}"
    return f"{sent}: {attempt['outcome']}{took}{asked}{message}"


def _order_line(order: dict[str, Any]) -> str:
    if order["order_id"] is None:
        return f"order {order['client_order_id']}: the broker has given it no id"
    price = "" if order["filled_average_price"] is None else f" at {order['filled_average_price']}"
    status = "" if order["order_status"] is None else f" order_status={order['order_status']}"
    return f"order {order['order_id']} ({order['client_order_id']}){status} filled {order['filled_quantity']}{price}"


def _request_lines(order: dict[str, Any]) -> Iterator[str]:
    if order["cancel_requested_at"] is not None:
        why = f"  ({order['cancel_requested_why']})" if order["cancel_requested_why"] else ""
        yield f"    its cancel was requested {order['cancel_requested_at']} by {order['cancel_requested_by']}{why}"


def _fill_line(fill: dict[str, Any]) -> str:
    price = "" if fill["price"] is None else f" at {fill['price']}"
    named = "" if fill["fill_id"] is None else f" (fill {fill['fill_id']})"
    note = f"; {fill['note']}" if fill["note"] else ""
    return f"filled {fill['filled_at']}: {fill['quantity']}{price}{named}{note}"


def _settings_line(settings: dict[str, Any]) -> str:
    line = f"decided under settings {settings['hash'][:8]}"
    if settings["current"] is None or settings["current"]:
        return line
    if settings["changes"] is None:
        return f"{line}; the file has other settings now"
    return f"{line}; changed since: {'; '.join(settings['changes']) or 'the release'}"


def state_named(text: str) -> State:
    """Return the state that --status names.

    Raises:
        ConfigInvalid: there is no such state.
    """
    try:
        return State(text)
    except ValueError:
        message = f"{text!r} is not a state; there is {', '.join(State)}"
        raise ConfigInvalid([Problem(key="--status", message=message)]) from None
