"""Executions are held or skipped with a reason while the market is closed, and released when it opens."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from tests.core_fixtures import Processes
from tests.factories import Core, executor_toml, until
from tests.factories import signal as a_signal
from workers.keeper.market_open import MarketOpen
from workers.rules.closed_market import OPENING_GRACE

#: In New York in winter: a minute after Tuesday's close, Wednesday's open, and a minute before Tuesday's close.
NIGHT, MORNING, LAST_MINUTE = "2026-01-06T21:01:00Z", "2026-01-07T14:30:00Z", "2026-01-06T20:59:00Z"


def toml(closed: str = "hold", *, hold_s: int = 400_000, drift: Any = 1, **changes: Any) -> str:
    """Return an executor that trades in market hours, and whose entries are too old after 60 s of open market."""
    table = executor_toml(**{"entry_age_s": 60, **changes})
    table = table.replace('closed = "extended"', f'closed = "{closed}"\nhold_s = {hold_s}')
    return table.replace('price_drift_percent = "off"', f"price_drift_percent = {drift}")


def turn(core: Core, to: str) -> None:
    """Set the exchange's clock to a time, from where it runs on."""
    core.exchange.admin("clock", {"mode": "fixed", "now": to})


def reread(core: Core) -> None:
    """Make the shared reading of the account six seconds older, so that it is too old."""
    core.rows(
        "UPDATE account_snapshot SET taken_at = taken_at - interval '6 seconds', clock = clock || "
        "jsonb_build_object('read_at', (clock ->> 'read_at')::timestamptz - interval '6 seconds')"
    )


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def reason(core: Core, execution_id: UUID) -> tuple[str, str | None]:
    row = core.execution(execution_id)
    return row["state"], row["reason_code"]


def held_for(core: Core, execution_id: UUID) -> timedelta:
    """Return the time between the last state change of an execution and its next check."""
    (row,) = core.rows(
        "SELECT due_at - (SELECT max(at) FROM history WHERE execution_id = %(id)s) AS wait "
        "FROM execution WHERE execution_id = %(id)s",
        {"id": execution_id},
    )
    wait: timedelta = row["wait"]
    return wait


def buy(core: Core, *symbols: str, **changes: Any) -> None:
    """Buy each symbol, and wait for the fills."""
    for symbol in symbols:
        core.run(core.send(symbol, **changes))
    core.filled_at_exchange(len(symbols))
    until(lambda: core.follower().run_once() or not core.rows("SELECT 1 FROM execution WHERE state = 'accepted'"))


def open_market(core: Core, to: str) -> int:
    """Set the clock and run the keeper; return the number of executions that it released."""
    turn(core, to)
    return MarketOpen(core.record, core.runtimes["argo"]).run_once()


@pytest.fixture
def core(make_core: Callable[..., Core]) -> Core:
    """An executor that holds signals while the market is closed; AAPL and MSFT trade at 100."""
    made = make_core(toml())
    made.prices(AAPL=100, MSFT=100)
    return made


@pytest.mark.parametrize(
    ("now", "opens"),
    [
        pytest.param(NIGHT, MORNING, id="night"),
        pytest.param("2026-01-10T15:00:00Z", "2026-01-12T14:30:00Z", id="weekend"),
        pytest.param("2025-11-28T18:00:30Z", "2025-12-01T14:30:00Z", id="half day"),
        pytest.param("2026-01-19T15:00:00Z", "2026-01-20T14:30:00Z", id="holiday"),
        pytest.param("2026-03-06T21:01:00Z", "2026-03-09T13:30:00Z", id="clocks put forward"),
        pytest.param("2026-10-30T20:01:00Z", "2026-11-02T14:30:00Z", id="clocks put back"),
    ],
)
def test_an_entry_waits_for_the_open_and_goes_then(core: Core, now: str, opens: str) -> None:
    turn(core, now)
    execution_id = core.send()

    held = core.run(execution_id)

    assert (held["state"], held["reason_code"]) == ("held", "market_closed")
    assert at(held["reason_facts"]["opens"]) == at(opens)
    wait = at(opens) - at(now) + OPENING_GRACE
    assert wait - timedelta(seconds=5) < held_for(core, execution_id) <= wait
    assert core.orders() == []
    assert open_market(core, (at(opens) - timedelta(seconds=20)).isoformat()) == 0
    assert open_market(core, opens) == 1
    core.run(execution_id)
    core.filled_at_exchange()


