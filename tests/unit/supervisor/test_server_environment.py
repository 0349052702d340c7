"""The programs of others that tradewire starts get no key of a broker, no token and no setting."""

from __future__ import annotations

import pytest

from pipeline.entrypoints.supervisor import backups
from pipeline.entrypoints.supervisor.servers.server_spec import child_options

SECRETS = [
    "ARGO_API_KEY",
    "ARGO_API_SECRET",
    "DATABASE_URL",
    "REDIS_URL",
    "TRADEWIRE_API_TOKEN",
    "AWS_SECRET_ACCESS_KEY",
]


@pytest.fixture(autouse=True)
def _secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SECRETS:
        monkeypatch.setenv(name, "hunter2")
    monkeypatch.setenv("PGSSLROOTCERT", "/etc/ca.pem")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")


def test_an_embedded_server_gets_no_key() -> None:
    environment = child_options(None)["env"]

    assert "hunter2" not in environment.values()
    assert environment["LC_ALL"] == "C.UTF-8"
    assert "PATH" in environment


def test_pg_dump_gets_the_users_settings_for_postgresql_and_no_key() -> None:
    environment = backups._environment("postgresql://h/tradewire")

    assert "hunter2" not in environment.values()
    assert (environment["PGSSLROOTCERT"], environment["PGDATABASE"]) == ("/etc/ca.pem", "tradewire")
