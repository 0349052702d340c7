"""All processes share the last reading of the account. When it is too old, one of them reads the account again."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, cast

import pytest

from pipeline.accounts.snapshot import Snapshot
from pipeline.model.account import Account
from pipeline.model.errors import BrokerUnavailable, BrokerUnreadable
from pipeline.store.statements import sql
from tests.factories import Core, executor_toml, until
from workers.account.refusals import AccountRefused
from workers.account.snapshots import Snapshots
from workers.brokers.protocol import Broker


def snapshots(core: Core) -> Snapshots:
    return core.runtimes["argo"].snapshots


def accounts_read(core: Core) -> int:
    """Return how often the exchange was asked for the account, as counted by the fault that the test has set."""
    return sum(fault["hits"] for fault in core.exchange.admin("faults")["faults"])


def count_reads(core: Core) -> None:
    core.faults({"on": "account", "kind": "latency", "seconds": 0.0})


def test_a_reading_is_shared_while_it_is_fresh(core: Core) -> None:
    count_reads(core)

    first, second = snapshots(core).fresh(), snapshots(core).fresh()

    assert isinstance(first, Snapshot)
    assert isinstance(second, Snapshot)
    assert (second.taken_at, second.account.equity) == (first.taken_at, Decimal(100000))
    assert second.account.raw == {}  # Only the fields that the rules need are stored.
    assert accounts_read(core) == 1


def test_an_old_reading_is_read_anew(core: Core) -> None:
    count_reads(core)
    snapshots(core).fresh()
    core.rows("UPDATE account_snapshot SET taken_at = taken_at - interval '6 seconds'")

    snapshots(core).fresh()

    assert accounts_read(core) == 2
    snapshots(core).fresh(within=timedelta(0))
    assert accounts_read(core) == 3


def test_of_eight_that_need_a_reading_at_once_one_reads(core: Core) -> None:
    core.faults({"on": "account", "kind": "latency", "seconds": 0.15})

    with ThreadPoolExecutor(8) as pool:
        read = list(pool.map(lambda _: snapshots(core).fresh(), range(8)))

    assert accounts_read(core) == 1
    assert len({each.taken_at for each in read if isinstance(each, Snapshot)}) == 1


def test_of_eight_that_meet_a_refusal_at_once_one_reads(core: Core) -> None:
    core.faults({"on": "account", "kind": "unauthorized"})

    with ThreadPoolExecutor(8) as pool:
        read = list(pool.map(lambda _: snapshots(core).fresh(), range(8)))

    assert accounts_read(core) == 1
    assert all(isinstance(each, AccountRefused) for each in read)


def test_while_the_broker_is_away_everyone_who_waits_is_told(core: Core) -> None:
    core.faults({"on": "account", "kind": "5xx_before"})

    def told(_: int) -> bool:
        with pytest.raises(BrokerUnavailable):
            snapshots(core).fresh()
        return True

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(told, range(8)))


def test_a_reading_that_a_dead_process_began_is_not_waited_for_for_ever(core: Core) -> None:
    key = {"executor_id": "argo", "at_most": timedelta(hours=1)}
    core.record.maybe(datetime, sql("accounts", "claim_reading"), key)

    assert isinstance(snapshots(core).fresh(), Snapshot)


def test_an_older_reading_never_replaces_a_newer_one(core: Core) -> None:
    newer: list[Snapshot | AccountRefused] = []
    broker = core.runtimes["argo"].broker

    class SlowBroker:
        """Answers only after another process has begun and finished a reading."""

        def account(self) -> Account:
            newer.append(snapshots(core).read())
            return broker.account()

        def __getattr__(self, name: str) -> Any:
            return getattr(broker, name)

    older = Snapshots(core.record, core.executors["argo"], cast("Broker", SlowBroker())).read()

    assert isinstance(older, Snapshot)
    assert isinstance(newer[0], Snapshot)
    assert older.taken_at < newer[0].taken_at
    (row,) = core.rows("SELECT taken_at FROM account_snapshot")
    assert row["taken_at"] == newer[0].taken_at


def test_positions_come_back_from_the_record_as_they_were_read(core: Core) -> None:
    core.run(core.send(quantity=3))
    core.filled_at_exchange()

    read = snapshots(core).read()
    shared = snapshots(core).fresh()

    assert isinstance(read, Snapshot)
    assert isinstance(shared, Snapshot)
    position = shared.position("AAPL")
    assert position == read.position("AAPL")
    assert position is not None
    assert (position.quantity, position.average_entry_price) == (3, 100)
    assert shared.position("MSFT") is None


def test_a_refusal_is_shared_and_probed_once_a_minute(core: Core) -> None:
    core.faults({"on": "account", "kind": "unauthorized"})

    answers = [snapshots(core).fresh() for _ in range(5)]

    assert all(isinstance(answer, AccountRefused) for answer in answers)
    assert accounts_read(core) == 1
    core.rows("UPDATE account_refusal SET probe_at = clock_timestamp()")
    assert all(core.pool.map(lambda _: isinstance(snapshots(core).fresh(), AccountRefused), range(8)))
    assert accounts_read(core) == 2


def test_an_account_that_is_accepted_again_releases_what_was_held_for_it(core: Core) -> None:
    core.faults({"on": "account", "kind": "unauthorized"})
    held = [core.send(symbol) for symbol in ("AAPL", "MSFT")]
    for execution_id in held:
        assert core.run(execution_id)["reason_code"] == "broker_refuses_account"
    core.faults()
    core.rows("UPDATE account_refusal SET probe_at = clock_timestamp()")

    assert isinstance(snapshots(core).fresh(), Snapshot)

    (row,) = core.rows("SELECT count(*) FROM execution WHERE state = 'held' AND due_at <= clock_timestamp()")
    assert row["count"] == 2
    core.sweep.run_once()
    assert core.queues.depth("argo") == 2


def test_another_account_than_the_pinned_one_is_refused(make_core: Callable[..., Core]) -> None:
    core = make_core(executor_toml(top='account = "PA0000000000"'))

    answer = snapshots(core).fresh()

    assert isinstance(answer, AccountRefused)
    assert "not the pinned PA0000000000" in answer.message
    assert core.run(core.send())["reason_code"] == "broker_refuses_account"
    assert core.orders() == []


def test_a_broker_that_is_away_or_makes_no_sense_gives_no_snapshot(core: Core) -> None:
    core.faults({"on": "account", "kind": "garbage_before"})
    with pytest.raises(BrokerUnreadable):
        snapshots(core).fresh()

    core.faults({"on": "account", "kind": "5xx_before"})
    with pytest.raises(BrokerUnavailable):
        snapshots(core).fresh()


def test_the_keeper_keeps_the_snapshot_of_an_executor_at_work_fresh(core: Core) -> None:
    core.send()
    core.follower().run_once()
    (first,) = core.rows("SELECT taken_at FROM account_snapshot")

    core.rows("UPDATE account_snapshot SET taken_at = taken_at - interval '4 seconds'")
    core.follower().run_once()

    until(lambda: core.rows("SELECT taken_at FROM account_snapshot")[0]["taken_at"] > first["taken_at"])
