"""On hosted servers, tradewire works as users that have only the rights which the page on deploying names."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator

import psycopg
import pytest
import redis
from psycopg import sql

from pipeline.model.errors import NotPossible
from pipeline.queues.redis_server import check_server, connect
from pipeline.store.migrate import migrate
from tests.core_fixtures import Processes
from tests.factories import Core, json_line, signal, until
from tests.pages import DOCS, blocks

PAGE = DOCS / "deploying.md"


def the_rights() -> str:
    (body,) = blocks(PAGE, "sql")
    return body


def the_acl() -> list[str]:
    (line,) = re.findall(r"^ACL SETUSER tradewire .*$", PAGE.read_text("utf-8"), re.MULTILINE)
    return line.split()


@pytest.fixture
def user(database_url: str) -> Iterator[str]:
    """A user with only the rights that the page names. Users belong to the whole server, so the name is unique."""
    name = f"user_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(the_rights().replace("tradewire_app", name).encode())
        yield name
        connection.execute(sql.SQL("DROP OWNED BY {}; DROP USER {}").format(*[sql.Identifier(name)] * 2))


def test_the_processes_work_as_a_user_who_may_create_nothing(core: Core, processes: Processes, user: str) -> None:
    url = conninfo_url(core.database_url, user)
    lines = [json_line(signal(source_id=f"s-{number}")) for number in range(3)]
    more = {"DATABASE_URL": url, "TRADEWIRE_SOURCE": "file", "TRADEWIRE_SOURCE_FILE": "-"}
    for command in (("work", "argo"), ("keep",)):
        processes.start(core, *command, **more)
    processes.start(core, "produce", stdin="".join(lines), **more)

    until(lambda: core.rows("SELECT count(*) AS n FROM execution WHERE state = 'filled'")[0]["n"] == len(lines))

    assert migrate(url) == []
    assert core.rows("SELECT * FROM dead_letter") == []
    with psycopg.connect(url) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("CREATE TABLE mine (a integer)")


def test_what_is_missing_must_be_migrated_by_the_owner(
    database_url: str, user: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("DELETE FROM migration WHERE version = (SELECT max(version) FROM migration)")

    with pytest.raises(NotPossible, match="as the owner of the tables"):
        migrate(conninfo_url(database_url, user))


def conninfo_url(database_url: str, user: str) -> str:
    """Return *database_url* for another user."""
    return database_url.replace("postgresql://postgres@", f"postgresql://{user}@")


def test_a_user_of_redis_with_the_rights_of_the_page_suffices(core: Core, processes: Processes, redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as admin:
        password = "hosted-password"
        # Other tests have left refusals in the server's log.
        admin.acl_log_reset()
        admin.execute_command(*the_acl()[:3], "on", f">{password}", *the_acl()[5:])
        try:
            url = re.sub(r"://[^@]*@", f"://tradewire:{password}@", redis_url)
            with connect(url) as connection:
                check_server(connection)
            more = {"REDIS_URL": url, "TRADEWIRE_SOURCE": "file", "TRADEWIRE_SOURCE_FILE": "-"}
            started = [processes.start(core, *command, **more) for command in (("work", "argo"), ("keep",))]
            more |= {"TRADEWIRE_API_TOKEN": "of-this-test-alone", "PORT": "0"}
            doctor = processes.start(core, "doctor", "--json", **more)
            started += [processes.start(core, "serve", **more), doctor]
            started += [processes.start(core, module="pipeline.entrypoints.rq_dashboard", **more)]
            lines = [json_line(signal(source_id=f"s-{number}")) for number in range(3)]
            producer = processes.start(core, "produce", stdin="".join(lines), **more)
            until(lambda: core.rows("SELECT count(*) AS n FROM execution WHERE state = 'filled'")[0]["n"] == len(lines))

            until(lambda: "Redis" in processes.said(doctor) or "redis" in processes.said(doctor))
            for process in [*started, producer]:
                assert "NOPERM" not in processes.said(process)
                assert "no permissions" not in processes.said(process)
            # Redis refused nothing that our processes tried.
            assert admin.acl_log() == []
        finally:
            admin.acl_deluser("tradewire")
            admin.acl_log_reset()
