"""Exits end earlier entries of their symbol that the broker does not have; without a position, only some exits do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from pipeline.accounts.switches import Switches
from pipeline.model.orders import OrderRequest
from pipeline.model.switches import SwitchKind
from tests.factories import Core, executor_toml
from tests.integration.limited_stage import filled

Make = Callable[..., Core]


def paused(core: Core, symbol: str = "AAPL", action: str = "BUY", **changes: Any) -> UUID:
    """Return an entry that is held because the account is paused."""
    Switches(core.record).turn("argo", SwitchKind.PAUSED, by="test", why="lunch")
    entry = core.send(symbol, action, **changes)
    assert core.run(entry)["reason_code"] == "paused"
    return entry


def absent(core: Core, state: str = "held", code: str | None = "entries_refused") -> UUID:
    """Return an entry whose first send did not reach the broker, and which is due again in a minute."""
    core.faults({"on": "submit", "kind": "drop_before", "count": 1})
    entry = core.send()
    assert core.run(entry)["state"] == "unknown"
    core.rows("ALTER TABLE execution DISABLE TRIGGER USER")
    core.rows(
        "UPDATE execution SET state = %s, reason_code = %s, due_at = now() + interval '1 minute', unknown_since = NULL"
        " WHERE execution_id = %s",
        [state, code, entry],
    )
    core.rows("ALTER TABLE execution ENABLE TRIGGER USER")
    return entry


def ended(core: Core, execution_id: UUID) -> Any:
    row = core.execution(execution_id)
    return row["state"], row["reason_code"]


@pytest.mark.parametrize("allow_short", ["false", "true"])
@pytest.mark.parametrize("intent", ["auto", "close"])
def test_an_exit_does_not_wait_behind_a_paused_entry_of_its_symbol(
    make_core: Make, allow_short: str, intent: str
) -> None:
    core = make_core(executor_toml(order=f"allow_short = {allow_short}"))
    core.prices(AAPL=100)
    filled(core)
    entries = [paused(core), core.send()]

    leave = core.run(core.send("AAPL", "SELL", intent=intent))

    assert leave["order_id"] is not None
    assert [ended(core, entry) for entry in entries] == [("skipped", "superseded")] * 2


def test_an_exit_does_not_wait_behind_an_entry_that_was_sent_and_that_the_broker_does_not_have(core: Core) -> None:
    core.prices(AAPL=100)
    filled(core)
    entry = absent(core)

    leave = core.run(core.send("AAPL", "SELL"))

    assert leave["order_id"] is not None
    assert ended(core, entry) == ("skipped", "superseded")
    (order,) = core.rows("SELECT ended_at, may_exist FROM broker_order WHERE execution_id = %s", [entry])
    assert (order["ended_at"] is not None, order["may_exist"]) == (True, True)


def test_an_order_of_a_superseded_entry_that_turns_up_is_a_late_order(core: Core) -> None:
    core.prices(AAPL=100)
    filled(core)
    entry = absent(core)
    core.run(core.send("AAPL", "SELL"))

    core.faults({"on": "submit", "kind": "no_fill", "seconds": 600})
    core.runtimes["argo"].broker.submit(OrderRequest.from_json(core.execution(entry)["request"]))

    core.follower().run_once()

    assert ended(core, entry) == ("accepted", "late_order")


def test_an_exit_waits_for_an_entry_that_a_person_requeued_until_it_was_looked_up(core: Core) -> None:
    core.prices(AAPL=100)
    filled(core)
    entry = absent(core, "queued", None)

    leave = core.run(core.send("AAPL", "SELL"))

    assert leave["state"] == "queued"
    assert ended(core, entry) == ("queued", None)


def test_a_purchase_that_covers_a_short_position_ends_a_paused_sale(make_core: Make) -> None:
    core = make_core(executor_toml(order="allow_short = true"))
    core.prices(AAPL=100)
    filled(core, action="SELL")
    entry = paused(core, action="SELL")

    cover = core.run(core.send("AAPL", "BUY"))

    assert cover["order_id"] is not None
    assert ended(core, entry) == ("skipped", "superseded")


def test_an_exit_ends_the_entries_behind_one_that_the_broker_works(core: Core) -> None:
    core.prices(AAPL=110)
    working = core.run(core.send())
    assert working["state"] == "accepted"
    entry = paused(core)

    core.run(core.send("AAPL", "SELL"))

    assert ended(core, entry) == ("skipped", "superseded")


@pytest.mark.parametrize("allow_short", ["false", "true"])
@pytest.mark.parametrize("held", [False, True])
def test_an_exit_without_a_position_of_its_strategy_ends_no_entry_of_another(
    make_core: Make, allow_short: str, *, held: bool
) -> None:
    core = make_core(executor_toml(order=f"allow_short = {allow_short}"))
    core.prices(AAPL=100)
    if held:
        filled(core, strategy="trend")
    entry = paused(core, strategy="trend")

    leave = core.run(core.send("AAPL", "SELL", strategy="mean"))

    assert ended(core, entry) == ("held", "paused")
    assert leave["state"] == "queued"


def test_an_exit_of_the_whole_account_ends_the_entries_of_every_strategy(make_core: Make) -> None:
    core = make_core(executor_toml(order='close_scope = "account"'))
    core.prices(AAPL=100)
    filled(core, strategy="trend")
    entry = paused(core, strategy="trend")

    leave = core.run(core.send("AAPL", "SELL", strategy="mean"))

    assert leave["order_id"] is not None
    assert ended(core, entry) == ("skipped", "superseded")


def test_a_position_that_only_the_reading_of_the_account_shows_is_something_to_close(make_core: Make) -> None:
    core = make_core(executor_toml(order='close_scope = "account"'))
    core.prices(AAPL=100)
    filled(core)
    core.rows("UPDATE holding SET quantity = 0, changed_at = changed_at - interval '1 minute'")
    core.runtimes["argo"].snapshots.read()
    entry = paused(core)

    leave = core.run(core.send("AAPL", "SELL"))

    assert leave["order_id"] is not None
    assert ended(core, entry) == ("skipped", "superseded")


def test_a_sale_that_opens_a_position_ends_no_purchase(make_core: Make) -> None:
    core = make_core(executor_toml(order="allow_short = true"))
    core.prices(AAPL=100)
    filled(core)
    entry = paused(core)

    core.run(core.send("AAPL", "SELL", intent="open"))

    assert ended(core, entry) == ("held", "paused")


@pytest.mark.parametrize("action", ["FLAT", "REVERSE"])
@pytest.mark.parametrize("opened_by", ["BUY", "SELL"])
def test_an_exit_of_either_side_does_not_wait_behind_paused_entries(
    make_core: Make, action: str, opened_by: str
) -> None:
    core = make_core(executor_toml(order="allow_short = true"))
    core.prices(AAPL=100)
    filled(core, action=opened_by)
    entry = paused(core, action=opened_by)

    leave = core.run(core.send("AAPL", action))

    assert leave["order_id"] is not None
    assert ended(core, entry) == ("skipped", "superseded")


@pytest.mark.parametrize(("strategy", "expected"), [("trend", "superseded"), ("mean", "paused")])
def test_a_flat_without_a_position_ends_the_entries_that_it_would_close(
    core: Core, strategy: str, expected: str
) -> None:
    entry = paused(core, strategy="trend")

    core.run(core.send("AAPL", "FLAT", strategy=strategy))

    assert core.execution(entry)["reason_code"] == expected


@pytest.mark.parametrize(
    ("action", "changes", "state"),
    [
        ("SELL", {"quantity": 1}, "queued"),
        ("FLAT", {"strategy": "trend"}, "skipped"),
        ("FLAT", {"strategy": "mean"}, "queued"),
    ],
)
def test_only_a_flat_that_closes_the_same_ends_a_reverse(
    core: Core, action: str, changes: dict[str, Any], state: str
) -> None:
    """A REVERSE closes a position too, so only a FLAT that closes the same holding ends it."""
    filled(core, quantity=3, strategy="trend")
    filled(core, quantity=3, strategy="mean")
    turned = core.send("AAPL", "REVERSE", strategy="trend")

    core.run(core.send("AAPL", action, **{"strategy": "trend"} | changes))

    assert core.state(turned) == state


@pytest.mark.parametrize("scope", ["strategy", "account"])
def test_a_close_without_a_position_ends_the_waiting_entry_of_its_own_strategy_alone(
    make_core: Make, scope: str
) -> None:
    core = make_core(executor_toml(order=f'close_scope = "{scope}"'))
    core.prices(AAPL=100)
    first, other, behind = paused(core, strategy="mean"), core.send(strategy="trend"), core.send(strategy="mean")
    assert [core.run(each)["state"] for each in (other, behind)] == ["queued", "queued"]

    core.run(core.send("AAPL", "SELL", strategy="mean"))

    assert [ended(core, own) for own in (first, behind)] == [("skipped", "superseded")] * 2
    assert ended(core, other) == ("queued", None)


@pytest.mark.parametrize(
    ("allow_short", "changes"),
    [
        ("true", {}),
        ("false", {"quantity": 1}),
        ("false", {"notional": 100}),
        ("false", {"equity_percent": 1}),
        ("false", {"intent": "close", "close_percent": 50}),
    ],
)
def test_a_sale_that_may_open_a_position_or_closes_a_part_ends_no_waiting_entry(
    make_core: Make, allow_short: str, changes: dict[str, Any]
) -> None:
    core = make_core(executor_toml(order=f"allow_short = {allow_short}"))
    core.prices(AAPL=100)
    own = paused(core)

    core.run(core.send("AAPL", "SELL", **changes))

    assert ended(core, own) == ("held", "paused")
