"""The books in the record are those of all fills, in whatever order these come, and whoever computes them."""

from __future__ import annotations

import random
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from structlog.testing import capture_logs
from typer.testing import CliRunner

from pipeline.accounts.books.lots import BookFill
from pipeline.accounts.books.settle import _book_fills as book_fills
from pipeline.accounts.books.settle import failed_symbols, settle
from pipeline.entrypoints.doctor.books import check_books
from pipeline.entrypoints.doctor.findings import CheckStatus
from pipeline.store.record import Record
from tests.command import app
from tests.integration.accounts.fill_rows import FillRows, expected
from tests.unit.accounts.books.fills import fill, traded
from tests.web import LOAD


@pytest.fixture
def fills(record: Record, database_url: str) -> FillRows:
    return FillRows(record, database_url)


def lines(*texts: str) -> list[BookFill]:
    return [fill(number, text) for number, text in enumerate(texts)]


ROUND_TRIPS = ("a x entry buy 2 100", "b x exit sell 2 103", "c y entry buy 5 90", "d y exit sell 3 95")


def test_what_was_settled_is_not_settled_again_and_would_be_the_same(fills: FillRows) -> None:
    fills.add(*lines(*ROUND_TRIPS))

    assert (fills.settle(), fills.settle()) == (1, 0)

    first = fills.books()
    assert first == expected(lines(*ROUND_TRIPS))
    fills.run("INSERT INTO fill_change VALUES ('PA1', 'AAPL', '2000-01-01T00:00Z')")
    assert fills.settle() == 1
    assert fills.books() == first


_TERMS = (["entry", "exit"], ["buy", "sell"], ["1", "2", "5"], ["9", "10", "11"])


