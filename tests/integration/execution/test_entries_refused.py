"""A refusal of orders stops only the entries of an account. A refusal of reads also stops its exits."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from tests.factories import Core, until
from tests.integration.limited_stage import filled, follow_to
from workers.rules.retry_policy import LONGEST_REFUSED_EXIT

REFUSALS: dict[str, dict[str, Any]] = {
    "liquidation only": {"kind": "reject", "message": "account is restricted to liquidation only"},
    "closing only": {"kind": "reject", "message": "Account is restricted to closing transactions."},
    "suspended by its owner": {"kind": "reject", "message": "new orders are rejected by user request"},
    "not authorized": {"kind": "forbidden_account"},
    "keys": {"kind": "unauthorized"},
}


@pytest.fixture
def held(core: Core) -> Core:
    """A core whose account holds AAPL."""
    filled(core)
    return core


def refuse(core: Core, symbol: str, refusal: str = "liquidation only") -> None:
    """Let the broker refuse the orders of a symbol with a message about the account. Reads are answered."""
    core.faults({"on": "submit", "symbol": symbol, **REFUSALS[refusal]})


def run(core: Core, execution_id: UUID) -> Any:
    row = core.run(execution_id)
    return row["state"], row["reason_code"]


def make_probe_due(core: Core) -> None:
    core.rows("UPDATE entries_refusal SET probe_at = clock_timestamp()")


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_refusal_of_an_entry_stops_entries_and_nothing_else(held: Core, refusal: str) -> None:
    refuse(held, "MSFT", refusal)

    assert run(held, held.send("MSFT")) == ("held", "entries_refused")

    assert held.rows("SELECT * FROM account_refusal") == []
    # The next entry is not sent.
    assert run(held, held.send("IBM")) == ("held", "entries_refused")
    assert [order["symbol"] for order in held.orders()] == ["AAPL"]
    leave = held.send("AAPL", "SELL")
    assert held.run(leave)["order_id"] is not None
    follow_to(held, leave, "filled")


def test_one_entry_a_minute_shows_whether_entries_are_accepted_again(held: Core) -> None:
    refuse(held, "MSFT")
    waiting = held.send("MSFT")
    run(held, waiting)
    make_probe_due(held)
    held.due_now(waiting)
    assert run(held, waiting) == ("held", "entries_refused")
    # That entry was the only probe of this minute.
    assert run(held, held.send("IBM")) == ("held", "entries_refused")
    assert len(held.rows("SELECT * FROM attempt WHERE execution_id = %s", [waiting])) == 2

    held.faults()
    make_probe_due(held)

    assert held.run(held.send("QA"))["order_id"] is not None
    assert held.rows("SELECT * FROM entries_refusal") == []
    # The entries that waited are due at once.
    assert held.run(waiting)["order_id"] is not None


def test_the_entry_that_is_sent_as_a_probe_holds_the_others_until_its_answer(held: Core) -> None:
    refuse(held, "MSFT")
    run(held, held.send("MSFT"))
    make_probe_due(held)
    held.faults({"on": "submit", "kind": "drop_before", "symbol": "QA"})
    assert held.run(held.send("QA"))["state"] == "unknown"

    assert run(held, held.send("IBM")) == ("held", "entries_refused")


@pytest.mark.parametrize("refusal", REFUSALS)
def test_an_exit_that_is_refused_is_tried_again_soon_and_stops_nothing(held: Core, refusal: str) -> None:
    refuse(held, "AAPL", refusal)
    leave = held.send("AAPL", "SELL")
    held.rows("UPDATE execution SET created_at = created_at - interval '1 hour' WHERE execution_id = %s", [leave])

    assert run(held, leave) == ("held", "broker_refuses_account")

    (due,) = held.rows("SELECT due_at - clock_timestamp() AS wait FROM execution WHERE execution_id = %s", [leave])
    assert due["wait"] <= LONGEST_REFUSED_EXIT
    assert held.rows("SELECT * FROM account_refusal UNION ALL SELECT * FROM entries_refusal") == []
    assert held.run(held.send("MSFT"))["order_id"] is not None
    held.faults()
    held.due_now(leave)
    assert held.run(leave)["order_id"] is not None


def test_a_refusal_of_reads_stops_the_account(held: Core) -> None:
    held.faults({"on": "positions", "kind": "unauthorized"})

    assert run(held, held.send("AAPL", "SELL")) == ("held", "broker_refuses_account")

    assert len(held.rows("SELECT * FROM account_refusal")) == 1


def test_the_entry_that_is_sent_again_as_a_probe_holds_the_others_until_its_answer(held: Core) -> None:
    refuse(held, "MSFT")
    run(held, held.send("MSFT"))
    make_probe_due(held)
    held.faults({"on": "submit", "kind": "drop_before", "symbol": "QA"})
    probe = held.send("QA")
    assert held.run(probe)["state"] == "unknown"
    held.rows("UPDATE broker_order SET last_sent_at = now() - interval '1 minute' WHERE symbol = 'QA'")
    until(lambda: held.due_now(probe) or held.unknowns.run_once() or held.state(probe) == "held")
    make_probe_due(held)
    held.due_now(probe)

    assert held.run(probe)["state"] == "unknown"

    assert run(held, held.send("IBM")) == ("held", "entries_refused")
