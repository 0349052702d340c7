"""Backup, restore, reset and stop lose no data, and print what is left open."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from typer.testing import CliRunner, Result

from config.executors import load_executors
from config.places import shipped
from config.services import Services, write_services
from pipeline.entrypoints.doctor.findings import CheckStatus
from pipeline.entrypoints.doctor.restores import check_restore
from pipeline.entrypoints.supervisor.backups import replace_embedded
from pipeline.entrypoints.supervisor.home_lock import lock_home
from pipeline.entrypoints.supervisor.offline import offline_postgres
from pipeline.model.errors import ConfigInvalid, NotPossible, RecordUnavailable
from pipeline.monitoring.heartbeats import Heartbeat
from pipeline.store.migrate import migrate
from pipeline.store.record import Record
from tests.command import app
from tests.folders import server_home
from tests.servers import with_database
from tests.waiting import until

_POSITION = "INSERT INTO holding (account_number, symbol, strategy, quantity) VALUES ('A1', 'AAPL', 's', 7)"

# Two executors that trade one account.
_READINGS = """
INSERT INTO account_snapshot (executor_id, account_number, taken_at, account, positions)
VALUES ('prop_firm', 'A1', now(), '{}', '{}'), ('argo', 'A1', now(), '{}', '{}')
"""


_RECONCILED = "INSERT INTO reconciliation (account_number, executor_id, read_at) VALUES (%s, %s, clock_timestamp())"


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("TRADEWIRE_EXECUTORS", str(shipped("executors.toml")))
    monkeypatch.delenv("DATABASE_URL", raising=False)
    with server_home() as made:
        monkeypatch.setenv("TRADEWIRE_HOME", str(made))
        yield made


def run(*arguments: str) -> Result:
    """Run a command without a terminal, and raise the errors of its code."""
    return CliRunner().invoke(app, list(arguments), catch_exceptions=False, standalone_mode=False)


def write(url: str, name: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(
            "INSERT INTO api_token (name, sha256, scopes, made_by) VALUES (%s, %s, '{read}', 'a test')",
            [name, name],
        )


def written(url: str) -> list[str]:
    with psycopg.connect(url) as connection:
        return [row[0] for row in connection.execute("SELECT name FROM api_token ORDER BY name")]


def test_an_embedded_record_is_restored_and_the_replaced_one_kept(home: Path) -> None:
    with offline_postgres(home) as url:
        migrate(url)
        write(url, "before")
    backed_up = run("backup", str(home / "record.backup"))
    with offline_postgres(home) as url:
        write(url, "after")

    restored = run("restore", str(home / "record.backup"), "--by", "ann")

    assert "wrote" in backed_up.stdout
    assert stat.S_IMODE((home / "record.backup").stat().st_mode) == 0o600
    assert "tradewire reconcile" in restored.stdout
    assert "DROP DATABASE tradewire_until_" in restored.stdout
    with offline_postgres(home) as url, psycopg.connect(url) as connection:
        assert written(url) == ["before"]
        (kept,) = connection.execute("SELECT datname FROM pg_database WHERE datname LIKE 'tradewire_until_%'")
        assert written(with_database(url, kept[0])) == ["after", "before"]
        assert f"DATABASE_URL='{with_database(url, kept[0])}' tradewire backup" in restored.stdout
        assert connection.execute("SELECT restored_by, file_name FROM record_restore").fetchall() == [
            ("ann", "record.backup")
        ]


def test_a_file_that_is_no_backup_changes_nothing(home: Path) -> None:
    (home / "record.backup").write_text("not a backup")
    with offline_postgres(home) as url:
        migrate(url)
        write(url, "kept")

    with pytest.raises(NotPossible, match="pg_restore refuses"):
        run("restore", str(home / "record.backup"), "--yes")

    with offline_postgres(home) as url:
        assert written(url) == ["kept"]


def test_a_backup_replaces_no_file(home: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    (home / "precious").write_text("data")

    with pytest.raises(NotPossible, match="never replaces"):
        run("backup", str(home / "precious"))

    assert (home / "precious").read_text() == "data"
    assert [entry.name for entry in home.iterdir()] == ["precious"]


@pytest.mark.parametrize("named_by", ["address", "PGDATABASE"])
def test_a_server_of_ones_own_is_restored_into_an_empty_database_only(
    home: Path, database_url: str, monkeypatch: pytest.MonkeyPatch, named_by: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    write(database_url, "before")
    run("backup", str(home / "record.backup"))
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(home.name)))
    empty = with_database(database_url, home.name)

    with pytest.raises(NotPossible, match="holds a record"):
        run("restore", str(home / "record.backup"))
    monkeypatch.setenv("DATABASE_URL", empty if named_by == "address" else with_database(database_url, ""))
    monkeypatch.setenv("PGDATABASE", home.name)
    run("restore", str(home / "record.backup"))

    assert written(empty) == written(database_url) == ["before"]


def test_doctor_warns_after_a_restore_until_every_account_was_reconciled(database_url: str) -> None:
    executors = load_executors(shipped("executors.toml"))
    with Record(database_url, connections=1) as record, psycopg.connect(database_url, autocommit=True) as connection:
        never = check_restore(record, executors)
        connection.execute(_RECONCILED, ["PA1", "argo"])
        connection.execute("INSERT INTO record_restore (restored_by, file_name) VALUES ('ann', 'a.backup')")
        at_once = check_restore(record, executors)
        connection.execute("UPDATE reconciliation SET read_at = clock_timestamp()")
        one_read = check_restore(record, executors)
        connection.execute(_RECONCILED, ["PA2", "prop_firm"])
        all_read = check_restore(record, executors)
        connection.execute("DELETE FROM reconciliation")
        with closing(Heartbeat(database_url, kind="keeper", name="keeper")):
            until(lambda: connection.execute("SELECT FROM heartbeat").fetchall(), 10)
            keeper_runs = check_restore(record, executors)

    assert [each.status for each in (never, at_once, one_read, all_read)] == [
        CheckStatus.OK,
        CheckStatus.WARNING,
        CheckStatus.WARNING,
        CheckStatus.OK,
    ]
    assert at_once.saw.endswith("not reconciled since: argo, prop_firm")
    assert one_read.saw.endswith("not reconciled since: prop_firm")
    assert at_once.remedy is not None
    assert at_once.remedy.startswith("Start the keeper, or run")
    assert keeper_runs.remedy is not None
    assert keeper_runs.remedy.startswith("The keeper compares them within seconds.")


def test_reset_asks_and_keeps_everything(home: Path) -> None:
    with offline_postgres(home) as url:
        migrate(url)
        write(url, "before")
        with psycopg.connect(url) as connection:
            connection.execute(_POSITION)
            connection.execute(_READINGS)
    write_services(home, Services(api_token="stays"))

    with pytest.raises(ConfigInvalid, match="--yes"):
        run("reset")
    assert (home / "postgres/cluster").is_dir()
    done = run("reset", "--yes")

    assert "will not be watched: argo, prop_firm: position 7 AAPL" in done.stdout
    (kept,) = home.glob("kept-*")
    assert (kept / "postgres/cluster/PG_VERSION").exists()
    assert sorted(entry.name for entry in home.iterdir()) == [kept.name, "services.json", "up.lock"]


@pytest.mark.parametrize("command", [["reset", "--yes"], ["restore", "a.backup"], ["up", "--for", "1"]])
def test_in_a_shell_with_the_addresses_of_an_up_that_has_ended_they_are_refused(
    home: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    with offline_postgres(home) as url:
        migrate(url)
    write_services(home, Services(database_url=url, api_token="token-of-this-test"))
    monkeypatch.setenv("DATABASE_URL", url)
    monkeypatch.setenv("TRADEWIRE_API_TOKEN", "token-of-this-test")

    with pytest.raises(ConfigInvalid) as refused:
        run(*command)

    names = "DATABASE_URL, TRADEWIRE_API_TOKEN"
    said = f"DATABASE_URL: this shell sets {names}, of the `tradewire up` in {home}, which has ended: run `unset"
    assert str(refused.value).startswith(said)


def test_with_the_address_of_a_running_up_reset_says_that_it_runs(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with offline_postgres(home) as url:
        write_services(home, Services(database_url=url, pids={"up": os.getpid()}))
        monkeypatch.setenv("DATABASE_URL", url)

        with pytest.raises(ConfigInvalid, match="another `tradewire up` runs"):
            run("reset", "--yes")


def test_reset_and_restore_refuse_beside_a_running_up(home: Path) -> None:
    (home / "a.backup").touch()
    with lock_home(home):
        for command in (["reset", "--yes"], ["restore", str(home / "a.backup"), "--yes"]):
            with pytest.raises(ConfigInvalid, match="another `tradewire up` runs"):
                run(*command)


def test_down_shows_what_is_left_asks_and_stops(home: Path, database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute(_POSITION)
        connection.execute(_READINGS)
    up = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"], stdout=subprocess.DEVNULL)
    write_services(home, Services(database_url=database_url, pids={"up": up.pid}))
    try:
        with pytest.raises(ConfigInvalid, match="--yes"):
            run("down")
        still = up.poll() is None
        done = run("down", "--yes")

        assert still
        assert "will not be watched: argo, prop_firm: position 7 AAPL" in done.stdout
        assert done.stdout.endswith("stopped\n")
        assert up.wait(10) != 0
    finally:
        up.kill()


def test_status_lists_the_homes_and_what_runs_there(home: Path) -> None:
    nothing = run("status")
    write_services(home, Services(web_url="http://127.0.0.1:8000", pids={"up": os.getpid()}))

    running = run("status")

    assert (nothing.return_value, running.return_value) == (1, 0)
    first, second = running.stdout.splitlines()[:2]
    assert first == f"{home}: runs (pid {os.getpid()}), http://127.0.0.1:8000"
    assert second.startswith("  /")
    assert "argo (exchange), prop_firm (exchange)" in running.stdout


def test_a_restore_while_postgresql_is_away_is_an_error_of_one_line(tmp_path: Path) -> None:
    with pytest.raises(RecordUnavailable):
        replace_embedded("postgresql://127.0.0.1:1/tradewire", tmp_path / "backup", by="test")