def test_up_to_the_close_of_a_half_day_orders_go(core: Core) -> None:
    turn(core, "2025-11-28T17:58:00Z")

    assert core.run(core.send())["state"] in ("accepted", "filled")


def test_an_exchange_that_is_always_open_holds_nothing(core: Core) -> None:
    core.run(core.send())

    core.filled_at_exchange()


def test_a_close_between_two_readings_of_the_account_is_minded(core: Core) -> None:
    turn(core, "2026-01-06T20:59:58.9Z")
    core.runtimes["argo"].snapshots.fresh()
    time.sleep(0.2)

    assert core.run(core.send())["reason_code"] == "market_closed"


def test_an_entry_is_not_held_for_longer_than_the_file_says(make_core: Callable[..., Core]) -> None:
    core = make_core(toml(hold_s=64_800))
    turn(core, "2026-01-10T15:00:00Z")
    young, old = (
        core.send("AAPL"),
        core.send("MSFT", generated_at=(datetime.now(UTC) - timedelta(hours=18)).isoformat()),
    )

    core.run(young)

    assert reason(core, young) == ("held", "market_closed")
    assert timedelta(hours=17, minutes=59) < held_for(core, young) < timedelta(hours=18, seconds=1)
    core.run(old)
    assert reason(core, old) == ("skipped", "held_too_long")


def test_crypto_trades_at_night(core: Core) -> None:
    turn(core, NIGHT)
    core.exchange.admin("prices", {"BTC/USD": "100"})

    core.run(core.send("BTC/USD"))

    core.filled_at_exchange()


def test_a_clock_that_cannot_be_read_holds_and_says_so(core: Core) -> None:
    core.faults({"on": "clock", "kind": "5xx_before"})
    entry = core.send()

    held = core.run(entry)

    assert (held["state"], held["reason_code"]) == ("held", "clock_unreadable")
    assert held_for(core, entry) <= timedelta(seconds=5)
    assert core.rows("SELECT account IS NOT NULL AS known, clock FROM account_snapshot") == [
        {"known": True, "clock": None}
    ]
    assert core.orders() == []
    core.faults()
    reread(core)
    core.due_now(entry)
    core.run(entry)
    core.filled_at_exchange()


def test_skip_ends_an_entry_and_holds_an_exit(make_core: Callable[..., Core]) -> None:
    core = make_core(toml("skip"))
    core.prices(AAPL=100)
    turn(core, LAST_MINUTE)
    buy(core, "AAPL", quantity=3)
    turn(core, NIGHT)
    reread(core)
    entry, leaving = core.send("MSFT"), core.send(action="SELL")

    core.run(entry)
    core.run(leaving)

    assert reason(core, entry) == ("skipped", "market_closed")
    assert reason(core, leaving) == ("held", "market_closed")


def test_extended_sends_a_limit_order_that_trades_before_the_open(make_core: Callable[..., Core]) -> None:
    core = make_core(toml("extended", order='type = "market"'))
    core.prices(AAPL=100)
    turn(core, "2026-01-06T13:00:00Z")

    core.run(core.send())

    core.filled_at_exchange()
    (order,) = core.orders()
    assert (order["type"], order["extended_hours"], order["time_in_force"]) == ("limit", True, "day")


def test_an_order_in_regular_hours_is_sent_as_ever(core: Core) -> None:
    turn(core, "2026-01-06T15:00:00Z")

    request = core.run(core.send())["request"]

    assert "extended_hours" not in request


