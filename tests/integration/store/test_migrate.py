from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from psycopg import sql
from psycopg.types.json import Json

from pipeline.entrypoints.supervisor.servers.addresses import free_port
from pipeline.model.errors import NotPossible, RecordUnavailable
from pipeline.store.migrate import migrate, migrations


def test_every_migration_is_applied_once_and_in_order(empty_database_url: str) -> None:
    names = [migration.name for migration in migrations()]

    assert migrate(empty_database_url) == names
    assert migrate(empty_database_url) == []
    with psycopg.connect(empty_database_url) as connection:
        done = connection.execute("SELECT version, name, checksum FROM migration ORDER BY version").fetchall()
    assert done == [(migration.version, migration.name, migration.checksum) for migration in migrations()]


def test_migrations_are_numbered_from_one_without_a_gap() -> None:
    assert [migration.version for migration in migrations()] == list(range(1, len(migrations()) + 1))


@pytest.mark.parametrize("isolation", ["read committed", "repeatable read", "serializable"])
def test_of_eight_that_migrate_at_once_one_does(empty_database_url: str, isolation: str) -> None:
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        statement = sql.SQL("ALTER DATABASE {} SET default_transaction_isolation = {}")
        connection.execute(statement.format(sql.Identifier(connection.info.dbname), isolation))
    with ThreadPoolExecutor(8) as pool:
        applied = list(pool.map(migrate, [empty_database_url] * 8))

    assert sorted(applied, key=len) == [[]] * 7 + [[migration.name for migration in migrations()]]


def test_a_newer_schema_is_left_alone(empty_database_url: str) -> None:
    migrate(empty_database_url)
    with psycopg.connect(empty_database_url) as connection:
        connection.execute("INSERT INTO migration (version, name, checksum) VALUES (9999, 'later', '')")

    with pytest.raises(NotPossible, match="schema 9999"):
        migrate(empty_database_url)


def test_a_migration_that_was_edited_after_it_ran_is_refused(empty_database_url: str) -> None:
    migrate(empty_database_url)
    with psycopg.connect(empty_database_url) as connection:
        connection.execute("UPDATE migration SET checksum = 'edited' WHERE version = 1")

    with pytest.raises(NotPossible, match="migration 1 in the database"):
        migrate(empty_database_url)


def test_a_user_who_may_not_change_the_database_is_told_so(empty_database_url: str) -> None:
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        connection.execute("CREATE ROLE onlooker LOGIN")
        try:
            read_only = f"{empty_database_url}{'&' if '?' in empty_database_url else '?'}options=-c%20role%3Donlooker"
            with pytest.raises(NotPossible, match="PostgreSQL refuses the migration: permission denied"):
                migrate(read_only)
        finally:
            connection.execute("DROP ROLE onlooker")


def test_what_fails_half_way_leaves_nothing_behind(empty_database_url: str) -> None:
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        # The first migration fails at this table, after it has run some of its statements.
        connection.execute("CREATE TABLE heartbeat (other integer)")

        with pytest.raises(NotPossible, match="heartbeat"):
            migrate(empty_database_url)

        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        assert tables == [("heartbeat",)]
        connection.execute(sql.SQL("DROP TABLE heartbeat"))
    assert migrate(empty_database_url)


def test_an_absent_server_is_said_in_one_line() -> None:
    with pytest.raises(RecordUnavailable) as caught:
        migrate(f"postgresql://127.0.0.1:{free_port()}/postgres")

    assert "\n" not in str(caught.value)


