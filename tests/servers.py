"""Fixtures: one real PostgreSQL and one real Valkey for the session, empty at the start of each test."""

from __future__ import annotations

import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
import redis
from psycopg import sql

from pipeline.entrypoints.supervisor.servers.servers import EmbeddedServer

_TEMPLATE = "tradewire_template"


@pytest.fixture(scope="session")
def servers_home() -> Iterator[Path]:
    """A folder of its own: pytest's temporary folders are closed to the user that PostgreSQL runs as."""
    home = Path(tempfile.mkdtemp(prefix="tradewire-"))
    yield home
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_server(servers_home: Path) -> Iterator[EmbeddedServer]:
    with EmbeddedServer.postgres(servers_home / "postgres") as server:
        yield server


@pytest.fixture(scope="session")
def valkey_server(servers_home: Path) -> Iterator[EmbeddedServer]:
    with EmbeddedServer.valkey(servers_home / "valkey") as server:
        yield server


@pytest.fixture(scope="session")
def postgres_url(postgres_server: EmbeddedServer) -> str:
    """The URL of the session's PostgreSQL; its database is empty and stays so."""
    return postgres_server.url


@pytest.fixture(scope="session")
def _migrated_template(postgres_url: str) -> str:
    from pipeline.store.migrate import migrate

    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(_TEMPLATE)))
    migrate(with_database(postgres_url, _TEMPLATE))
    return _TEMPLATE


@pytest.fixture
def database_url(postgres_url: str, _migrated_template: str) -> Iterator[str]:
    """The URL of a database that has every migration and no rows, for this test alone."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    copy = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(_migrated_template))
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(copy)
        yield with_database(postgres_url, name)
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def redis_url(valkey_server: EmbeddedServer) -> str:
    """The URL of the session's Valkey, emptied before this test."""
    with redis.Redis.from_url(valkey_server.url) as connection:
        connection.flushall()
    return valkey_server.url


def with_database(url: str, name: str) -> str:
    """Return *url* with another database's *name* in it."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))
