from __future__ import annotations

import json
import threading
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from config.schema.settings import Settings
from pipeline.model.orders import OrderSide
from tests.factories import Core, executor_toml, until
from tests.servers import with_database
from workers.brokers.protocol import Accepted, OrderRequest, Outcome
from workers.flatten.command import FlattenOutcome, flatten_directly
from workers.flatten.journal import finished, pending_journals, read_journal
from workers.flatten.journal_import import import_journals

AWAY = SecretStr("postgresql://nobody@127.0.0.1:1/nothing")


@pytest.fixture
def core(make_core: Callable[..., Core]) -> Core:
    """An account with shares, coins and one open entry."""
    core = make_core(executor_toml(quantity=3))
    for symbol in ("AAPL", "BTC/USD"):
        core.prices(**{symbol: 100})
        execution = core.send(symbol)
        core.run(execution)
        until(lambda execution=execution: core.follower().run_once() or core.state(execution) == "filled")
    core.prices(MSFT=110)
    core.run(core.send("MSFT"))
    return core


def directly(
    core: Core, *, wait_s: float = 30.0, away: bool = True, say: Callable[[str], None] = lambda _: None
) -> FlattenOutcome:
    url = AWAY if away else SecretStr(core.database_url)
    settings = Settings(
        executors=core.executors_path, exchange_url=core.exchange.url, home=core.settings.home, database_url=url
    )
    return flatten_directly(core.executors["argo"], settings, by="ann@desk", why="fire", wait_s=wait_s, say=say)


def journal_of(ended: FlattenOutcome) -> Path:
    assert ended.journal is not None
    return ended.journal


def lines(ended: FlattenOutcome, path: Path | None = None) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (path or journal_of(ended)).read_text().splitlines()]


def closing(core: Core) -> list[dict[str, Any]]:
    return core.rows(
        "SELECT e.*, o.order_id, o.role, o.client_order_id FROM execution e JOIN signal s USING (signal_id) "
        "LEFT JOIN broker_order o USING (execution_id) WHERE s.source = 'tradewire:flatten' ORDER BY e.symbol"
    )


def looked_up(core: Core) -> None:
    until(lambda: core.unknowns.run_once() * 0 or all(row["state"] != "unknown" for row in closing(core)))


