"""Sixteen workers and five hundred signals at the same moment: no limit is exceeded, and each is used up."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from tests.acceptance.concurrent_workers import (
    EQUITY,
    SIGNALS,
    SYMBOLS,
    WORKERS,
    Entry,
    entries,
    executors,
    fix_prices,
    many_signals,
    most_at_once,
    one_of_each,
    positions,
    price_of,
    reasons,
    send_at_once,
    settle,
    start_workers,
    use_up,
    worth,
)
from tests.core_fixtures import Processes
from tests.factories import Core

MakeCore = Callable[..., Core]

pytestmark = pytest.mark.timeout(300)

GROUPS = {"first": SYMBOLS[:25], "second": SYMBOLS[15:45]}
GROUPED = SYMBOLS[:45]
EXPOSURE = {"gross_exposure_percent": 100, "symbol_exposure_percent": 1.2, "group_exposure_percent": 12}
#: The broker's faults: some orders fill late, in parts or not at all, and some answers come late or never.
SLOW_AND_BROKEN = [
    {"on": "submit", "kind": "no_fill", "seconds": 3, "probability": 0.3},
    {"on": "submit", "kind": "partial_fill", "seconds": 2, "probability": 0.3},
    {"on": "submit", "kind": "late_reject", "probability": 0.05},
    {"on": "submit", "kind": "latency", "seconds": 0.3, "probability": 0.2},
    {"on": "submit", "kind": "drop_after", "probability": 0.05},
    {"on": "submit", "kind": "5xx_before", "probability": 0.05},
    {"on": "positions", "kind": "latency", "seconds": 0.2, "probability": 0.5},
]


def price(entry: Entry) -> Decimal:
    return entry.price


def percent(of_equity: float) -> Decimal:
    return EQUITY * Decimal(str(of_equity)) / 100


def close_to(limit: Decimal, used: Decimal) -> bool:
    """Return whether at least 95 % of *limit* is used, and not more than all of it."""
    return limit * Decimal("0.95") <= used <= limit


SignalBatch = list[dict[str, Any]]


def play(core: Core, processes: Processes, *batches: SignalBatch) -> None:
    """Send one batch of signals after the other to all workers at once; each batch ends before the next begins."""
    fix_prices(core)
    start_workers(core, processes)
    for batch in batches:
        send_at_once(core, batch)
        settle(core)
    by = core.rows("SELECT count(DISTINCT moved_by) AS n FROM history WHERE to_state = 'submitting'")
    assert by == [{"n": WORKERS}]


def result(core: Core, signals: int) -> list[Entry]:
    """Check that every signal has ended and that the record agrees with the exchange, and return the entries."""
    assert sum(reasons(core).values()) == signals
    sent, held = entries(core), positions(core)
    assert {symbol: held.get(symbol, 0) for symbol in SYMBOLS} == {
        symbol: sum(each.filled for each in sent if each.symbol == symbol) for symbol in SYMBOLS
    }
    return sent


def assert_within_exposure(core: Core, sent: list[Entry]) -> None:
    held = positions(core)
    assert most_at_once(sent, price) <= percent(100)
    assert worth(held) <= percent(100)
    for symbol in SYMBOLS:
        assert most_at_once(sent, price, only=[symbol]) <= percent(1.2), symbol
        assert worth(held, only=[symbol]) <= percent(1.2), symbol
    for name, members in GROUPS.items():
        assert most_at_once(sent, price, only=members) <= percent(12), name
        assert worth(held, only=members) <= percent(12), name


def test_exposure_of_all_of_a_symbol_and_of_a_group_is_used_up_and_never_exceeded(
    make_core: MakeCore, processes: Processes
) -> None:
    core = make_core(executors(size={"value": 0.9}, groups=GROUPS, **EXPOSURE))
    # The first signals use up the limits of the groups and of some symbols, which the gross limit would otherwise
    # prevent. The order of the other signals is left to the workers.
    first = [*GROUPED, *SYMBOLS[::8]]
    batch = many_signals()

    play(core, processes, [each for each in batch if each["symbol"] in first])
    more = use_up(core, lambda: one_of_each(first))
    send_at_once(core, many_signals())
    settle(core)
    more += use_up(core, one_of_each)

    sent = result(core, len([each for each in batch if each["symbol"] in first]) + SIGNALS + more)
    assert_within_exposure(core, sent)
    assert close_to(percent(100), worth(positions(core)))
    assert close_to(percent(12), worth(positions(core), only=GROUPS["first"]))
    assert close_to(percent(12), worth(positions(core), only=GROUPS["second"]))
    assert max(worth(positions(core), only=[symbol]) for symbol in SYMBOLS) > percent(1.2) - 100
    assert {"gross_exposure_limit", "group_exposure_limit", "symbol_exposure_limit", "filled"} <= set(reasons(core))


def test_exposure_is_never_exceeded_while_orders_fill_late_in_parts_or_not_at_all(
    make_core: MakeCore, processes: Processes
) -> None:
    core = make_core(executors(size={"value": 0.9}, groups=GROUPS, **EXPOSURE))
    core.faults(*SLOW_AND_BROKEN)

    play(core, processes, many_signals())
    sent = result(core, SIGNALS)
    assert_within_exposure(core, sent)

    sent = result(core, SIGNALS + use_up(core, one_of_each))
    assert_within_exposure(core, sent)
    # Compare the highest value, because an order that the broker rejects late uses the limit until then.
    assert close_to(percent(100), most_at_once(sent, price))


def test_positions_groups_entries_and_orders_of_a_day_are_counted_one_by_one(
    make_core: MakeCore, processes: Processes
) -> None:
    limits = {"open_positions": 60, "group_positions": 7, "pyramiding": 2, "orders_per_day": 80}
    core = make_core(executors(size={"method": "quantity", "value": 1}, groups=GROUPS, **limits))
    others = [symbol for symbol in SYMBOLS if symbol not in GROUPED]
    # Each batch uses up one limit, in whatever order its signals run. After the batches there are 20 orders in 10
    # symbols; up to 14 more in the groups; 60 positions with at most 70 orders; and 80 orders.
    batches = [one_of_each(others[:10] * 3), one_of_each(GROUPED), one_of_each(others[10:]), one_of_each(SYMBOLS * 2)]

    play(core, processes, *batches)

    sent = result(core, sum(map(len, batches)))
    held = positions(core)
    assert len(sent) == 80
    assert len(held) == 60
    assert [len([symbol for symbol in members if symbol in held]) for members in GROUPS.values()] == [7, 7]
    assert set(held.values()) == {1, 2}
    expected = {"open_positions_limit", "group_positions_limit", "pyramiding_limit", "orders_per_day_limit", "filled"}
    assert set(reasons(core)) == expected


@pytest.mark.parametrize(
    ("limit", "percent_of_it", "most", "code"),
    [
        ("daily_loss_percent", 3, 3_000, "daily_loss_limit"),
        ("buying_power_percent", 12, 48_000, "buying_power_used_up"),
    ],
)
def test_what_may_be_lost_and_what_may_be_bought_is_used_up_and_never_exceeded(
    make_core: MakeCore, processes: Processes, limit: str, percent_of_it: int, most: int, code: str
) -> None:
    core = make_core(executors(size={"value": 1}, **{limit: percent_of_it}))

    def stop(symbol: str) -> str:
        """Return a stop that is 10 % below the price for every second symbol, and 2 % below it for the others."""
        return str(price_of(symbol) * Decimal("0.9" if SYMBOLS.index(symbol) % 2 else "0.98"))

    # One entry a symbol: beside the stop order of its holding, the next one is skipped whatever the limit says.
    play(core, processes, one_of_each(stop_price=stop))
    sent = result(core, len(SYMBOLS) + use_up(core, lambda: one_of_each(stop_price=stop)))

    worth_of_one = price if limit == "buying_power_percent" else (lambda entry: entry.risk / entry.quantity)
    assert close_to(Decimal(most), most_at_once(sent, worth_of_one))
    assert set(reasons(core)) - {"stop_rests"} == {"filled", code}


def test_an_idea_sent_twenty_times_at_once_is_ordered_once(make_core: MakeCore, processes: Processes) -> None:
    core = make_core(executors(size={"method": "quantity", "value": 1}, repeat_window_s=60, pyramiding=1))
    fix_prices(core)
    start_workers(core, processes)
    ideas = [
        {
            "symbol": symbol,
            "action": "BUY",
            "confidence": 90,
            "entry_price": price_of(symbol),
            "source_id": f"{symbol}{n}",
        }
        for n in range(20)
        for symbol in SYMBOLS[:8]
    ]

    send_at_once(core, ideas)
    settle(core)

    assert positions(core) == dict.fromkeys(SYMBOLS[:8], 1)
    assert sorted(order["symbol"] for order in core.orders()) == SYMBOLS[:8]
    ends = core.rows("SELECT symbol, state::text, reason_code, count(*) AS n FROM execution GROUP BY 1, 2, 3")
    for symbol in SYMBOLS[:8]:
        found = {row["reason_code"] or row["state"]: row["n"] for row in ends if row["symbol"] == symbol}
        assert found.pop("filled") == 1
        assert sum(found.values()) == 19
        assert set(found) <= {"repeated_idea", "pyramiding_limit"}