def random_fills(seed: int) -> list[BookFill]:
    draw = random.Random(seed)
    texts = [
        " ".join([f"e{number}", "xy-"[number % 3], *(draw.choice(terms) for terms in _TERMS)]) for number in range(8)
    ]
    # Each order has several fills, and some fills have the same time.
    return [
        replace(fill(number, draw.choice(texts)), filled_at=fill(number // draw.randint(1, 2), texts[0]).filled_at)
        for number in range(24)
    ]


@pytest.mark.parametrize("seed", range(3))
def test_fills_that_come_in_any_order_that_are_corrected_and_taken_back_lead_to_the_same_books(
    fills: FillRows, seed: int
) -> None:
    draw, all_fills = random.Random(seed), random_fills(seed)
    coming, there = draw.sample(all_fills, len(all_fills)), dict[str, BookFill]()
    while coming:
        batch, coming = coming[:3], coming[3:]
        fills.add(*batch)
        there |= {each.fill_id: each for each in batch}
        changed = draw.choice(list(there.values()))
        if draw.random() < 0.3:
            there[changed.fill_id] = replace(changed, price=Decimal(7), filled_at=draw.choice(all_fills).filled_at)
            fills.run(
                "UPDATE fill SET price = 7, filled_at = %s WHERE fill_id = %s",
                there[changed.fill_id].filled_at,
                changed.fill_id,
            )
        elif draw.random() < 0.2:
            del there[changed.fill_id]
            fills.run("UPDATE fill SET voided_at = now() WHERE fill_id = %s", changed.fill_id)

        fills.settle()

        assert fills.books() == expected(list(there.values()))


def test_fills_in_the_order_of_their_times_lead_to_the_same_books(fills: FillRows) -> None:
    all_fills = random_fills(7)[:16]
    for number, each in enumerate(all_fills):
        fills.add(each)

        fills.settle()

        assert fills.books() == expected(all_fills[: number + 1])


def test_processes_that_settle_while_fills_are_recorded_lose_none(fills: FillRows) -> None:
    all_fills, by_order = random_fills(8), defaultdict[UUID, list[BookFill]](list)
    for one in all_fills:
        by_order[one.execution_id].append(one)

    def add_one_by_one(order: list[BookFill]) -> None:
        for one in order:
            fills.add(one)

    with ThreadPoolExecutor(4) as threads:
        writers = [threads.submit(add_one_by_one, order) for order in by_order.values()]
        settlers = [threads.submit(settle, fills.record) for _ in range(8)]
        for each in [*writers, *settlers]:
            each.result()
    fills.settle()

    assert fills.books() == expected(all_fills)


def test_symbols_and_accounts_have_books_of_their_own(fills: FillRows, record: Record, database_url: str) -> None:
    bought, sold = lines("a x entry buy 2 100", "b x exit sell 2 103")
    fills.add(bought)
    fills.add(sold, symbol="MSFT")

    fills.settle()

    assert [row["symbol"] for row in fills.run("SELECT symbol FROM lot")] == ["AAPL"]
    assert [(row["symbol"], row["realised"]) for row in fills.run("SELECT * FROM trade")] == [("MSFT", None)]


def test_a_further_try_of_an_exit_has_the_reason_of_the_first_and_a_limit_is_named(fills: FillRows) -> None:
    bought, first, again, flattened = lines(
        "a x entry buy 9 100", "b x exit sell 2 101", "c x exit sell 2 101", "d x exit sell 2 101"
    )
    fills.add(bought, replace(first, action="FLAT"), replace(again, source="tradewire:exit"))  # type: ignore[arg-type]
    fills.run("UPDATE signal SET source_id = %s WHERE source = 'tradewire:exit'", f"{first.execution_id}:2")
    fills.run(
        "INSERT INTO switch_history (holder, kind, cause, turned, facts, flatten, moved_by)"
        " VALUES ('PA1', 'halted', 'daily_loss', 'on', '{}', true, 'test')"
    )
    fills.add(replace(flattened, source="tradewire:flatten"))

    fills.settle()

    reasons = fills.run("SELECT exit_reason FROM trade ORDER BY closed_at")
    assert [row["exit_reason"] for row in reasons] == ["flat", "flat", "loss_limit"]


def test_the_coins_that_the_broker_kept_are_the_fee_of_the_exit_that_covers_them(fills: FillRows) -> None:
    bought, first, second = lines("a x entry buy 0.8 1000", "b x exit sell 0.5 2000", "b x exit sell 0.298 2000")
    fills.add(bought, symbol="ETH/USD")
    fills.add(first, second, symbol="ETH/USD", ordered=Decimal("0.798"), covers=Decimal("0.8"))

    fills.settle()

    [trade], lots = fills.books()
    assert [trade["quantity"], trade["realised"], trade["fees"], lots] == [Decimal("0.798"), 798, 2, []]


def test_a_fault_in_the_books_of_one_symbol_does_not_stop_those_of_another(fills: FillRows) -> None:
    broken, sold = lines("a x exit sell 2 100", "b x exit sell 2 103")
    fills.add(broken, covers=Decimal("NaN"))
    fills.add(sold, symbol="MSFT")

    fills.settle()

    assert [row["symbol"] for row in fills.run("SELECT symbol FROM trade")] == ["MSFT"]
    assert [row["symbol"] for row in fills.run("SELECT symbol FROM fill_change")] == ["AAPL"]
    assert failed_symbols() == ["AAPL (PA1)"]
    fills.run("UPDATE fill_change SET since = now() - interval '59 seconds'")
    assert check_books(fills.record).status is CheckStatus.OK
    fills.run("UPDATE fill_change SET since = now() - interval '61 seconds'")
    found = check_books(fills.record)
    assert (found.status, found.saw) == (CheckStatus.WARNING, "not computed after a fill: AAPL (PA1)")


def test_the_commands_of_books_that_cannot_be_computed_name_the_symbol_and_end_with_1(
    fills: FillRows, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fills.add(*lines("a x exit sell 2 100"), covers=Decimal("NaN"))
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("TRADEWIRE_EXECUTORS", str(LOAD))

    for command in (["trades"], ["pnl", "--json"], ["export", "trades"]):
        ended = CliRunner().invoke(app, command)

        said = "the books of AAPL (PA1) cannot be computed, so their trades and holdings are missing or old: "
        assert (ended.exit_code, ended.stderr.startswith(said)) == (1, True), ended.stderr
        assert len(ended.stderr.splitlines()) == 1

    fills.run("UPDATE broker_order SET covers = NULL")
    assert CliRunner().invoke(app, ["trades"]).exit_code == 0


def test_a_fill_is_recorded_while_the_books_of_its_symbol_are_computed(fills: FillRows, record: Record) -> None:
    bought, sold = lines("a x entry buy 2 100", "b x exit sell 2 103")
    fills.add(bought)

    def while_computing(*_: object) -> None:
        fills.add(sold)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipeline.accounts.books.settle._save_lots", while_computing)
        fills.settle()

    assert fills.settle() == 1
    assert fills.books() == expected([bought, sold])
    assert len(traded("a x entry buy 2 100", "b x exit sell 2 103")) == len(fills.books()[0])


def test_a_further_fill_of_an_exit_that_comes_while_the_books_are_computed_is_booked_with_the_first(
    fills: FillRows, monkeypatch: pytest.MonkeyPatch
) -> None:
    bought, first, more, second = lines(
        "a x entry buy 4 100", "b x exit sell 1 103", "c x entry buy 2 101", "b x exit sell 3 104"
    )
    fills.add(bought, first)
    fills.settle()
    fills.add(more)
    came: list[BookFill] = []

    def while_computing(*values: Any) -> Any:
        if not came:
            came.append(second)
            fills.add(second)
        return book_fills(*values)

    monkeypatch.setattr("pipeline.accounts.books.settle._book_fills", while_computing)

    with capture_logs() as logs:
        fills.settle()

    assert logs == []
    assert fills.books() == expected([bought, first, more, second])


def test_a_process_that_is_frozen_while_it_computes_books_keeps_them_for_a_minute_at_most(
    fills: FillRows, monkeypatch: pytest.MonkeyPatch
) -> None:
    fills.add(*lines("a x entry buy 4 100"))
    kept: list[str] = []

    def while_computing(connection: Any, *values: Any) -> Any:
        kept.append(connection.execute("SHOW idle_in_transaction_session_timeout").fetchone().popitem()[1])
        return book_fills(connection, *values)

    monkeypatch.setattr("pipeline.accounts.books.settle._book_fills", while_computing)

    fills.settle()

    assert kept == ["1min"]
