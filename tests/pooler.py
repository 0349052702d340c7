"""Run a real pgbouncer in transaction mode in front of the tests' PostgreSQL."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import conninfo

from pipeline.entrypoints.supervisor.servers.addresses import free_port
from tests.waiting import until

_INI = """
[databases]
* = {server}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {sessions}
max_client_conn = 500
{more}
"""


@contextmanager
def pooled(database_url: str, *, sessions: int = 3, more: str = "") -> Iterator[str]:
    """Yield a URL of *database_url* through a pooler with *sessions* sessions; skip the test if pgbouncer is missing.

    *more* are lines to add to pgbouncer's configuration, which otherwise has only the necessary ones.
    """
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip("there is no pgbouncer: apt-get install pgbouncer")
    address = conninfo.conninfo_to_dict(database_url)
    port = free_port()
    server = f"host={address['host']} user={address['user']}"
    # Run pgbouncer as PostgreSQL's user, who can reach the socket; as root, pgbouncer refuses to run.
    owner = Path(str(address["host"])).stat()
    account: dict[str, Any] = {}
    if os.geteuid() == 0:
        account = {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []}
    with tempfile.TemporaryDirectory(prefix="tradewire-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        ini, log = folder / "pgbouncer.ini", folder / "log"
        ini.write_text(_INI.format(server=server, port=port, sessions=sessions, more=more))
        with log.open("w") as output:
            process = subprocess.Popen([program, str(ini)], stdout=output, stderr=output, **account)
        url = f"postgresql://tradewire@127.0.0.1:{port}/{address['dbname']}"
        try:
            until(lambda: process.poll() is not None or _answers(url), 20)
            assert process.poll() is None, log.read_text()
            yield url
        finally:
            process.terminate()
            process.wait(10)


def _answers(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True
