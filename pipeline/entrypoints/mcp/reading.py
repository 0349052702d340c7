"""The tools that read. They never trade, and change no account, execution or setting."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import date
from typing import Annotated, Any

from pydantic import Field

from config.schema.executor import ExecutorSettings
from pipeline.accounts.limit_usage import headroom as rooms_of
from pipeline.accounts.switches import Switches
from pipeline.entrypoints.doctor.examine import examine
from pipeline.entrypoints.doctor.findings import findings_json
from pipeline.entrypoints.mcp.common_args import record_now, settings_now
from pipeline.model.errors import ConfigInvalid, Problem
from pipeline.model.states import State
from pipeline.model.symbols import canonical
from pipeline.operations.dead_letters import DeadLetters
from pipeline.startup.arguments import id_of
from pipeline.startup.context import executors_for, since
from pipeline.views import lists
from pipeline.views.account_schemas import HeadroomView, SwitchStatusView
from pipeline.views.day import DayNotBegun, days
from pipeline.views.findings import findings as list_findings
from pipeline.views.history import signal_history
from pipeline.views.orders import open_orders
from pipeline.views.positions import positions as list_positions
from pipeline.views.profit import By, profit
from pipeline.views.report import report as make_report
from pipeline.views.schemas import DeadLetterView
from pipeline.views.symbol_history import ask
from pipeline.views.trades import trades as list_trades

#: The most items of one answer.
MOST = 200

Answer = dict[str, Any]
Since = Annotated[str | None, Field(description="Only from then on: RFC 3339, or a time ago like 90s, 15m, 2h, 3d.")]
Executor = Annotated[str | None, Field(description="Only of this executor.")]
Limit = Annotated[int, Field(ge=1, le=MOST, description="Return at most this many.")]


def why(
    of: Annotated[str, Field(description="The id of a signal or an execution, or a symbol like AAPL.")],
    at: Annotated[
        str | None, Field(description="With a symbol: around this time; RFC 3339, or 15m, 2h, 3d ago.")
    ] = None,
) -> Answer:
    """Return a signal's whole history at every executor: state changes with times and reasons, attempts and orders.

    With a symbol: its newest signals, or those nearest to a time. If there are none: the last signals of each source,
    and the input that was refused.
    """
    with record_now(anywhere=True) as (settings, record):
        executors: Mapping[str, ExecutorSettings] = {}
        # The history can be read even if the executors file is wrong now.
        with suppress(ConfigInvalid):
            executors = executors_for(settings)
        symbol = _symbol(of)
        if symbol is None:
            return signal_history(record, id_of(of, "of"), executors=executors).to_json()
        answer = ask(record, symbol, at=since(at))
        lives = [signal_history(record, each, executors=executors).to_json() for each in answer.signal_ids]
        return answer.to_json() | {"signals": lives, "silence": None if lives else answer.silence()}


def _symbol(text: str) -> str | None:
    try:
        return canonical(text)
    except ValueError:
        return None


def report(after: Since = None) -> Answer:
    """Count signals and their results by state, reason and executor; with execution rate, fill rate and latency."""
    with record_now(anywhere=True) as (_, record):
        return make_report(record, since=since(after)).to_json()


def doctor() -> Answer:
    """Check every part of the system: what was seen, and for each problem the likely cause and the remedy."""
    settings = settings_now(anywhere=True)
    return findings_json(examine(settings, executors_for(settings)))


def executions(
    executor: Executor = None,
    signal: Annotated[str | None, Field(description="Only of the signal of this id.")] = None,
    symbol: Annotated[str | None, Field(description="Only of this symbol, like AAPL or BTC/USD.")] = None,
    status: Annotated[State | None, Field(description="Only in this state.")] = None,
    after: Since = None,
    limit: Limit = 50,
) -> Answer:
    """List executions (one signal at one executor), newest first, each with its order id or its reason."""
    with record_now(anywhere=True) as (_, record):
        found = lists.executions(
            record,
            signal_id=None if signal is None else id_of(signal, "signal"),
            state=status,
            executor_id=executor,
            # A text that is not a symbol finds nothing; that is not an error.
            symbol=None if symbol is None else _symbol(symbol) or symbol,
            since=since(after),
            limit=limit,
        )
    return {"executions": [each.to_json() for each in found.items], "has_more": found.has_more}


def dead_letters(executor: Executor = None, limit: Limit = 50) -> Answer:
    """List the open dead letters, the executions that need a person, oldest first."""
    with record_now(anywhere=True) as (_, record):
        dead_letters = DeadLetters(record).open(executor, limit=limit)
    return {"dead_letters": [DeadLetterView.model_validate(dead_letter).to_json() for dead_letter in dead_letters]}


def dead_letter(execution_id: Annotated[str, Field(description="The execution's id.")]) -> Answer:
    """Return the whole history of a dead letter."""
    with record_now(anywhere=True) as (_, record):
        return signal_history(record, id_of(execution_id, "execution_id")).to_json()


def headroom() -> Answer:
    """Return how much of each limit every account has used and has left; money is a string."""
    with record_now(anywhere=True) as (settings, record):
        return {
            "headroom": [
                HeadroomView.model_validate(room).to_json() for room in rooms_of(record, executors_for(settings))
            ]
        }


def switches() -> Answer:
    """Return the switches of every executor (paused, reducing, halted), and who turned them on, when and why."""
    with record_now(anywhere=True) as (settings, record):
        statuses = [
            SwitchStatusView.of(Switches(record).active_switches(each)).to_json() for each in executors_for(settings)
        ]
    return {"switches": [{key: each[key] for key in ("executor_id", "account", "switches")} for each in statuses]}


def positions(executor: Executor = None) -> Answer:
    """Return what each account holds as last read (`read_at`), and what each strategy holds of it by its fills.

    A position without strategies was not opened by a signal. `protected` is false where stop orders do not
    cover all holdings with a stop, and null where no stop was given.
    """
    with record_now(anywhere=True) as (settings, record):
        chosen = [each for each in executors_for(settings).values() if executor in {None, each.id}]
        held = list_positions(record, chosen)
    return {"positions": [each.to_json() for each in held]}


def orders(executor: Executor = None) -> Answer:
    """List the open orders of tradewire, oldest first. Orders that others placed at the broker are not shown."""
    with record_now(anywhere=True) as (_, record):
        return {"orders": [each.to_json() for each in open_orders(record, executor_id=executor)]}


def trades(
    executor: Executor = None,
    symbol: Annotated[str | None, Field(description="Only of this symbol, like AAPL or BTC/USD.")] = None,
    after: Since = None,
    limit: Limit = 50,
) -> Answer:
    """List closed trades, newest first: the part of each entry that one exit closed, with its profit before fees."""
    with record_now(anywhere=True) as (_, record):
        wanted = None if symbol is None else _symbol(symbol) or symbol
        found = list_trades(record, executor_id=executor, symbol=wanted, since=since(after), limit=limit)
    return {"trades": [each.to_json() for each in found.items], "has_more": found.has_more}


def pnl(
    by: Annotated[By, Field(description="Sum up by account, strategy, symbol or day.")] = By.ACCOUNT,
    executor: Executor = None,
    after: Since = None,
) -> Answer:
    """Return the profit before fees of closed trades, and of what is open now; null where a price is not known."""
    with record_now(anywhere=True) as (settings, record):
        found = profit(record, executors_for(settings), by=by, executor_id=executor, since=since(after))
    return {"pnl": [each.view().to_json() for each in found]}


def day(
    on: Annotated[date | None, Field(description="Like 2026-11-30; today if left out.")] = None,
    executor: Executor = None,
) -> Answer:
    """Return the books of a day of each account: signals, orders, fills, profit, equity, limits and findings."""
    with record_now(anywhere=True) as (settings, record):
        chosen = [each for each in executors_for(settings).values() if executor in {None, each.id}]
        try:
            return {"day": [each.to_json() for each in days(record, chosen, on=on)]}
        except DayNotBegun as error:
            raise ConfigInvalid([Problem(key="on", message=str(error))]) from None


def findings(executor: Executor = None) -> Answer:
    """Return what differs between the accounts and the record: orders and positions, each with its remedy.

    Entries of the symbol of an `open` finding wait; exits are sent. `healed` and `adopted` ones ended in the last hour.
    """
    with record_now(anywhere=True) as (settings, record):
        return list_findings(record, [each for each in executors_for(settings) if executor in {None, each}]).to_json()


READING: tuple[Callable[..., Answer], ...] = (
    why,
    report,
    doctor,
    executions,
    positions,
    orders,
    trades,
    pnl,
    day,
    findings,
    dead_letters,
    dead_letter,
    headroom,
    switches,
)
