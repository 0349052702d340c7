"""In any minute, an account's processes together keep its request budget, a part of which is reserved for exits."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta

import pytest
from psycopg import Connection
from psycopg.rows import DictRow
from structlog.testing import capture_logs

from pipeline.model.errors import BudgetUsedUp, RecordUnavailable
from pipeline.store.record import Record
from pipeline.store.statements import sql
from tests.integration.execution_states import Rows
from tests.waiting import patience, until
from workers.brokers.rate_budget import BLOCK, SHARES, Purpose, RateBudget, fare, rename_account

HOLDER = "executor:argo"


@pytest.fixture
def other_record(database_url: str) -> Iterator[Record]:
    """The record as another process would open it."""
    with Record(database_url, connections=24, retry_for_s=5.0) as record:
        yield record


def budget(record: Record, per_minute: int | None = 100) -> RateBudget:
    return RateBudget(record, executor_id="argo", per_minute=per_minute)


def spent(rows: Rows, account_key: str = HOLDER) -> int:
    (row,) = rows(
        "SELECT (SELECT sum(n) FROM unnest(slots) AS n) AS n FROM request_budget WHERE holder = %s", [account_key]
    )
    return int(row["n"])


def spend(rows: Rows, count: int, account_key: str = HOLDER) -> None:
    rows("SELECT take_requests(%s, %s, 100000, true)", [account_key, count])


def pass_by(rows: Rows, seconds: int, account_key: str = HOLDER) -> None:
    """Move the counted requests *seconds* into the past."""
    (row,) = rows("SELECT slots, second FROM request_budget WHERE holder = %s", [account_key])
    old, span = row["slots"], len(row["slots"])
    new = [old[(index + seconds) % span] for index in range(span)]
    values = [new, row["second"] - seconds, account_key]
    rows("UPDATE request_budget SET slots = %s, second = %s WHERE holder = %s", values)


def paid(one: RateBudget, purpose: Purpose) -> bool:
    try:
        one.pay(purpose)
    except BudgetUsedUp:
        return False
    return True


def test_sixteen_threads_of_two_processes_never_get_more_than_the_limit(
    record: Record, other_record: Record, rows: Rows
) -> None:
    processes = [budget(record), budget(other_record)]
    deadline, granted, lock = time.monotonic() + 1.5, [0], threading.Lock()

    def hammer(number: int) -> None:
        while time.monotonic() < deadline:
            if paid(processes[number % 2], Purpose.EXIT):
                with lock:
                    granted[0] += 1

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(hammer, range(16)))

    assert granted[0] == 100
    assert spent(rows) == 100


def test_no_minute_sees_more_than_the_limit_wherever_it_begins(record: Record, rows: Rows) -> None:
    luck = random.Random(4)
    passed, taken = 0, list[tuple[int, int]]()
    spend(rows, 0)
    for _ in range(300):
        jump = luck.choice([0, 0, 1, 2, 5, 17, 40])
        pass_by(rows, jump)
        passed += jump
        wanted = luck.randint(1, 9)
        row = record.run(
            lambda c, n=wanted: c.execute(
                sql("request_budget", "take"), {"holder": HOLDER, "wanted": n, "ceiling": 30, "urgent": False}
            ).fetchone()
        )
        assert row is not None
        taken.append((passed, row["granted"]))
        # The windows are 61 s and 66 s instead of 60 s, because the test itself takes time, and because a request may
        # leave up to two seconds after it was paid for.
        assert sum(count for at, count in taken if at > passed - 61) <= 30
        if row["granted"] == 0:
            assert sum(count for at, count in taken if at > passed - 66) >= 30
    assert passed > 600
    assert sum(count for _, count in taken) > 150


def test_each_purpose_has_its_share_of_the_limit(record: Record, rows: Rows) -> None:
    one = budget(record, 200)
    for purpose, share in SHARES.items():
        rows("DELETE FROM request_budget")
        # Urgent requests may use the whole limit except the last request, which is reserved for an exit's order.
        spend(rows, 2 * share - (2 if purpose is Purpose.URGENT else 1))

        assert paid(one, purpose)
        assert one.left(purpose) == 0
        assert not paid(one, purpose)


def test_exits_have_room_when_entries_polls_and_the_watch_have_none(record: Record, rows: Rows) -> None:
    one = budget(record, 200)
    spend(rows, 190)

    assert [purpose for purpose in Purpose if paid(one, purpose)] == [Purpose.CANCEL, Purpose.URGENT, Purpose.EXIT]


def test_exits_have_room_when_cancels_of_entries_have_none(record: Record, rows: Rows) -> None:
    one = budget(record, 200)
    spend(rows, 192)

    assert [purpose for purpose in Purpose if paid(one, purpose)] == [Purpose.URGENT, Purpose.EXIT]


def test_the_smallest_limit_leaves_something_for_each(record: Record, rows: Rows) -> None:
    for purpose in Purpose:
        rows("DELETE FROM request_budget")
        assert paid(budget(record, 10), purpose)


def test_a_refusal_says_when_there_is_room(record: Record, rows: Rows) -> None:
    spend(rows, 4)
    pass_by(rows, 20)
    spend(rows, 96)
    with pytest.raises(BudgetUsedUp) as refused:
        budget(record).pay(Purpose.URGENT)

    assert 38 <= refused.value.wait_s <= 43
    pass_by(rows, int(refused.value.wait_s) - 2)
    assert not paid(budget(record), Purpose.URGENT)
    pass_by(rows, 3)
    assert paid(budget(record), Purpose.URGENT)


def test_who_reads_fast_pays_for_several_at_once_and_who_does_not_wastes_nothing(record: Record, rows: Rows) -> None:
    slow, fast = budget(record), budget(record)
    slow.pay(Purpose.POLL)
    slow.pay(Purpose.WATCH)
    assert spent(rows) == 2

    for _ in range(10):
        fast.pay(Purpose.POLL)

    # The fast process first pays for two single requests, and then three times for a block.
    assert spent(rows) == 2 + 2 + 3 * BLOCK


def test_exits_pay_for_one_request_at_a_time(record: Record, rows: Rows) -> None:
    one = budget(record)
    for number in range(1, 8):
        one.pay(Purpose.URGENT)
        assert spent(rows) == number


def test_the_last_request_is_left_to_the_order_of_an_exit(record: Record, rows: Rows) -> None:
    one = budget(record)
    spend(rows, 98)

    assert [paid(one, Purpose.URGENT) for _ in range(3)] == [True, False, False]
    assert spent(rows) == 99
    assert [paid(one, Purpose.EXIT), paid(one, Purpose.EXIT)] == [True, False]


def test_what_was_paid_for_and_not_used_in_time_is_lost(
    record: Record, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = budget(record)
    for _ in range(3):
        one.pay(Purpose.POLL)
    before, later = spent(rows), time.monotonic() + 2.1
    monkeypatch.setattr("workers.brokers.rate_budget.time.monotonic", lambda: later)

    one.pay(Purpose.POLL)

    assert spent(rows) == before + 1


def test_off_costs_nothing(rows: Rows) -> None:
    away = Record("postgresql://nobody@127.0.0.1:1/none", retry_for_s=0.0)
    one = budget(away, None)

    for purpose in Purpose:
        one.pay(purpose)

    assert one.left(Purpose.ENTRY) is None
    assert fare("PA1", None, urgent=False) == {"holder": "PA1", "ceiling": None, "urgent": False}
    rows("SELECT take_requests('PA1', 1, NULL, false)")
    assert rows("SELECT * FROM request_budget") == []
    away.close()


def test_without_the_record_nothing_is_asked_of_the_broker(rows: Rows) -> None:
    with Record("postgresql://nobody@127.0.0.1:1/none", retry_for_s=0.0) as away, pytest.raises(RecordUnavailable):
        budget(away).pay(Purpose.URGENT)


def test_a_429_holds_the_account_for_every_process_and_not_what_is_urgent(
    record: Record, other_record: Record, rows: Rows
) -> None:
    one, other = budget(record), budget(other_record)
    with capture_logs() as logs:
        one.refused(None)
        one.refused(None)

    assert [(line["event"], line["in_a_row"]) for line in logs] == [("requests.refused", 1)]
    for purpose in (Purpose.ENTRY, Purpose.POLL, Purpose.WATCH):
        with pytest.raises(BudgetUsedUp) as held:
            other.pay(purpose)
        assert 0 < held.value.wait_s <= 1
    assert paid(other, Purpose.URGENT)
    # The pause also applies to an executor without a request limit.
    (row,) = rows("SELECT * FROM take_requests(%s, 1, NULL, false)", [HOLDER])
    assert (row["granted"], row["closed"]) == (0, True)


def holds(one: RateBudget, rows: Rows, times: int) -> list[int]:
    """Return the lengths, in seconds, of the holds after *times* consecutive refusals."""
    found = []
    for _ in range(times):
        one.refused(None)
        (row,) = rows(
            "SELECT round(extract(epoch FROM closed_until - clock_timestamp()))::int AS s FROM request_budget"
        )
        found.append(row["s"])
        rows("UPDATE request_budget SET closed_until = clock_timestamp()")
    return found


def test_holds_grow_to_a_minute_and_a_success_makes_them_short_again(record: Record, rows: Rows) -> None:
    one = budget(record)
    assert holds(one, rows, 8) == [1, 2, 4, 8, 16, 32, 60, 60]
    other = budget(record)
    other.pay(Purpose.POLL)

    with capture_logs() as logs:
        other.answered()
        other.answered()

    assert [line["event"] for line in logs] == ["requests.accepted"]
    assert rows("SELECT refusals, closed_until FROM request_budget") == [{"refusals": 0, "closed_until": None}]
    assert holds(one, rows, 1) == [1]


def test_an_answer_during_the_hold_does_not_end_it(record: Record, rows: Rows) -> None:
    one = budget(record)
    one.refused(20)

    one.answered()

    (row,) = rows("SELECT refusals, closed_until > clock_timestamp() + interval '15 s' AS closed FROM request_budget")
    assert row == {"refusals": 1, "closed": True}


@pytest.mark.parametrize(("asked_s", "held_s"), [(0, 0.5), (7, 7), (86400, 60)])
def test_the_broker_says_how_long_to_wait_within_reason(
    record: Record, rows: Rows, asked_s: float, held_s: float
) -> None:
    budget(record).refused(asked_s)

    (row,) = rows("SELECT closed_until - clock_timestamp() AS wait FROM request_budget")
    assert timedelta(seconds=held_s - 0.4) < row["wait"] <= timedelta(seconds=held_s)


def test_what_was_spent_before_the_number_was_known_counts_for_it(record: Record, rows: Rows) -> None:
    spend(rows, 3)
    record.run(lambda connection: rename_account(connection, "argo", "PA1"))
    assert (spent(rows, "PA1"), rows("SELECT holder FROM request_budget")) == (3, [{"holder": "PA1"}])

    spend(rows, 4)
    for _ in range(2):
        record.run(lambda connection: rename_account(connection, "argo", "PA1"))

    assert (spent(rows, "PA1"), rows("SELECT holder FROM request_budget")) == (7, [{"holder": "PA1"}])


def test_a_request_is_paid_for_while_another_process_learns_the_number_of_the_account(
    record: Record, other_record: Record, rows: Rows
) -> None:
    spend(rows, 3)
    with ThreadPoolExecutor(1) as pool:

        def rename_while_another_pays(connection: Connection[DictRow]) -> Future[bool]:
            rename_account(connection, "argo", "PA1")
            paying = pool.submit(paid, budget(other_record), Purpose.URGENT)
            until(lambda: rows("SELECT 1 AS waits FROM pg_locks WHERE NOT granted"), 5)
            return paying

        assert record.run(rename_while_another_pays).result(patience(10))

    assert (spent(rows, "PA1"), spent(rows)) == (3, 1)
    record.run(lambda connection: rename_account(connection, "argo", "PA1"))
    assert (spent(rows, "PA1"), rows("SELECT holder FROM request_budget")) == (4, [{"holder": "PA1"}])


def test_a_clock_that_is_set_back_neither_frees_nor_locks_the_account(record: Record, rows: Rows) -> None:
    for hours in (1, 3):
        rows("DELETE FROM request_budget")
        spend(rows, 99)
        rows("UPDATE request_budget SET second = second + %s", [hours * 3600])

        assert [paid(budget(record), Purpose.EXIT) for _ in range(2)] == [True, False]
        pass_by(rows, 64)
        assert paid(budget(record), Purpose.EXIT)
