"""The keeper reads the clock only while an execution waits for the open, and releases all in a fixed order."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.factories import Core, executor_toml, until
from workers.keeper.market_open import MarketOpen

NIGHT, MORNING = "2026-01-06T21:01:00Z", "2026-01-07T14:30:00Z"


@pytest.fixture
def core(make_core: Callable[..., Core]) -> Core:
    """An executor that trades in market hours; the market is closed for the night."""
    core = make_core(executor_toml().replace('closed = "extended"', 'closed = "hold"'))
    core.exchange.admin("clock", {"mode": "fixed", "now": NIGHT})
    return core


@pytest.fixture
def opening(core: Core) -> MarketOpen:
    return MarketOpen(core.record, core.runtimes["argo"])


def clocks_read(core: Core) -> int:
    return int(core.exchange.admin("requests?key=argo")["routes"].get("GET /v2/clock", 0))


def count_anew(core: Core) -> None:
    core.exchange.admin("rate", {"per_minute": None})


def test_no_clock_is_read_while_nothing_waits(core: Core, opening: MarketOpen) -> None:
    count_anew(core)

    assert [opening.run_once() for _ in range(3)] == [0, 0, 0]
    assert clocks_read(core) == 0


def test_the_clock_is_read_at_its_interval_and_not_with_every_run(core: Core, opening: MarketOpen) -> None:
    core.run(core.send())
    count_anew(core)

    assert [opening.run_once() for _ in range(3)] == [0, 0, 0]
    assert clocks_read(core) == 1


def test_a_clock_that_cannot_be_read_is_read_again(core: Core, opening: MarketOpen) -> None:
    held = core.send()
    core.run(held)
    core.exchange.admin("clock", {"mode": "fixed", "now": MORNING})
    core.faults({"on": "clock", "kind": "5xx_before", "count": 1})

    assert opening.run_once() == 0
    assert until(opening.run_once) == 1

    core.prices(AAPL=100)
    core.run(held)
    core.filled_at_exchange()


def test_all_share_the_clock_that_the_keeper_read(core: Core, opening: MarketOpen) -> None:
    core.run(core.send())
    core.exchange.admin("clock", {"mode": "fixed", "now": MORNING})
    opening.run_once()

    shared = core.runtimes["argo"].snapshots.last_clock()

    assert shared is not None
    assert shared.clock.is_open


def test_released_executions_are_enqueued_exits_first_then_by_confidence_then_by_age(
    core: Core, opening: MarketOpen
) -> None:
    confidences = {"AAPL": 80, "MSFT": 95, "TSLA": 80, "NVDA": 90}
    held = {symbol: core.send(symbol, confidence=confidence) for symbol, confidence in confidences.items()}
    for execution_id in held.values():
        core.run(execution_id)
    core.rows(
        'UPDATE execution SET reason_facts = \'{"role": "exit"}\' WHERE execution_id = %s',
        [held["TSLA"]],
    )
    core.exchange.admin("clock", {"mode": "fixed", "now": MORNING})

    assert opening.run_once() == 4
    core.sweep.run_once()

    enqueued = [job_id.rsplit("-", 1)[0] for job_id in core.queues.queue("argo").job_ids]
    names = {str(execution_id): symbol for symbol, execution_id in held.items()}
    assert [names[job] for job in enqueued] == ["TSLA", "MSFT", "NVDA", "AAPL"]


def test_what_is_released_keeps_its_order_when_each_row_takes_long(core: Core, opening: MarketOpen) -> None:
    confidences = (80, 99, 76, 90, 85)
    for number, confidence in enumerate(confidences):
        core.run(core.send(f"Z{'ABCDE'[number]}", confidence=confidence))
    core.rows(
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.005); RETURN NEW; END'"
    )
    core.rows("CREATE TRIGGER slow BEFORE UPDATE ON execution FOR EACH ROW EXECUTE FUNCTION slow()")
    core.exchange.admin("clock", {"mode": "fixed", "now": MORNING})

    assert opening.run_once() == len(confidences)

    due = core.rows("SELECT s.confidence FROM execution JOIN signal s USING (signal_id) ORDER BY due_at")
    assert [row["confidence"] for row in due] == sorted(confidences, reverse=True)