def test_open_stops_of_a_flatten_move_to_the_one_table_of_canceled_orders(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    every = migrations()
    monkeypatch.setattr("pipeline.store.migrate.migrations", lambda: every[:24])
    migrate(empty_database_url)
    request = Json({"client_order_id": "restored-o-1", "symbol": "AAPL", "side": "sell", "qty": "7", "type": "stop"})
    with psycopg.connect(empty_database_url) as connection:
        connection.execute(
            "INSERT INTO canceled_stop (executor_id, order_id, symbol, request, settled_at) "
            "VALUES ('argo', 'o-1', 'AAPL', %s, NULL), ('argo', 'o-2', 'AAPL', %s, now())",
            [request, request],
        )
    monkeypatch.undo()

    migrate(empty_database_url)

    with psycopg.connect(empty_database_url) as connection:
        moved = connection.execute(
            "SELECT order_id, executor_id, symbol, side, quantity, terms, settled_at FROM canceled_order"
        ).fetchall()
    assert moved == [("o-1", "argo", "AAPL", "sell", 7, {"type": "stop"}, None)]


def test_open_alerts_of_stray_orders_end_since_findings_take_their_place(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    every = migrations()
    monkeypatch.setattr("pipeline.store.migrate.migrations", lambda: [each for each in every if each.version < 38])
    migrate(empty_database_url)
    with psycopg.connect(empty_database_url) as connection:
        connection.execute(
            "INSERT INTO alert (key, kind, severity, subject) VALUES "
            "('stray_order:o-1', 'stray_order', 'critical', 'a'), ('unknown:1', 'unknown', 'critical', 'b')"
        )
    monkeypatch.undo()

    migrate(empty_database_url)

    with psycopg.connect(empty_database_url) as connection:
        still_open = connection.execute("SELECT kind FROM alert WHERE over_at IS NULL").fetchall()
    assert still_open == [("unknown",)]


def test_what_orders_had_filled_becomes_one_fill_each(empty_database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    every = migrations()
    monkeypatch.setattr("pipeline.store.migrate.migrations", lambda: every[:32])
    migrate(empty_database_url)
    orders = [
        # The average price is not known, and there are only the times of the intent and of the end.
        ("1", "entry", "buy", 5, None, "2026-07-01", None, "2026-07-02"),
        ("2", "exit", "sell", 4, "100.5", "2026-07-03", "2026-07-04", "2026-07-05"),
        ("3", "entry", "buy", 0, None, "2026-07-06", None, "2026-07-07"),
    ]
    with psycopg.connect(empty_database_url) as connection:
        connection.execute("SET LOCAL session_replication_role = replica")
        for order in orders:
            connection.execute(
                "INSERT INTO broker_order (execution_id, generation, executor_id, account_number, client_order_id, "
                "reference_price, quantity, symbol, request, strategy, order_id, role, side, filled_quantity, "
                "filled_average_price, intended_at, filled_at, ended_at) VALUES (gen_random_uuid(), 1, 'argo', 'PA1', "
                "'tw-' || %s, 1, 9, 'AAPL', '{}', '', 'o', %s, %s, %s, %s, %s, %s, %s)",
                order,
            )
    monkeypatch.undo()

    assert migrate(empty_database_url)[0] == "fills"

    with psycopg.connect(empty_database_url) as connection:
        connection.execute("SET LOCAL timezone = 'UTC'")
        rows = connection.execute(
            "SELECT fill_id, quantity::int, price::text, filled_at::date::text FROM fill ORDER BY 1"
        )
        changed = connection.execute("SELECT symbol, since::date::text FROM fill_change")
    assert rows.fetchall() == [("order:tw-1", 5, None, "2026-07-02"), ("order:tw-2", 4, "100.5", "2026-07-04")]
    assert changed.fetchall() == [("AAPL", "2026-07-02")]


def test_what_reports_may_contain_of_revised_fills_is_without_their_corrections(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    every = migrations()
    monkeypatch.setattr("pipeline.store.migrate.migrations", lambda: every[:36])
    migrate(empty_database_url)
    # Of 10 shares, 6 were corrected to 5, and 1 was taken back.
    fills = [("f-1", 3, None, None), ("f-2", 6, "now", "c-1"), ("c-1", 5, None, None), ("f-3", 1, "now", None)]
    with psycopg.connect(empty_database_url) as connection:
        connection.execute("SET LOCAL session_replication_role = replica")
        connection.execute(
            "INSERT INTO broker_order (execution_id, generation, executor_id, account_number, client_order_id, role, "
            "symbol, side, reference_price, quantity, request, filled_quantity, busted_quantity) "
            "SELECT md5(n::text)::uuid, 1, 'argo', 'PA1', 'tw-' || n, 'entry', 'AAPL', 'buy', 1, 10, '{}', 8, "
            "CASE n WHEN 1 THEN 7 END FROM generate_series(1, 2) AS n"
        )
        for fill in fills:
            connection.execute(
                "INSERT INTO fill (execution_id, generation, executor_id, account_number, symbol, side, price, "
                "filled_at, source, fill_id, quantity, voided_at, corrected_by) "
                "VALUES (md5('1')::uuid, 1, 'argo', 'PA1', 'AAPL', 'buy', 100, now(), 'activity', %s, %s, %s, %s)",
                fill,
            )
    monkeypatch.undo()

    assert migrate(empty_database_url)[0] == "revised_fills"

    with psycopg.connect(empty_database_url) as connection:
        rows = connection.execute(
            "SELECT filled_quantity, busted_quantity, report_quantity FROM broker_order ORDER BY client_order_id"
        ).fetchall()
    assert rows == [(8, 2, 10), (8, None, None)]
