"""Start sixteen workers of one executor, send signals to all at once, and read the results from record and exchange."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import accumulate
from typing import Any

from rq import Worker

from tests.acceptance.system import symbols
from tests.core_fixtures import Processes
from tests.factories import Core, signal, until

WORKERS = 16
SIGNALS = 500
SYMBOLS = symbols(200)
#: The equity of an account at the exchange; at fixed prices it does not change.
EQUITY = Decimal(100_000)

_TABLE = """
[executors.argo]
broker = "alpaca"
mode = "exchange"
[executors.argo.route]
minimum_confidence = 75
[executors.argo.size]
{size}
[executors.argo.order]
collar_percent = 0.5
[executors.argo.limits]
{limits}
[executors.argo.retry]
unknown_s = 10
[executors.argo.hours]
closed = "hold"
[executors.argo.groups]
{groups}
"""
# All limits are off; a test sets the ones that it needs.
_LIMITS: dict[str, object] = dict.fromkeys(
    [
        "open_positions", "gross_exposure_percent", "symbol_exposure_percent", "group_positions",
        "group_exposure_percent", "daily_loss_percent", "drawdown_percent", "stop_distance_percent",
        "buying_power_percent", "price_drift_percent", "requests_per_minute", "orders_per_day", "repeat_window_s",
        "pyramiding", "entry_age_s",
    ],
    "off",
)  # fmt: skip
# The most rounds of `use_up`. Each round uses up a part of what is left of a limit, so this many suffice.
_ROUNDS = 12
# An ended order with `follow_up` set counts too, because the keeper still has to check it.
# Stop orders go on resting.
_GOING_ON = (
    "SELECT execution_id FROM execution JOIN signal USING (signal_id) WHERE source <> 'tradewire:protect' AND state IN "
    "('queued', 'held', 'submitting', 'unknown', 'accepted', 'partially_filled') "
    "UNION ALL SELECT execution_id FROM broker_order WHERE follow_up LIMIT 1"
)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One entry's order, as it is in the record."""

    symbol: str
    quantity: Decimal
    filled: Decimal
    #: The price at which one unit was reserved.
    price: Decimal
    risk: Decimal
    sent_at: datetime
    #: None while the order is open.
    ended_at: datetime | None


def executors(*, size: Mapping[str, object], groups: Mapping[str, list[str]] | None = None, **limits: object) -> str:
    """Return the text of an executors file with one executor, for which only *limits* are set."""
    return _TABLE.format(
        size=_lines({"method": "equity_percent", "value": 1} | dict(size)),
        limits=_lines(_LIMITS | limits),
        groups=_lines(groups or {}),
    )


def many_signals(**more: Callable[[str], Any]) -> list[dict[str, Any]]:
    """Return five hundred entries for two hundred symbols; some symbols occur far more often than others.

    The list is the same at each call. The price of a symbol is an even number of dollars: the collar of half a percent
    is then a whole number of cents, and the exchange fills exactly at the limit price. Each function in *more* returns
    the value of a further field for a symbol.
    """
    dice = random.Random(16)
    favoured = [*SYMBOLS, *(symbol for symbol in SYMBOLS[::8] for _ in range(6))]
    chosen = [*SYMBOLS, *dice.choices(favoured, k=SIGNALS - len(SYMBOLS))]
    dice.shuffle(chosen)
    return one_of_each(chosen, **more)


def one_of_each(wanted: Iterable[str] = SYMBOLS, **more: Callable[[str], Any]) -> list[dict[str, Any]]:
    """Return one entry for each symbol; each function in *more* returns the value of a further field for a symbol."""
    return [
        signal(symbol, entry_price=price_of(symbol), **{name: field(symbol) for name, field in more.items()})
        for symbol in wanted
    ]


def price_of(symbol: str) -> int:
    """Return the signal's price of a symbol: 20 to 98 dollars."""
    return 20 + 2 * (SYMBOLS.index(symbol) * 7 % 40)


def fixed_price(symbol: str) -> Decimal:
    """Return the price at which a symbol trades: the worst price that its signals accept."""
    return Decimal(price_of(symbol)) * Decimal("1.005")


def fix_prices(core: Core) -> None:
    """Fix the price of every symbol."""
    core.prices(**{symbol: fixed_price(symbol) for symbol in SYMBOLS})