def test_what_waited_for_the_open_is_compared_with_the_market_s_price(core: Core) -> None:
    turn(core, NIGHT)
    far, near, away = core.send("AAPL"), core.send("MSFT"), core.send("TSLA")
    for execution_id in (far, near, away):
        core.run(execution_id)
    core.prices(AAPL="101.2", MSFT="100.4", TSLA=100)
    core.faults({"on": "prices", "kind": "5xx_before", "count": 1})

    assert open_market(core, MORNING) == 3
    for execution_id in (away, far, near):
        core.run(execution_id)

    assert reason(core, far) == ("skipped", "price_drifted")
    assert reason(core, away) == ("held", "price_unknown")
    core.filled_at_exchange()
    core.due_now(away)
    core.run(away)
    core.filled_at_exchange(2)


def test_a_fresh_limit_order_asks_for_no_price(core: Core) -> None:
    turn(core, "2026-01-06T15:00:00Z")
    core.faults({"on": "prices", "kind": "latency", "seconds": 0.0})

    core.run(core.send())

    assert core.exchange.admin("faults")["faults"][0]["hits"] == 0


def test_the_calendar_is_read_once_a_day_for_all_symbols(core: Core) -> None:
    turn(core, "2026-01-06T15:00:00Z")
    core.exchange.admin("rate", {"per_minute": None})

    def asked() -> int:
        routes = core.exchange.admin("requests?key=argo")["routes"]
        return sum(count for route, count in routes.items() if "calendar" in route)

    for symbol in ("AAPL", "MSFT", "TSLA"):
        core.run(core.send(symbol))

    assert asked() == 1
    assert core.rows("SELECT count(*) AS days FROM market_day")[0]["days"] >= 13


def test_an_exit_held_from_a_minute_past_the_close_is_executed_at_the_next_open(
    core: Core, processes: Processes
) -> None:
    turn(core, LAST_MINUTE)
    buy(core, "AAPL", quantity=3)
    turn(core, NIGHT)
    reread(core)
    processes.start(core, "keep")
    processes.start(core, "work", "argo")
    leaving = core.record_signal(a_signal(action="SELL"))
    core.dispatcher.enqueue([leaving])
    until(lambda: reason(core, leaving.execution_id) == ("held", "market_closed"), within_s=30)
    assert len(core.orders()) == 1

    turn(core, MORNING)

    until(lambda: core.state(leaving.execution_id) == "filled", within_s=30)
    (sold,) = [order for order in core.orders() if order["side"] == "sell"]
    assert sold["qty"] == "3"
    assert core.moves(leaving.execution_id).count("held") == 1


def test_forty_entries_held_for_the_open_are_decided_within_seconds_of_it_and_exits_first(
    make_core: Callable[..., Core], processes: Processes
) -> None:
    core = make_core(toml().replace('requests_per_minute = "off"', "requests_per_minute = 200"))
    symbols = [f"Z{tens}{ones}" for tens in "ABCD" for ones in "ABCDEFGHIJ"]
    core.prices(**dict.fromkeys([*symbols, "AAPL", "MSFT"], 100))
    turn(core, LAST_MINUTE)
    buy(core, "AAPL", "MSFT")
    turn(core, NIGHT)
    reread(core)
    entries = [core.record_signal(a_signal(symbol, confidence=76 + n % 20)) for n, symbol in enumerate(symbols)]
    exits = [core.record_signal(a_signal(symbol, "SELL")) for symbol in ("AAPL", "MSFT")]
    for row in (*entries, *exits):
        core.run(row.execution_id)
        assert reason(core, row.execution_id) == ("held", "market_closed")
    processes.start(core, "keep")
    processes.start(core, "work", "argo")
    until(lambda: len(core.rows("SELECT 1 FROM heartbeat")) >= 2, within_s=30)

    turn(core, MORNING)

    until(lambda: len(core.orders()) == 44, within_s=15)
    until(lambda: not core.rows("SELECT 1 FROM execution WHERE state IN ('held', 'submitting')"))
    sent = core.rows(
        "SELECT o.role, s.confidence, e.seq FROM broker_order o JOIN execution e USING (execution_id) "
        "JOIN signal s USING (signal_id) WHERE e.execution_id = ANY(%s) ORDER BY o.first_sent_at",
        [[row.execution_id for row in (*entries, *exits)]],
    )
    wanted = sorted(sent, key=lambda row: (row["role"] != "exit", -row["confidence"], row["seq"]))
    assert sent == wanted
