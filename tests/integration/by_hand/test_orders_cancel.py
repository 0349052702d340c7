"""`tradewire orders cancel`: recorded first, sent by the keeper until the end, with the person in the history."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest

from pipeline.accounts.account_key import account_key_of
from pipeline.accounts.switches import turn_on
from pipeline.model.switches import SwitchKind
from pipeline.views.history import signal_history
from tests.core_fixtures import Processes
from tests.factories import Core, until
from tests.integration.by_hand.commands import at_exchange, closed, follow_ups, followed, held, keep, orders, worked
from tests.integration.execution_states import ExecutionStates
from tests.integration.keeper.protecting import keeper as protection_keeper
from tests.integration.keeper.protecting import protected, protections
from tests.integration.limited_stage import filled


def resting(core: Core, symbol: str = "AAPL", **changes: Any) -> UUID:
    """Send an entry that the broker accepts and does not fill."""
    execution = core.send(symbol, entry_price=90, **changes)
    assert core.run(execution)["state"] == "accepted"
    return execution


def asked(core: Core) -> int:
    """Return how many orders are marked as asked to be canceled."""
    return len(core.rows("SELECT 1 FROM broker_order WHERE cancel_asked_at IS NOT NULL"))


def later(core: Core) -> None:
    """Move the time of the last request back, so that it may be repeated."""
    core.rows("UPDATE broker_order SET cancel_asked_at = cancel_asked_at - interval '3 seconds'")


def last_move(core: Core, execution: UUID) -> dict[str, Any]:
    return core.rows("SELECT * FROM history WHERE execution_id = %s ORDER BY history_id DESC LIMIT 1", [execution])[0]


def test_a_working_entry_is_canceled_and_the_history_says_by_whom_and_why(core: Core) -> None:
    entry = resting(core)

    said = orders("cancel", str(entry), "--by", "ann", "--why", "wrong ticker", "--wait", "0")
    assert asked(core) == 0
    keep(core)
    row = followed(core, entry, "canceled")

    assert "buy 1 AAPL at argo" in said.text
    assert (row["reason_code"], row["reason_facts"]) == (
        "canceled_by_person",
        {"order_status": "canceled", "by": "ann"},
    )
    assert last_move(core, entry)["moved_why"] == "wrong ticker"
    assert [order["status"] for order in core.orders()] == ["canceled"]
    assert orders("list", "--json").json == []
    [order] = signal_history(core.record, entry).executions[0].orders
    assert (order.cancel_requested_by, order.cancel_requested_why) == ("ann", "wrong ticker")


@pytest.mark.parametrize("name", ["order_id", "client_order_id", "execution_id"])
def test_an_order_is_named_by_each_of_its_ids(core: Core, name: str) -> None:
    entry = resting(core)

    said = orders("cancel", str(core.execution(entry)[name]), "--wait", "0", "--json")

    assert said.json["execution_id"] == str(entry)
    assert (said.json["ended"], said.json["status"], said.json["why"]) == (False, "accepted", None)


def test_with_a_keeper_it_waits_for_the_end(core: Core, processes: Processes) -> None:
    entry = resting(core)
    keeper = processes.start(core, "keep")
    until(lambda: "keeper.leads" in processes.said(keeper))
    until(lambda: core.rows("SELECT 1 FROM heartbeat WHERE kind = 'keeper'"))

    said = orders("cancel", str(entry), "--wait", "60")

    assert (said.code, said.text.splitlines()[-1].split(":")[0]) == (0, "canceled")
    assert core.execution(entry)["reason_code"] == "canceled_by_person"


def test_without_a_keeper_it_says_so_and_the_next_keeper_sends_it(core: Core) -> None:
    entry = resting(core)

    said = orders("cancel", str(entry))

    assert said.code == 1
    assert "no keeper runs: the request is recorded, and the next keeper sends it" in said.text
    keep(core)
    followed(core, entry, "canceled")


def test_a_second_request_changes_nothing_and_one_after_the_end_is_refused(core: Core) -> None:
    entry = resting(core)

    first = orders("cancel", str(entry), "--by", "ann", "--why", "one", "--wait", "0", "--json").json
    second = orders("cancel", str(entry), "--by", "bob", "--why", "two", "--wait", "0", "--json").json
    keep(core)
    followed(core, entry, "canceled")
    after = orders("cancel", str(entry), "--by", "bob")

    assert second == first
    assert (second["requested_by"], second["why"]) == ("ann", "one")
    assert after.code == 1
    assert "has ended already: canceled, 0 of 1 filled" in after.text
    assert core.execution(entry)["reason_facts"]["by"] == "ann"


def test_a_filled_order_is_not_canceled_and_it_says_that_it_was_filled(core: Core) -> None:
    entry = filled(core)

    said = orders("cancel", str(entry))

    assert said.code == 1
    assert "has ended already: filled, 1 of 1 filled at 100" in said.text
    assert core.rows("SELECT 1 FROM broker_order WHERE cancel_requested_at IS NOT NULL") == []


def test_a_fill_that_is_faster_than_the_cancel_is_told_as_a_fill(core: Core) -> None:
    entry = resting(core)
    orders("cancel", str(entry), "--by", "ann", "--wait", "0")
    core.prices(AAPL=80)
    core.filled_at_exchange()

    keep(core)
    row = followed(core, entry, "filled")

    assert row["reason_code"] is None
    [order] = signal_history(core.record, entry).executions[0].orders
    assert order.cancel_requested_by == "ann"
    assert orders("cancel", str(entry)).code == 1


def test_a_part_that_filled_stays(core: Core) -> None:
    core.faults({"on": "submit", "kind": "partial_fill", "seconds": 3600})
    entry = core.send("AAPL", quantity=10)
    core.run(entry)
    followed(core, entry, "partially_filled")

    orders("cancel", str(entry), "--wait", "0")
    keep(core)
    row = followed(core, entry, "canceled")

    assert (row["reason_code"], row["filled_quantity"], held(core)) == ("canceled_by_person", 5, 5)


@pytest.mark.parametrize("kind", ["5xx_before", "5xx_after", "drop_before", "drop_after"])
def test_a_request_without_an_answer_is_sent_again(core: Core, kind: str) -> None:
    entry = resting(core)
    orders("cancel", str(entry), "--wait", "0")
    core.faults({"on": "cancel", "kind": kind, "count": 1})

    keep(core)
    later(core)
    keep(core)

    assert followed(core, entry, "canceled")["reason_code"] == "canceled_by_person"


def test_a_cancel_that_was_asked_for_before_keeps_its_reason(core: Core) -> None:
    entry = resting(core)
    core.rows("UPDATE broker_order SET cancel_asked_at = clock_timestamp(), canceled_for = 'entry_timeout'")

    orders("cancel", str(entry), "--wait", "0")
    later(core)
    keep(core)

    assert followed(core, entry, "canceled")["reason_code"] == "entry_timeout"


def test_an_exit_needs_a_reason_and_is_not_repeated(core: Core) -> None:
    filled(core, quantity=3)
    core.faults({"on": "submit", "kind": "no_fill", "seconds": 600, "count": 1})
    sale = core.send("AAPL", "SELL")
    assert core.run(sale)["state"] == "accepted"

    without = orders("cancel", str(sale), "--wait", "0")
    orders("cancel", str(sale), "--why", "keep it", "--wait", "0")
    keep(core)
    followed(core, sale, "canceled")
    follow_ups(core)

    assert without.code == 2
    assert "--why: is missing" in without.text
    assert "the position stays open" in without.text
    assert core.rows("SELECT source FROM signal WHERE source LIKE 'tradewire:%%'") == []
    assert core.rows("SELECT 1 FROM broker_order WHERE follow_up AND ended_at IS NOT NULL") == []
    assert held(core) == 3


def test_a_stop_order_needs_a_reason_and_stays_away(core: Core) -> None:
    stop = protected(core, quantity=3)

    without = orders("cancel", str(stop["id"]), "--wait", "0")
    said = orders("cancel", str(stop["id"]), "--why", "I watch it", "--wait", "0")
    keep(core)
    followed(core, protections(core)[0]["execution_id"], "canceled")

    assert without.code == 2
    assert "without it the position has no stop" in without.text
    assert "cancel requested" in said.text
    assert protection_keeper(core).run_once() == 0
    assert held(core) == 3


def test_an_exit_that_ends_by_itself_after_the_request_is_not_repeated_either(core: Core) -> None:
    filled(core, quantity=3)
    core.faults({"on": "submit", "kind": "no_fill", "seconds": 600, "count": 1})
    sale = core.send("AAPL", "SELL")
    core.run(sale)
    orders("cancel", str(sale), "--why", "keep it", "--wait", "0")
    core.runtimes["argo"].broker.cancel(str(core.execution(sale)["order_id"]))

    followed(core, sale, "canceled")
    follow_ups(core)

    assert core.rows("SELECT source FROM signal WHERE source LIKE 'tradewire:%%'") == []


def test_the_exit_of_a_flatten_is_not_canceled_while_the_flatten_would_repeat_it(core: Core) -> None:
    filled(core, quantity=3)
    core.faults({"on": "submit", "kind": "no_fill", "seconds": 600, "count": 1})
    core.record.run(
        lambda unit: turn_on(
            unit, account_key=account_key_of(unit, "argo"), kind=SwitchKind.HALTED, cause="person", facts={},
            flatten=True, by="ann",
        )
    )  # fmt: skip
    keep(core)
    [exit_] = core.rows(
        "SELECT execution_id FROM execution JOIN signal USING (signal_id) WHERE source LIKE '%%flatten'"
    )
    assert core.run(exit_["execution_id"])["state"] == "accepted"

    said = orders("cancel", str(exit_["execution_id"]), "--why", "no")

    assert said.code == 1
    assert "`tradewire resume argo` ends the flatten" in said.text
    assert core.rows("SELECT 1 FROM broker_order WHERE cancel_requested_at IS NOT NULL") == []


def test_ids_that_name_no_open_order(core: Core) -> None:
    states = ExecutionStates(core.intake, core.rows)
    waiting, dead = states.reached("held", "market_closed"), states.reached("dead", "attempts_used_up")
    looked_up = states.reached("unknown", "no_answer", order_id=None)
    skipped = states.reached("skipped", "too_old")

    for text in ("nonsense", "", str(uuid4()), f"tw-{uuid4()}-1", "a\x00b"):
        said = orders("cancel", text)
        assert (said.code, "there is no order and no execution" in said.text) == (2, True), text
    hints = {
        waiting: f"`tradewire end {waiting} --why TEXT` ends it",
        dead: f"`tradewire dead show {dead}`",
        looked_up: "shows its order",
        skipped: "has ended already: skipped",
    }
    for execution, hint in hints.items():
        said = orders("cancel", str(execution))
        assert (said.code, hint in said.text) == (1, True), said.text


def test_an_id_that_several_accounts_have_is_refused_with_their_names(core: Core) -> None:
    states = ExecutionStates(core.intake, core.rows)
    for _ in range(2):
        states.reached("accepted", order_id="1001")

    said = orders("cancel", "1001")

    assert said.code == 2
    assert "'1001' names several orders: name one by its client_order_id" in said.text
    assert at_exchange(core) == []


def test_the_limit_close_of_a_person_is_canceled_like_any_exit(core: Core) -> None:
    filled(core, quantity=3)
    close = closed(core, "--limit", "120")
    worked(core, close, "accepted")

    orders("cancel", str(close), "--why", "not today", "--wait", "0")
    keep(core)
    followed(core, close, "canceled")
    follow_ups(core)

    assert (held(core), len(core.orders())) == (3, 2)
