"""The API gives positions, trades and profit as the command line does."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from pipeline.store.record import Record
from tests.integration.accounts.fill_rows import FillRows
from tests.unit.accounts.books.fills import fill
from tests.web import BEARER, serving, web_context


@pytest.fixture
def client(record: Record, redis_url: str, database_url: str) -> Iterator[httpx.Client]:
    fills = FillRows(record, database_url, account="PA7")
    fills.add(
        fill(
            0,
            "a x entry buy 5 100",
        ),
        stop_price=90,
    )
    fills.add(fill(1, "b x exit sell 1 103"), fill(2, "c x exit sell 2 99"))
    fills.run(
        "INSERT INTO account_snapshot (executor_id, account_number, taken_at, account, positions)"
        " VALUES ('argo', 'PA7', now(), %s::jsonb, %s::jsonb)",
        '{"number": "PA7", "currency": "USD", "equity": "1", "last_equity": "1", "cash": "1", "buying_power": "1",'
        ' "non_marginable_buying_power": null, "blocked": false, "shorting_enabled": true}',
        '[{"symbol": "AAPL", "quantity": "2", "available": "2", "average_entry_price": "100", "current_price": "110"}]',
    )
    with serving(web_context(record, redis_url)) as client:
        client.headers.update(BEARER)
        yield client


def test_the_books_are_read_over_http(client: httpx.Client) -> None:
    [position] = client.get("/api/v1/positions").json()
    first = client.get("/api/v1/trades", params={"limit": 1}).json()
    second = client.get("/api/v1/trades", params={"limit": 1, "cursor": first["next_cursor"]}).json()
    [by_symbol] = client.get("/api/v1/pnl", params={"by": "symbol"}).json()

    assert (position["quantity"], position["unrealised"], position["market_value"]) == ("2", "20", "220")
    assert position["strategies"] == [{"strategy": "x", "quantity": "2", "average_price": "100"}]
    assert (position["stop_price"], position["target_price"], position["protected"]) == ("90", None, False)
    assert [each["realised"] for each in first["items"] + second["items"]] == ["-2", "3"]
    assert (first["has_more"], second["has_more"], second["next_cursor"]) == (True, False, None)
    assert by_symbol == {
        "key": "AAPL",
        "executor_id": "argo",
        "realised": "1",
        "unrealised": "20",
        "fees": "0",
        "trades": 2,
        "wins": 1,
    }


def test_filters_and_what_is_not_allowed(client: httpx.Client) -> None:
    assert client.get("/api/v1/positions", params={"executor": "prop_firm"}).json() == []
    assert client.get("/api/v1/trades", params={"symbol": "MSFT"}).json()["items"] == []
    assert client.get("/api/v1/pnl", params={"by": "moon"}).status_code == 422
    assert client.get("/api/v1/trades", params={"cursor": "x"}).status_code == 422
    assert client.get("/api/v1/pnl", headers={"Authorization": ""}).status_code == 401


def test_findings_are_read_over_http(client: httpx.Client, record: Record, database_url: str) -> None:
    fills = FillRows(record, database_url, account="PA7")
    insert = (
        "INSERT INTO finding (finding_id, account_number, executor_id, kind, symbol, state, facts, closed_at)"
        " VALUES (gen_random_uuid(), 'PA7', 'argo', 'foreign_position', %s, %s, '{\"broker\": \"3\"}', %s::timestamptz)"
    )
    for symbol, state, closed_at in [("AAPL", "open", None), ("MSFT", "suspected", None), ("IBM", "healed", "now")]:
        fills.run(insert, symbol, state, closed_at)
    fills.run("INSERT INTO reconciliation (account_number, executor_id, read_at) VALUES ('PA7', 'argo', now())")

    body = client.get("/api/v1/findings").json()
    of_firm = client.get("/api/v1/findings", params={"executor": "prop_firm"}).json()

    assert [(each["executor_id"], each["clean"], each["at"] is None) for each in body["executors"]] == [
        ("argo", False, False),
        ("prop_firm", False, True),
    ]
    assert [(each["symbol"], each["state"], each["facts"]) for each in body["findings"]] == [
        ("AAPL", "open", {"broker": "3"}),
        ("MSFT", "suspected", {"broker": "3"}),
        ("IBM", "healed", {"broker": "3"}),
    ]
    assert set(body["findings"][0]) == {"finding_id", "executor_id", "kind", "symbol", "state", "facts", "remedy"}
    assert of_firm["findings"] == []


def test_the_books_of_a_day_are_read_over_http(client: httpx.Client) -> None:
    [today] = client.get("/api/v1/day", params={"executor": "argo"}).json()
    [before] = client.get("/api/v1/day", params={"executor": "argo", "on": "2020-01-02"}).json()

    assert (today["over"], today["unexplained"]) == (False, None)
    assert (before["day"], before["over"], before["signals"]) == ("2020-01-02", True, 0)
    assert client.get("/api/v1/day", params={"on": "2999-01-01"}).status_code == 422
    assert client.get("/api/v1/day", params={"on": "soon"}).status_code == 422
    assert client.get("/api/v1/day", headers={"Authorization": ""}).status_code == 401
