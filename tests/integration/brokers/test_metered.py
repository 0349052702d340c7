"""Requests at a broker with a rate limit: the cost of an order, a used-up budget, and the pause after a 429."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from pipeline.model.errors import BrokerOverRate, BudgetUsedUp
from tests.core_fixtures import Processes
from tests.factories import Core, executor_toml, until
from workers.brokers.protocol import Broker, NoAnswer, NotSentCause
from workers.keeper.fill_sync import FillSync

MakeCore = Callable[..., Core]


@pytest.fixture
def counted(make_core: MakeCore, exchange_process: Any) -> Iterator[Callable[..., Core]]:
    """Return a function that builds a core with a request limit per minute, which the exchange enforces."""

    def make(per_minute: int, *, at_exchange: int | None = None) -> Core:
        toml = executor_toml(top="", broker_timeout_s=10).replace(
            'requests_per_minute = "off"', f"requests_per_minute = {per_minute}"
        )
        core = make_core(toml)
        core.prices(AAPL=100, MSFT=100)
        core.exchange.admin("rate", {"per_minute": at_exchange or per_minute})
        return core

    yield make
    exchange_process.admin("rate", {"per_minute": None})


def asked(core: Core) -> dict[str, Any]:
    """Return the exchange's counts of argo's requests."""
    return core.exchange.requests("argo")


def account_key(core: Core) -> str:
    rows = core.rows("SELECT account_number FROM account_snapshot")
    return str(rows[0]["account_number"]) if rows else "executor:argo"


def spend(core: Core, count: int) -> None:
    core.rows("SELECT take_requests(%s, %s, 100000, true)", [account_key(core), count])


def free(core: Core) -> None:
    core.rows("DELETE FROM request_budget")


def warm(core: Core) -> None:
    """Read the account and the assets, so that later requests are only those of orders."""
    for symbol in ("AAPL", "MSFT"):
        core.runtimes["argo"].assets.get(symbol)
    core.runtimes["argo"].snapshots.fresh(within=timedelta(0))


def keep_fresh(core: Core) -> None:
    """Renew the shared snapshot, as the keeper does."""
    core.rows("UPDATE account_snapshot SET taken_at = clock_timestamp()")


def test_an_entry_costs_one_request(counted: Callable[..., Core]) -> None:
    core = counted(200)
    warm(core)
    before = asked(core)["requests"]

    for symbol in ("AAPL", "MSFT") * 10:
        keep_fresh(core)
        assert core.run(core.send(symbol))["order_id"] is not None

    after = asked(core)
    assert (after["requests"] - before, after["routes"]["POST /v2/orders"]) == (20, 20)


def test_many_at_once_stay_below_the_limit_and_exits_have_room(counted: Callable[..., Core]) -> None:
    core = counted(40, at_exchange=400)
    symbols = [f"T{first}{second}" for first in "ABCDEFGH" for second in "ABCDE"]
    core.prices(**dict.fromkeys(symbols, 100))
    for symbol in ("MSFT", *symbols):
        core.runtimes["argo"].assets.get(symbol)
        free(core)
    core.run(core.send("MSFT", quantity=5))
    core.filled_at_exchange()
    free(core)
    core.exchange.admin("rate", {"per_minute": 40})
    follower = core.follower()
    ids = [core.send(symbol) for symbol in symbols]
    keep_fresh(core)

    def run(execution_id: UUID) -> None:
        core.recipe(worker=f"worker {execution_id}").run(execution_id)

    with ThreadPoolExecutor(16) as pool:
        polls = [pool.submit(follower.run_once) for _ in range(5)]
        list(pool.map(run, ids))
        for poll in polls:
            poll.result()
    core.rows("UPDATE account_snapshot SET taken_at = clock_timestamp()")
    closing = core.run(core.send("MSFT", "SELL"))

    assert closing["order_id"] is not None
    found = [core.execution(execution_id) for execution_id in ids]
    held = [each for each in found if each["state"] == "held"]
    assert {each["reason_code"] for each in held} == {"rate_budget"}
    assert [each["attempts"] for each in held] == [0] * len(held)
    assert len(held) >= 10
    assert len(held) < 40
    counts = asked(core)
    assert (counts["refused"], counts["busiest_60s"] <= 40) == (0, True)


def test_what_was_held_for_the_budget_goes_on_when_there_is_room(counted: Callable[..., Core]) -> None:
    core = counted(40)
    warm(core)
    spend(core, 30)
    execution_id = core.send()

    held = core.run(execution_id)

    assert (held["state"], held["reason_code"], held["attempts"], held["request"]) == ("held", "rate_budget", 0, None)
    assert held["reason_facts"]["in_the_last_minute"] >= 30
    assert held["due_at"] - held["created_at"] > timedelta(seconds=50)
    free(core)
    core.due_now(execution_id)
    keep_fresh(core)
    assert core.run(execution_id)["order_id"] is not None


def test_a_429_at_one_order_holds_the_others_and_fails_none(counted: Callable[..., Core]) -> None:
    core = counted(200)
    warm(core)
    core.faults({"on": "submit", "kind": "429", "count": 1})
    ids = [core.send("AAPL"), core.send("MSFT")]

    first, second = (core.run(execution_id) for execution_id in ids)

    assert [(each["state"], each["reason_code"], each["attempts"]) for each in (first, second)] == [
        ("held", "rate_limited", 0),
        ("held", "rate_limited", 0),
    ]
    # The second execution was not sent, so the record has no order for it.
    assert (asked(core)["routes"]["POST /v2/orders"], second["request"]) == (1, None)
    for execution_id in ids:
        until(lambda one=execution_id: core.run(one)["order_id"], within_s=10)
    assert core.rows("SELECT sum(refusals) AS n FROM request_budget") == [{"n": 0}]


def test_an_exit_goes_during_the_hold(counted: Callable[..., Core]) -> None:
    core = counted(200)
    warm(core)
    core.run(core.send("MSFT", quantity=2))
    core.filled_at_exchange()
    core.follower().run_once()
    core.runtimes["argo"].budget.refused(30)
    keep_fresh(core)

    entry, closing = core.run(core.send("AAPL")), core.run(core.send("MSFT", "SELL"))

    assert (entry["state"], entry["reason_code"]) == ("held", "rate_limited")
    assert closing["order_id"] is not None


def test_an_exit_reads_the_account_where_others_may_not(counted: Callable[..., Core]) -> None:
    core = counted(200)
    warm(core)
    core.run(core.send("MSFT", quantity=2))
    core.filled_at_exchange()
    core.follower().run_once()
    core.rows("UPDATE account_snapshot SET taken_at = clock_timestamp() - interval '1 minute'")
    spend(core, 186 - asked(core)["requests"])

    entry, closing = core.run(core.send("AAPL")), core.run(core.send("MSFT", "SELL"))

    assert (entry["state"], entry["reason_code"]) == ("held", "rate_budget")
    assert closing["order_id"] is not None


READS: dict[str, Callable[[Broker], object]] = {
    "find": lambda broker: broker.find("tw-none-1"),
    "find_in_list": lambda broker: broker.find_in_list("tw-none-1", since=datetime.now(UTC) - timedelta(minutes=1)),
    "order": lambda broker: broker.order("904837e3-3b76-47ec-b432-046db621571b"),
    "orders": lambda broker: broker.orders(status="open"),
    "cancel": lambda broker: broker.cancel("904837e3-3b76-47ec-b432-046db621571b"),
    "cancel_all": lambda broker: broker.cancel_all(),
    "account": lambda broker: broker.account(),
    "positions": lambda broker: broker.positions(),
    "position": lambda broker: broker.position("AAPL"),
    "asset": lambda broker: broker.asset("AAPL"),
    "clock": lambda broker: broker.clock(),
    "calendar": lambda broker: broker.calendar(datetime.now(UTC).date(), datetime.now(UTC).date()),
    "transfers": lambda broker: broker.transfers(datetime.now(UTC) - timedelta(days=1)),
    "fills": lambda broker: broker.fills(datetime.now(UTC) - timedelta(days=1)),
}
#: Each read is sent until this many of the 200 requests a minute are used; a read that is not here, until 199.
ROOM = {
    "asset": 150,
    "order": 170,
    "orders": 170,
    "fills": 170,
    "cancel": 192,
    "account": 184,
    "positions": 184,
    "clock": 184,
    "calendar": 184,
    "transfers": 184,
}


def test_each_read_has_its_share(counted: Callable[..., Core]) -> None:
    core = counted(200)
    broker, urgent = core.runtimes["argo"].broker, core.runtimes["argo"].urgent
    for name, read in READS.items():
        room = ROOM.get(name, 199)  # The last request is reserved for an exit's order.
        free(core)
        core.runtimes["argo"].budget._kept.clear()
        spend(core, room - 1)
        before = asked(core)["requests"]
        read(broker)
        assert asked(core)["requests"] == before + 1, name

        with capture_logs() as logs:
            refused = _refused(lambda read=read: read(broker))

        assert (refused, logs) == (True, []), name
        assert asked(core)["requests"] == before + 1, name
        # A read for an exit may use all requests except the last.
        assert _refused(lambda read=read: read(urgent)) == (room == 199), name


def _refused(ask: Callable[[], object]) -> bool:
    try:
        answer = ask()
    except BudgetUsedUp:
        return True
    return isinstance(answer, NoAnswer) and answer.cause is NotSentCause.RATE_LIMITED


def test_a_price_and_an_order_that_its_intent_paid_for_cost_nothing_more(counted: Callable[..., Core]) -> None:
    core = counted(200)
    spend(core, 200)

    assert core.runtimes["argo"].broker.price("AAPL") == 100


def test_a_429_at_a_read_holds_the_account_and_is_no_absence(counted: Callable[..., Core]) -> None:
    core = counted(200, at_exchange=1)
    broker = core.runtimes["argo"].broker
    broker.clock()

    with capture_logs() as logs, pytest.raises(BrokerOverRate) as refused:
        broker.clock()

    assert refused.value.wait_s is not None
    assert [line["event"] for line in logs] == ["requests.refused"]
    with pytest.raises(BudgetUsedUp):
        broker.account()
    assert isinstance(broker.find("tw-none-1"), NoAnswer)
    # The look-up was sent, because it is urgent.
    assert asked(core)["requests"] == 3


def test_workers_and_keeper_as_processes_stay_below_the_limit(
    counted: Callable[..., Core], processes: Processes
) -> None:
    core = counted(60)
    symbols = [f"T{first}{second}" for first in "ABCDEFGH" for second in "ABCDE"]
    core.prices(**dict.fromkeys(symbols, 100))
    ids = [core.send(symbol) for symbol in symbols]
    for command in (("work", "argo"), ("work", "argo"), ("keep",)):
        processes.start(core, *command)

    def looked_at() -> bool:
        states = [core.execution(execution_id) for execution_id in ids]
        return all(each["order_id"] or each["reason_code"] == "rate_budget" for each in states)

    until(looked_at, within_s=40)
    # The processes must have used most of the limit; otherwise the test would not have covered it.
    until(lambda: asked(core)["busiest_60s"] >= 40, within_s=40)

    counts = asked(core)
    assert (counts["refused"], counts["busiest_60s"] <= 60) == (0, True)
    assert {core.execution(execution_id)["attempts"] for execution_id in ids} <= {0, 1}


def test_the_fills_of_the_pages_that_were_paid_for_are_recorded(
    counted: Callable[..., Core], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.brokers.alpaca.activities.PAGE_SIZE", 1)
    core = counted(200)
    warm(core)
    for symbol in ("AAPL", "MSFT"):
        core.run(core.send(symbol))
    core.filled_at_exchange(2)
    core.follower().run_once()
    core.rows("UPDATE fill SET recorded_at = recorded_at - interval '1 minute'")
    now = [1000.0]
    sync = FillSync(record=core.record, runtime=core.runtimes["argo"], clock=lambda: now[0])
    core.runtimes["argo"].budget._kept.clear()
    free(core)
    # There is room for one request.
    spend(core, 169)

    assert sync.run_once() == 1

    sources = "SELECT source, count(*) AS fills FROM fill GROUP BY source ORDER BY source"
    assert core.rows(sources) == [{"source": "activity", "fills": 1}, {"source": "order", "fills": 1}]
    core.runtimes["argo"].budget._kept.clear()
    free(core)
    now[0] += 10
    assert sync.run_once() == 1
    assert core.rows(sources) == [{"source": "activity", "fills": 2}]