def test_without_postgresql_everything_is_canceled_and_closed(core: Core) -> None:
    said: list[str] = []

    ended = directly(core, say=said.append)

    assert (ended.flat, ended.left, ended.recorded) == (True, {}, False)
    broker = core.runtimes["argo"].broker
    assert (list(broker.positions()), list(broker.orders(status="open"))) == ([], [])
    assert sorted(line["request"]["symbol"] for line in lines(ended) if line["event"] == "order") == ["AAPL", "BTC/USD"]
    assert [line["event"] for line in lines(ended)][-1] == "ended"
    assert any("the halt will be recorded later" in line for line in said)
    assert (journal_of(ended).stat().st_mode & 0o777, journal_of(ended).parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_the_journal_is_brought_into_the_record_once(core: Core) -> None:
    ended = directly(core)

    assert import_journals(core.record, core.settings.home, by="keeper") == 1
    assert import_journals(core.record, core.settings.home, by="keeper") == 0

    looked_up(core)
    written = lines(ended, next(journal_of(ended).parent.iterdir()))
    sent = {line["execution_id"] for line in written if line["event"] == "order"}
    rows = closing(core)
    assert {str(row["execution_id"]) for row in rows} == sent
    assert [(row["symbol"], row["state"], row["role"]) for row in rows] == [
        ("AAPL", "filled", "exit"),
        ("BTC/USD", "filled", "exit"),
    ]
    assert all(row["order_id"] and row["client_order_id"] == f"tw-{row['execution_id']}-1" for row in rows)
    requests = {row["request_id"] for row in core.rows("SELECT request_id FROM attempt WHERE fence = 0")}
    assert None not in requests
    assert requests <= {line["request_id"] for line in written if line["event"] == "answer"}
    [switch] = core.rows("SELECT kind, set_by, why, flatten FROM switch")
    assert tuple(switch.values()) == ("halted", "ann@desk", "fire", False)
    assert core.run(core.send("AAPL"))["reason_code"] == "halted"


def test_an_imported_close_of_coins_ends_the_holding_the_fee_included(core: Core) -> None:
    directly(core)
    import_journals(core.record, core.settings.home, by="keeper")
    looked_up(core)

    held = {row["symbol"]: row["quantity"] for row in core.rows("SELECT symbol, quantity FROM holding")}
    assert held == {"AAPL": 0, "BTC/USD": 0}


def test_a_file_that_was_imported_and_not_renamed_changes_nothing(core: Core) -> None:
    directly(core)
    import_journals(core.record, core.settings.home, by="keeper")
    [path] = (core.settings.home / "journal").iterdir()
    path.rename(path.with_suffix(""))
    core.rows("DELETE FROM switch")

    assert import_journals(core.record, core.settings.home, by="another keeper") == 1

    assert len(closing(core)) == 2
    assert core.rows("SELECT * FROM switch") == []


def test_with_postgresql_the_halt_comes_first_and_the_journal_is_in_the_record_at_the_end(core: Core) -> None:
    ended = directly(core, away=False)

    assert (ended.flat, ended.recorded) == (True, True)
    assert pending_journals(core.settings.home) == []
    looked_up(core)
    assert [row["state"] for row in closing(core)] == ["filled", "filled"]
    halted, first = core.rows(
        "SELECT set_at AS at FROM switch UNION ALL (SELECT min(intended_at) FROM broker_order WHERE role = 'exit')"
    )
    assert halted["at"] < first["at"]


def test_a_file_that_is_still_written_is_left_alone(core: Core) -> None:
    core.faults({"on": "submit", "kind": "reject"})
    begun, checked = threading.Event(), threading.Event()

    def say(line: str) -> None:
        # This line is printed once the journal is locked; while this function waits, the journal stays locked.
        if line.startswith("journal:"):
            begun.set()
            checked.wait()

    thread = threading.Thread(target=directly, args=[core], kwargs={"wait_s": 3.0, "say": say})
    thread.start()
    try:
        begun.wait()
        [path] = pending_journals(core.settings.home)
        with finished(path) as ready:
            assert not ready
        assert import_journals(core.record, core.settings.home, by="keeper") == 0
    finally:
        checked.set()

    thread.join()
    assert import_journals(core.record, core.settings.home, by="keeper") == 1
    assert {row["state"] for row in closing(core)} == {"rejected"}


@pytest.mark.parametrize("kind", ["drop_after", "5xx_before", "garbage"])
def test_an_order_without_an_answer_is_looked_up_and_never_doubled(core: Core, kind: str) -> None:
    core.faults({"on": "submit", "kind": kind, "count": 2})

    ended = directly(core)

    assert ended.flat
    sells = [order for order in core.orders() if order["side"] == "sell"]
    assert sorted(order["symbol"] for order in sells) == ["AAPL", "BTC/USD"]
    assert [order["status"] for order in sells] == ["filled", "filled"]


def test_a_position_that_cannot_be_closed_is_reported(core: Core) -> None:
    core.faults({"on": "submit", "kind": "reject", "symbol": "AAPL"})
    said: list[str] = []

    ended = directly(core, wait_s=3.0, say=said.append)

    assert not ended.flat
    assert {symbol: str(held) for symbol, held in (ended.left or {}).items()} == {"AAPL": "3"}
    assert any(line.startswith("AAPL: sell 3: rejected") for line in said)


def test_a_file_cut_off_in_a_line_is_read_up_to_that_line(core: Core) -> None:
    ended = directly(core)
    text = journal_of(ended).read_text().splitlines(keepends=True)
    second = [number for number, line in enumerate(text) if '"order"' in line][1]
    journal_of(ended).write_text("".join(text[:second]) + text[second][:40])

    told = read_journal(journal_of(ended))

    assert len(told.orders) == 1


def test_an_order_whose_answer_was_not_written_is_looked_up(core: Core) -> None:
    ended = directly(core)
    text = journal_of(ended).read_text().splitlines(keepends=True)
    journal_of(ended).write_text("".join(line for line in text if '"answer"' not in line))

    import_journals(core.record, core.settings.home, by="keeper")
    looked_up(core)

    assert [row["state"] for row in closing(core)] == ["filled", "filled"]


def test_an_answer_that_the_broker_has_the_id_forbids_a_new_id_after_the_import(core: Core) -> None:
    taken = "client_order_id must be unique"
    core.faults({"on": "submit", "kind": "reject", "status": 422, "message": taken, "symbol": "AAPL"})
    directly(core, wait_s=3.0)

    import_journals(core.record, core.settings.home, by="keeper")

    answers = core.rows("SELECT outcome FROM attempt JOIN execution USING (execution_id) WHERE symbol = 'AAPL'")
    assert {"outcome": "duplicate"} in answers
    for _ in range(4):
        core.rows("UPDATE execution SET due_at = now() WHERE state = 'unknown'")
        core.unknowns.run_once()
    sends = [core.moves(row["execution_id"]) for row in closing(core) if row["symbol"] == "AAPL"]
    assert sends
    assert not any("held" in moves for moves in sends)


def test_an_imported_order_that_the_broker_does_not_have_is_enqueued_and_stops_no_other(core: Core) -> None:
    core.faults({"on": "submit", "kind": "5xx_before", "symbol": "AAPL"})
    directly(core, wait_s=3.0)
    core.faults()
    import_journals(core.record, core.settings.home, by="keeper")
    [absent] = [row["execution_id"] for row in closing(core) if row["symbol"] == "AAPL" and row["state"] == "unknown"]
    until(lambda: core.unknowns.run_once() * 0 or core.state(absent) == "held")
    core.rows("UPDATE execution SET due_at = now() WHERE state = 'held'")

    assert core.sweep.run_once() == 1

    assert core.execution(absent)["job_id"] in core.queues.queue("argo").job_ids


def test_another_database_name_is_no_reason_to_stop(core: Core) -> None:
    settings = Settings(
        executors=core.executors_path,
        exchange_url=core.exchange.url,
        home=core.settings.home,
        database_url=SecretStr(with_database(core.database_url, "no_such_database")),
    )

    ended = flatten_directly(core.executors["argo"], settings, by="ann", why=None, wait_s=30.0, say=lambda _: None)

    assert ended.flat


def test_an_order_that_comes_after_the_first_cancel_is_canceled_too(core: Core) -> None:
    broker = core.runtimes["argo"].broker
    late = OrderRequest(
        client_order_id="by-hand",
        symbol="MSFT",
        side=OrderSide.BUY,
        quantity=Decimal(1),
        type="limit",
        time_in_force="day",
        limit_price=Decimal(50),
    )
    placed: list[Outcome] = []

    def say(line: str) -> None:
        if line.startswith("canceling every open order"):
            placed.append(broker.submit(late))

    ended = directly(core, say=say)

    assert isinstance(placed[0], Accepted)
    assert ended.flat
    assert [order["status"] for order in core.orders() if order["client_order_id"] == "by-hand"] == ["canceled"]


def test_an_order_without_an_answer_that_works_for_long_keeps_its_id(core: Core) -> None:
    core.faults(
        {"on": "submit", "kind": "drop_after", "count": 2},
        {"on": "submit", "kind": "no_fill", "seconds": 5, "count": 2},
    )

    ended = directly(core)

    assert ended.flat
    sent = {line["execution_id"] for line in lines(ended) if line["event"] == "order"}
    assert len(sent) == 2


def by_hand(core: Core, client_order_id: str, symbol: str, **terms: str | None) -> str:
    """Place an order at the broker without tradewire; return its id."""
    core.prices(**{symbol: 100})
    order = {"symbol": symbol, "qty": "1", "side": "buy", "type": "limit", "time_in_force": "day", "limit_price": "50"}
    answer = httpx.post(
        f"{core.exchange.url}/v2/orders",
        headers={"APCA-API-KEY-ID": "argo", "APCA-API-SECRET-KEY": "paper-exchange"},
        json=order | {"client_order_id": client_order_id} | terms,
        trust_env=False,
    )
    return str(answer.raise_for_status().json()["id"])


def test_an_order_that_cannot_be_read_is_canceled_by_its_id(core: Core) -> None:
    order_id = by_hand(core, "Kauf für Ann", "F")
    # The request that cancels everything fails, so each order is canceled by its id.
    core.faults({"on": "cancel", "kind": "5xx_before", "status": 500, "count": 1})

    ended = directly(core)

    assert ended.flat
    assert {order["id"]: order["status"] for order in core.orders()}[order_id] == "canceled"


def test_cancels_that_fail_stop_no_close(core: Core) -> None:
    by_hand(core, "by-hand", "F")
    core.faults({"on": "cancel", "kind": "5xx_before", "status": 500})
    said: list[str] = []

    ended = directly(core, wait_s=8.0, say=said.append)

    assert (ended.flat, ended.left) == (False, {})
    assert any("could not be canceled" in line for line in said)


@pytest.mark.parametrize("terms", [{"type": "stop", "stop_price": "50"}, {"type": "limit", "limit_price": "200"}])
def test_what_reduces_a_position_stays_while_the_market_is_closed(core: Core, terms: dict[str, str]) -> None:
    reducing = by_hand(core, "by-hand", "AAPL", **{"side": "sell", "limit_price": None, "time_in_force": "gtc"} | terms)
    entry = by_hand(core, "entry", "F", time_in_force="gtc")
    core.exchange.admin("clock", {"mode": "fixed", "now": "2026-11-28T15:00:00Z"})
    said: list[str] = []

    ended = directly(core, wait_s=4.0, say=said.append)

    statuses = {order["id"]: order["status"] for order in core.orders()}
    assert (statuses[reducing], statuses[entry]) == ("new", "canceled")
    # Only the shares are left, because coins trade at any time.
    assert (ended.flat, ended.left) == (False, {"AAPL": 3})
    assert sum("while the market is closed, this order stays" in line for line in said) == 1


def test_a_clock_that_cannot_be_read_keeps_no_position_that_a_stop_protects(core: Core) -> None:
    by_hand(core, "by-hand", "AAPL", side="sell", type="stop", stop_price="50", limit_price=None, time_in_force="gtc")
    core.faults({"on": "clock", "kind": "5xx_before", "status": 500})

    ended = directly(core)

    assert (ended.flat, ended.left) == (True, {})


def test_while_positions_cannot_be_read_only_their_stops_stay(core: Core) -> None:
    stop = by_hand(
        core, "by-hand", "AAPL", side="sell", type="stop", stop_price="50", limit_price=None, time_in_force="gtc"
    )
    entry = by_hand(core, "entry", "F", time_in_force="gtc")
    core.exchange.admin("clock", {"mode": "fixed", "now": "2026-11-28T15:00:00Z"})
    core.faults({"on": "positions", "kind": "5xx_before", "status": 500})

    ended = directly(core, wait_s=3.0)

    assert not ended.flat
    statuses = {order["id"]: order["status"] for order in core.orders()}
    assert (statuses[stop], statuses[entry]) == ("new", "canceled")
