from __future__ import annotations

from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from pipeline.store.migrate import migrate, migrations
from tests.factories import Core, executor_toml, until


def filled(core: Core, action: str, **changes: Any) -> None:
    execution = core.send("AAPL", action, **changes)
    core.run(execution)
    until(lambda: core.follower().run_once() or core.state(execution) == "filled")


def own(core: Core, cause: str, action: str) -> None:
    """Record and execute a close of the account's whole position, as tradewire itself does for *cause*."""
    raw = {"source_id": "1", "symbol": "AAPL", "action": action, "intent": "close", "executors": ["argo"]}
    [row] = core.intake.record_own(raw, cause=cause).executions
    core.run(row.execution_id)
    until(lambda: core.follower().run_once() or core.state(row.execution_id) == "filled")


def holdings(core: Core) -> dict[str, int]:
    rows = core.rows("SELECT strategy, quantity, entries, opened_at FROM holding ORDER BY strategy")
    assert all((row["quantity"] == 0) == (row["opened_at"] is None and row["entries"] == 0) for row in rows)
    return {row["strategy"]: int(row["quantity"]) for row in rows}


def test_no_strategy_holds_what_flatten_has_closed(core: Core) -> None:
    core.prices(AAPL=100)
    filled(core, "BUY", strategy="one", quantity=2)
    filled(core, "BUY", strategy="two", quantity=3)

    own(core, "flatten", "SELL")

    assert holdings(core) == {"one": 0, "two": 0}
    # Strategy `one` does not own shares that are bought later without a strategy; a signal without one can sell them.
    filled(core, "BUY", quantity=4)
    assert core.run(core.send("AAPL", "SELL", strategy="one"))["reason_code"] == "no_position"
    filled(core, "SELL")
    assert core.runtimes["argo"].broker.position("AAPL") is None


def test_an_exit_of_the_account_takes_its_own_strategys_shares_first_and_then_the_oldest(make_core: Any) -> None:
    core: Core = make_core(executor_toml(order='close_scope = "account"'))
    core.prices(AAPL=100)
    for strategy in ("one", "two", "three"):
        filled(core, "BUY", strategy=strategy, quantity=2)

    filled(core, "SELL", strategy="three", quantity=3)

    assert holdings(core) == {"one": 1, "three": 0, "two": 2}


def test_no_strategy_holds_a_short_that_flatten_has_covered(make_core: Any) -> None:
    core: Core = make_core(executor_toml(order="allow_short = true"))
    core.prices(AAPL=100)
    filled(core, "SELL", strategy="one", quantity=2)
    assert holdings(core) == {"one": -2}

    own(core, "flatten", "BUY")

    assert holdings(core) == {"one": 0}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"one": 356, "": -356}, {"one": 0, "": 0}),
        ({"one": 5, "two": 7, "": -6}, {"one": 0, "two": 6, "": 0}),
        ({"one": 5, "two": 7}, {"one": 5, "two": 7}),
        ({"short": -9, "one": 4}, {"short": -5, "one": 0}),
        ({"short": -9}, {"short": -9}),
        ({"by hand": -3}, {"by hand": 0}),
    ],
)
def test_a_migration_corrects_the_holdings_of_an_older_record(
    empty_database_url: str, before: dict[str, int], after: dict[str, int]
) -> None:
    with psycopg.connect(empty_database_url, row_factory=dict_row) as connection:
        connection.execute(
            "CREATE TABLE migration (version integer PRIMARY KEY, name text NOT NULL, checksum text NOT NULL, "
            "applied_at timestamptz NOT NULL DEFAULT now())"
        )
        for step in (each for each in migrations() if each.version < 7):
            connection.execute(step.text.encode())
            connection.execute(
                "INSERT INTO migration (version, name, checksum) VALUES (%s, %s, %s)",
                [step.version, step.name, step.checksum],
            )
        connection.execute("SET LOCAL session_replication_role = replica")
        for number, (strategy, quantity) in enumerate(before.items()):
            side = "sell" if strategy == "short" else "buy"
            connection.execute(
                "INSERT INTO broker_order (execution_id, generation, executor_id, account_number, client_order_id, "
                "role, symbol, side, quantity, filled_quantity, reference_price, request, strategy, intended_at) "
                "VALUES (gen_random_uuid(), 1, 'argo', 'PA1', %s, 'entry', 'AAPL', %s, 9, 9, 1, '{}', %s, now())",
                [f"tw-{number}", side, strategy],
            )
            connection.execute(
                "INSERT INTO holding (account_number, symbol, strategy, quantity, entries, opened_at) "
                "VALUES ('PA1', 'AAPL', %s, %s, 1, now() + %s * interval '1 second')",
                [strategy, quantity, number],
            )

    migrate(empty_database_url)

    with psycopg.connect(empty_database_url, row_factory=dict_row) as connection:
        rows = connection.execute("SELECT strategy, quantity FROM holding").fetchall()
    assert {row["strategy"]: int(row["quantity"]) for row in rows} == after
