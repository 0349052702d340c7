"""Worker, producer and keeper refuse unusable servers with one clear line, and wait for absent ones."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import psycopg
import pytest
import redis
from psycopg import sql

from pipeline.model.errors import NotPossible, QueueUnavailable
from pipeline.queues.redis_server import check_server, check_writes, connect
from pipeline.store.migrate import migrate
from pipeline.store.record import Record
from tests.core_fixtures import Processes, Started
from tests.factories import Core, until
from tests.integration.startup.wrong_servers import Answer, postgres_of_version, redis_that_says, server, web

COMMANDS = (("work", "argo"), ("produce",), ("keep",))


def refusal(processes: Processes, process: Started) -> str:
    """Wait until *process* has refused to start, and return its only line of output."""
    assert process.wait(30) == 1
    said = processes.said(process)
    assert "Traceback" not in said
    lines = [line for line in said.splitlines() if not line.startswith("{")]
    assert len(lines) == 1, said
    return lines[0]


@contextmanager
def configured(url: str, **settings: str) -> Iterator[redis.Redis]:
    """Change settings of the Redis at *url* for the time of the block."""
    with redis.Redis.from_url(url) as connection:
        before = {name: connection.config_get(name)[name] for name in settings}
        try:
            for name, value in settings.items():
                connection.config_set(name, value)
            yield connection
        finally:
            for name, value in before.items():
                connection.config_set(name, value)


def test_a_redis_that_evicts_is_refused_by_every_process(core: Core, processes: Processes) -> None:
    with configured(core.redis_url, **{"maxmemory-policy": "allkeys-lru"}):
        started = [processes.start(core, *command, TRADEWIRE_SOURCE="none") for command in COMMANDS]
        lines = [refusal(processes, process) for process in started]

    assert lines == ["tradewire: this Redis evicts keys (maxmemory-policy allkeys-lru): set it to noeviction"] * 3


def test_a_postgres_that_is_too_old_is_refused_by_every_process(core: Core, processes: Processes) -> None:
    with server(postgres_of_version("13.14")) as port:
        url = f"postgresql://somebody@127.0.0.1:{port}/tradewire"
        started = [processes.start(core, *command, DATABASE_URL=url, TRADEWIRE_SOURCE="none") for command in COMMANDS]
        lines = [refusal(processes, process) for process in started]

    assert lines == ["tradewire: PostgreSQL 13 is too old: tradewire needs 14 or newer"] * 3


def test_a_replica_is_refused(redis_url: str) -> None:
    with connect(redis_url) as connection:
        connection.replicaof("127.0.0.1", "1")
        try:
            with pytest.raises(NotPossible, match="read-only replica: REDIS_URL must name the primary"):
                check_server(connection)
        finally:
            connection.replicaof("NO", "ONE")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        pytest.param(redis_that_says(redis_version="6.0.16"), "Redis 6.0.16 is too old", id="6.0"),
        pytest.param(redis_that_says(redis_version="5.0.14"), "this Redis is too old", id="5.0"),
        pytest.param(redis_that_says(redis_version="7.2.0", redis_mode="cluster"), "runs as a cluster", id="cluster"),
        pytest.param(redis_that_says(redis_version="7.2.0", redis_mode="sentinel"), "a sentinel", id="sentinel"),
        pytest.param(web, "the server at REDIS_URL is not Redis", id="web"),
    ],
)
def test_a_redis_of_the_wrong_kind_is_refused(answer: Answer, said: str) -> None:
    with (
        server(answer) as port,
        connect(f"redis://127.0.0.1:{port}/0") as connection,
        pytest.raises(NotPossible, match=said),
    ):
        check_server(connection)


@pytest.mark.parametrize("encrypted", ["disable", "prefer"])
def test_a_server_that_is_not_postgresql_is_refused(encrypted: str) -> None:
    with server(web) as port:
        url = f"postgresql://somebody@127.0.0.1:{port}/tradewire?sslmode={encrypted}"
        with Record(url) as record, pytest.raises(NotPossible, match="at DATABASE_URL is not PostgreSQL"):
            record.run(lambda _: None)


@pytest.mark.parametrize("setting", ["maxmemory", "replica"])
def test_a_redis_that_takes_no_writes_is_away_and_changes_nothing(redis_url: str, setting: str) -> None:
    with connect(redis_url) as connection:
        if setting == "maxmemory":
            with configured(redis_url, maxmemory="1"), pytest.raises(QueueUnavailable, match="maxmemory"):
                check_writes(connection)
        else:
            connection.replicaof("127.0.0.1", "1")
            try:
                with pytest.raises(QueueUnavailable, match="read only replica"):
                    check_writes(connection)
            finally:
                connection.replicaof("NO", "ONE")
        check_writes(connection)

        assert connection.dbsize() == 0


def test_a_standby_and_a_database_without_tables_are_waited_for_and_named_once(
    core: Core, processes: Processes, empty_database_url: str
) -> None:
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        read_only = sql.SQL("ALTER DATABASE {} SET default_transaction_read_only = {}")
        name = sql.Identifier(connection.info.dbname)
        connection.execute(read_only.format(name, sql.SQL("on")))
        more = {"DATABASE_URL": empty_database_url, "TRADEWIRE_SOURCE": "none"}
        standing_by = [processes.start(core, *command, **more) for command in COMMANDS]
        until(lambda: all("accepts no writes" in processes.said(process) for process in standing_by))
        connection.execute("SET default_transaction_read_only = off")
        connection.execute(read_only.format(name, sql.SQL("off")))
    unmigrated = [processes.start(core, *command, **more) for command in COMMANDS]
    until(lambda: all("Run `tradewire migrate`" in processes.said(process) for process in unmigrated))

    migrate(empty_database_url)
    for process in standing_by + unmigrated:
        until(lambda process=process: "record.back" in processes.said(process))  # type: ignore[misc]

    for process in standing_by + unmigrated:
        events = [json.loads(line)["event"] for line in processes.said(process).splitlines()]
        assert (events.count("record.away"), events.count("record.back")) == (1, 1)
        assert process.poll() is None
        assert "Traceback" not in processes.said(process)


def test_the_real_clients_recognise_the_fake_servers() -> None:
    with ExitStack() as stack:
        old = stack.enter_context(server(postgres_of_version("13.14")))
        new = stack.enter_context(server(redis_that_says(redis_version="7.2.0", role="master")))
        with psycopg.connect(f"postgresql://somebody@127.0.0.1:{old}/tradewire") as connection:
            version = connection.info.server_version
        with redis.Redis(port=new) as client:
            facts = client.info()

    assert version == 130014
    assert facts["redis_version"] == "7.2.0"