def start_workers(core: Core, processes: Processes, count: int = WORKERS) -> None:
    """Start a keeper and *count* worker processes, and wait until all of them wait for jobs."""
    processes.start(core, "keep")
    group = processes.start(core, "argo", str(count), module="tests.acceptance.worker_processes")

    def all_wait() -> bool:
        assert group.poll() is None, processes.said(group)[-2000:]
        return len(Worker.all(connection=core.queues.connection)) == count

    until(all_wait, within_s=120)


def send_at_once(core: Core, signals: Iterable[dict[str, Any]]) -> None:
    """Record all signals, and enqueue their jobs only after that."""
    rows = list(core.pool.map(core.record_signal, signals))
    core.dispatcher.enqueue(rows)


def settle(core: Core, *, within_s: float = 90.0) -> None:
    """Wait until every execution has ended and no order is open."""
    until(lambda: not core.rows(_GOING_ON), within_s=within_s)


def use_up(core: Core, signals: Callable[[], list[dict[str, Any]]]) -> int:
    """Send signals in rounds until a round leads to no order, and return how many were sent.

    The check counts a fill twice until the record has it, so a limit may refuse an entry that would still fit.
    Only a round without a single order therefore shows that the limit is used up.
    """
    sent = 0
    for _ in range(_ROUNDS):
        before = _intents(core)
        again = signals()
        send_at_once(core, again)
        settle(core)
        sent += len(again)
        if _intents(core) == before:
            return sent
    raise AssertionError(f"{_ROUNDS} rounds, and there is still room")


def _intents(core: Core) -> int:
    count: int = core.rows("SELECT count(*) AS n FROM broker_order WHERE role = 'entry'")[0]["n"]
    return count


def entries(core: Core) -> list[Entry]:
    """Return all entries that the broker may have had, in the order of sending."""
    rows = core.rows(
        "SELECT o.*, coalesce(a.sent_at, o.intended_at) AS sent_at FROM broker_order o JOIN execution e "
        "USING (execution_id) LEFT JOIN (SELECT execution_id, min(sent_at) AS sent_at FROM attempt GROUP BY 1) a "
        "USING (execution_id) WHERE o.role = 'entry' AND o.may_exist AND (o.filled_quantity > 0 "
        "OR o.order_id IS NOT NULL OR e.state NOT IN ('skipped', 'rejected')) ORDER BY sent_at"
    )
    return [
        Entry(
            symbol=row["symbol"],
            quantity=row["quantity"],
            filled=row["filled_quantity"],
            price=row["reference_price"],
            risk=row["risk"],
            sent_at=row["sent_at"],
            ended_at=row["ended_at"],
        )
        for row in rows
    ]


def most_at_once(
    sent: Iterable[Entry], worth: Callable[[Entry], Decimal], *, only: Collection[str] | None = None
) -> Decimal:
    """Return the highest total of quantity times *worth* that the open and filled entries had at any one time."""
    moments = []
    for each in sent:
        if only is None or each.symbol in only:
            moments.append((each.sent_at, worth(each) * each.quantity))
            if each.ended_at is not None:
                moments.append((each.ended_at, worth(each) * (each.filled - each.quantity)))
    return max(accumulate(change for _, change in sorted(moments)), default=Decimal(0))


def worth(held: Mapping[str, Decimal], *, only: Collection[str] | None = None) -> Decimal:
    """Return the value of positions at the fixed prices."""
    return sum(
        (quantity * fixed_price(symbol) for symbol, quantity in held.items() if only is None or symbol in only),
        Decimal(0),
    )


def reasons(core: Core) -> dict[str, int]:
    """Return the number of executions by reason, without those of stop orders."""
    rows = core.rows(
        "SELECT state::text, reason_code, count(*) AS n FROM execution JOIN signal USING (signal_id) "
        "WHERE source <> 'tradewire:protect' GROUP BY 1, 2"
    )
    return {row["reason_code"] or row["state"]: row["n"] for row in rows}


def positions(core: Core) -> dict[str, Decimal]:
    """Return the positions of the account at the exchange."""
    accounts = core.exchange.admin("state")["accounts"]
    held = next((each["positions"] for each in accounts if each["key"] == "argo"), {})
    return {symbol: Decimal(quantity) for symbol, quantity in held.items()}


def _lines(values: Mapping[str, object]) -> str:
    return "\n".join(f"{name} = {_word(value)}" for name, value in values.items())


def _word(value: object) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(f'"{each}"' for each in value) + "]"
    return f'"{value}"' if isinstance(value, str) else str(value)
