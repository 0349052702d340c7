"""Fixtures: a real PostgreSQL and a real Valkey for the session, both empty at the start of each test."""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
import redis
from psycopg import sql

from tests.embedded_server import EmbeddedServer
from tests.folders import server_home

_TEMPLATE = "tradewire_template"
#: The number of databases that are prepared for the next tests.
_AHEAD = 2


@pytest.fixture(scope="session")
def servers_home() -> Iterator[Path]:
    """The folder of the session's servers."""
    with server_home() as home:
        yield home


@pytest.fixture(scope="session")
def postgres_server(servers_home: Path) -> Iterator[EmbeddedServer]:
    with EmbeddedServer.postgres(servers_home / "postgres") as server:
        with psycopg.connect(server.url, autocommit=True) as connection:
            # Without fsync, data survive a killed process, but not a crash of the machine, which no test needs.
            connection.execute("ALTER SYSTEM SET fsync = off")
            connection.execute("SELECT pg_reload_conf()")
        yield server


@pytest.fixture(scope="session")
def valkey_server(servers_home: Path) -> Iterator[EmbeddedServer]:
    with EmbeddedServer.valkey(servers_home / "valkey") as server:
        yield server


@pytest.fixture(scope="session")
def postgres_url(postgres_server: EmbeddedServer) -> str:
    """The URL of an empty database of the session's PostgreSQL; no test changes this database."""
    return postgres_server.url


@pytest.fixture(scope="session")
def _migrated_template(postgres_url: str) -> str:
    from pipeline.store.migrate import migrate

    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(_TEMPLATE)))
    migrate(with_database(postgres_url, _TEMPLATE))
    return _TEMPLATE


class Databases:
    """Copies of the migrated template database. A thread creates them ahead of time, and drops the used ones."""

    def __init__(self, url: str, template: str) -> None:
        self._url = url
        self._template = template
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="databases")
        self._next = deque(self._thread.submit(self._create) for _ in range(_AHEAD))

    def take(self) -> str:
        """Return the name of a new database, and let the thread create the next one."""
        self._next.append(self._thread.submit(self._create))
        return self._next.popleft().result()

    def give_back(self, name: str) -> None:
        """Let the thread drop a database and end its connections."""
        self._thread.submit(self._run, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def close(self) -> None:
        """Stop the thread. The remaining databases are removed with the server's folder."""
        self._thread.shutdown(cancel_futures=True)

    def _create(self) -> str:
        name = f"test_{uuid.uuid4().hex[:12]}"
        names = map(sql.Identifier, (name, self._template))
        # Copying the files takes a third of the time of writing each page to the log, as nothing waits for the disk.
        self._run(sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY").format(*names))
        return name

    def _run(self, statement: sql.Composed) -> None:
        with psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute(statement)


@pytest.fixture(scope="session")
def _databases(postgres_url: str, _migrated_template: str) -> Iterator[Databases]:
    with closing(Databases(postgres_url, _migrated_template)) as databases:
        yield databases


@pytest.fixture
def database_url(postgres_url: str, _databases: Databases) -> Iterator[str]:
    """The URL of a database that has every migration and no rows, for this test alone."""
    name = _databases.take()
    yield with_database(postgres_url, name)
    _databases.give_back(name)


@pytest.fixture
def redis_url(valkey_server: EmbeddedServer) -> str:
    """The URL of the session's Valkey, emptied before this test."""
    with redis.Redis.from_url(valkey_server.url) as connection:
        connection.flushall()
    return valkey_server.url


def with_database(url: str, name: str) -> str:
    """Return *url* with *name* as its database."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))
