"""Behind a pooler in transaction mode the record works as it does without one, and leaves nothing in its sessions."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import Connection, conninfo
from psycopg.rows import DictRow
from pydantic import SecretStr

from config.schema.settings import Settings
from pipeline.entrypoints.supervisor.backups import write_backup
from pipeline.model.errors import NotPossible, RecordUnavailable
from pipeline.startup.context import direct_database_url
from pipeline.store.migrate import migrate
from pipeline.store.query import fetch_one
from pipeline.store.record import Record
from tests.core_fixtures import Processes
from tests.factories import Core, json_line, signal, until
from tests.integration.execution_states import Rows
from tests.pooler import pooled

SETTINGS = {
    "statement_timeout": "10s",
    "lock_timeout": "5s",
    "idle_in_transaction_session_timeout": "5s",
    "synchronous_commit": "on",
    "TimeZone": "UTC",
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "transaction_isolation": "read committed",
}
#: Defaults that an administrator may have set, and with which tradewire could not work.
OTHERS = {
    "statement_timeout": "1min",
    "synchronous_commit": "off",
    "timezone": "Asia/Tokyo",
    "datestyle": "German",
    "intervalstyle": "iso_8601",
    "default_transaction_isolation": "serializable",
}


@pytest.fixture
def pooled_url(database_url: str) -> Iterator[str]:
    with pooled(database_url) as url:
        yield url


@pytest.fixture
def other_defaults(database_url: str, rows: Rows) -> None:
    """Let every new session of the test's database begin with other settings, until the database is dropped."""
    name = conninfo.conninfo_to_dict(database_url)["dbname"]
    for key, value in OTHERS.items():
        rows(f"ALTER DATABASE \"{name}\" SET {key} = '{value}'")


@pytest.fixture(params=["direct", "pooled"])
def way(request: pytest.FixtureRequest, database_url: str) -> str:
    """The address of the record, directly or through the pooler."""
    return database_url if request.param == "direct" else request.getfixturevalue("pooled_url")


@pytest.mark.usefixtures("other_defaults")
def test_every_transaction_has_its_settings_whatever_the_servers_defaults_are(way: str) -> None:
    def shown(connection: Connection[DictRow]) -> dict[str, str]:
        return {key: fetch_one(connection, str, f"SELECT current_setting('{key}')") for key in SETTINGS}  # type: ignore[arg-type]

    with Record(way) as record:
        assert [record.run(shown) for _ in range(3)] == [SETTINGS] * 3
        assert record.one(timedelta, "SELECT interval '1 day 2 hours'") == timedelta(hours=26)
        assert record.one(datetime, "SELECT timestamptz '2026-03-04 05:06Z'") == datetime(2026, 3, 4, 5, 6, tzinfo=UTC)


def test_many_clients_of_few_sessions_get_the_answers_to_their_own_statements(pooled_url: str, rows: Rows) -> None:
    def ask(client: int) -> list[int]:
        with Record(pooled_url, connections=1) as record:
            return [record.one(int, f"SELECT {client} + {number % 3}") for number in range(40)]  # type: ignore[arg-type]

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(8)))

    assert answers == [[client + number % 3 for number in range(40)] for client in range(8)]


def test_nothing_of_ours_stays_in_the_sessions_of_the_pooler(pooled_url: str, empty_database_url: str) -> None:
    before = session_state(pooled_url)
    migrate(pooled_url)
    with Record(pooled_url) as record:
        for _ in range(10):
            record.one(int, "SELECT 1")

    assert session_state(pooled_url) == before


def session_state(url: str) -> list[Any]:
    """Return settings and prepared statements of the pooler's sessions."""
    with psycopg.connect(url, prepare_threshold=None, autocommit=True) as connection:
        # pgbouncer itself sets application_name to the name of the client that the session serves.
        settings = connection.execute(
            "SELECT name, setting FROM pg_settings WHERE source = 'session' AND name <> 'application_name'"
        ).fetchall()
        return [settings, connection.execute("SELECT name FROM pg_prepared_statements").fetchall()]


@pytest.mark.usefixtures("other_defaults")
def test_every_process_works_behind_a_pooler(core: Core, processes: Processes, pooled_url: str) -> None:
    more = {"DATABASE_URL": pooled_url, "TRADEWIRE_SOURCE": "file", "TRADEWIRE_SOURCE_FILE": "-"}
    symbols = ["AAPL", "MSFT"]
    lines = [json_line(signal(symbols[number % 2], source_id=f"s-{number}")) for number in range(24)]
    started = [processes.start(core, *command, **more) for command in (("work", "argo"), ("work", "argo"), ("keep",))]
    producer = processes.start(core, "produce", stdin="".join(lines), **more)

    ended = "SELECT count(*) AS n FROM execution WHERE state = 'filled'"
    until(lambda: core.rows(ended)[0]["n"] == len(lines))

    assert core.rows("SELECT * FROM dead_letter") == []
    assert len(core.orders()) == len(lines)
    for process in [*started, producer]:
        assert "prepared statement" not in processes.said(process)


def test_a_backup_does_not_go_through_a_pooler(pooled_url: str, database_url: str, tmp_path: Path) -> None:
    with pytest.raises(NotPossible, match="set DATABASE_DIRECT_URL"):
        write_backup(pooled_url, tmp_path / "record.backup")
    direct = Settings(database_url=SecretStr(pooled_url), database_direct_url=SecretStr(database_url))

    write_backup(direct_database_url(direct), tmp_path / "record.backup")

    assert (tmp_path / "record.backup").stat().st_size > 0
    assert session_state(pooled_url) == [[], []]


def test_an_encrypted_connection_is_checked(database_url: str) -> None:
    with tempfile.TemporaryDirectory(prefix="tradewire-") as folder:
        key, certificate, other = (Path(folder) / name for name in ("server.key", "server.crt", "other.crt"))
        Path(folder).chmod(0o755)
        make_certificate(key, other)
        make_certificate(key, certificate)
        key.chmod(0o644)  # pgbouncer, which must read it, runs as another user.
        tls = {"client_tls_sslmode": "require", "client_tls_key_file": key, "client_tls_cert_file": certificate}
        with pooled(database_url, more="\n".join(f"{name} = {value}" for name, value in tls.items())) as url:
            checked = f"{url.replace('127.0.0.1', 'localhost')}?sslmode=verify-full&sslrootcert="
            with Record(f"{checked}{certificate}") as record:
                assert record.one(int, "SELECT 1") == 1
            for wrong in (f"{checked}{other}", f"{url}?sslmode=disable"):
                with Record(wrong, retry_for_s=0.0) as record, pytest.raises(RecordUnavailable):
                    record.one(int, "SELECT 1")


def make_certificate(key: Path, certificate: Path) -> None:
    """Write a new key, and a self-signed certificate for localhost."""
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    made += ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(made, check=True, capture_output=True)
