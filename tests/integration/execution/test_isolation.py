"""Limits hold under every default isolation level of the server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from psycopg import conninfo

from pipeline.store.record import Record
from tests.factories import Core
from tests.integration.execution_states import Rows
from tests.integration.limited_stage import changed_toml

DEFAULTS = ["read uncommitted", "read committed", "repeatable read", "serializable"]
SYMBOLS = ["QA", "QB", "QC", "QD", "QE", "QF", "QG", "QH"]


@pytest.fixture(params=DEFAULTS)
def default_isolation(request: pytest.FixtureRequest, rows: Rows, database_url: str) -> Iterator[str]:
    """Set the default isolation level of every new session of the test's database."""
    name = conninfo.conninfo_to_dict(database_url)["dbname"]
    rows(f"ALTER DATABASE \"{name}\" SET default_transaction_isolation = '{request.param}'")
    yield request.param
    rows(f'ALTER DATABASE "{name}" RESET default_transaction_isolation')


@pytest.mark.parametrize(
    ("limits", "sent"),
    [
        ({"open_positions": "2"}, 2),
        ({"pyramiding": '"off"\norders_per_day = 3'}, 3),
        ({"gross_exposure_percent": "5"}, 5),
    ],
    ids=["open_positions", "orders_per_day", "gross_exposure"],
)
def test_each_limit_holds_for_entries_that_are_decided_at_once(
    default_isolation: str, make_core: Callable[..., Core], limits: dict[str, str], sent: int
) -> None:
    core = make_core(changed_toml(**limits))
    core.prices(**dict.fromkeys(SYMBOLS, 100))
    core.runtimes["argo"].snapshots.read()
    entries = [core.send(symbol, quantity=10) for symbol in SYMBOLS]

    with ThreadPoolExecutor(len(entries)) as pool:
        list(pool.map(lambda each: core.recipe(worker=str(each)).run(each), entries))

    assert len(core.orders()) == sent, default_isolation


def test_every_transaction_asks_for_its_isolation_and_no_session_is_set(default_isolation: str, record: Record) -> None:
    assert record.one(str, "SELECT current_setting('transaction_isolation')") == "read committed"
    # The session's own setting is unchanged, because a pooler would share it with other clients.
    assert record.one(str, "SELECT current_setting('default_transaction_isolation')") == default_isolation
