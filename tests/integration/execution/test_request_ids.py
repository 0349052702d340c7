"""The record stores the broker's id of each answered request; the page, the commands and the API show it."""

from __future__ import annotations

import json
import re

import pytest

from pipeline.views.history import signal_history
from tests.core_fixtures import Processes
from tests.factories import Core
from tests.integration.limited_stage import filled

ID = re.compile(r"[0-9a-f]{32}")


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        (None, "accepted"),
        ({"kind": "reject", "message": "insufficient buying power"}, "rejected"),
        ({"kind": "5xx_after"}, "unknown"),
        ({"kind": "429"}, "notsent"),
        ({"kind": "reject", "status": 422, "message": "client_order_id must be unique"}, "duplicate"),
    ],
)
def test_each_attempt_that_was_answered_has_the_id_of_the_request(
    core: Core, fault: dict[str, object] | None, outcome: str
) -> None:
    if fault is not None:
        core.faults({"on": "submit", "count": 1, **fault})
    execution_id = core.send()

    core.run(execution_id)

    [attempt] = core.rows("SELECT * FROM attempt WHERE execution_id = %s", [execution_id])
    assert attempt["outcome"] == outcome
    assert ID.fullmatch(attempt["request_id"])
    [shown] = signal_history(core.record, execution_id).executions[0].attempts_made
    assert shown.request_id == attempt["request_id"]


def test_an_attempt_without_an_answer_has_no_id(core: Core) -> None:
    core.faults({"on": "submit", "kind": "drop_after", "count": 1})
    execution_id = core.send()

    core.run(execution_id)

    assert [row["request_id"] for row in core.rows("SELECT request_id FROM attempt")] == [None]


def test_the_change_after_a_look_up_has_the_id_of_the_look_up(core: Core) -> None:
    core.faults({"on": "submit", "kind": "drop_after", "count": 1})
    found = core.send()
    core.run(found)
    core.due_now(found)

    core.unknowns.run_once()

    last = signal_history(core.record, found).executions[0].moves[-1]
    assert last.to_state in ("accepted", "filled")
    assert ID.fullmatch(str(last.request_id))


def test_the_reason_after_a_look_up_names_the_id_of_the_look_up(core: Core) -> None:
    core.faults({"on": "submit", "kind": "drop_before", "count": 1})
    absent = core.send()
    core.run(absent)
    core.rows("UPDATE broker_order SET last_sent_at = last_sent_at - interval '5 seconds'")

    for _ in range(2):
        core.due_now(absent)
        core.unknowns.run_once()

    held = core.execution(absent)
    assert (held["state"], held["reason_code"]) == ("held", "send_again")
    assert ID.fullmatch(held["reason_facts"]["request_id"])


def test_an_exit_that_waits_for_a_cancel_names_the_id_of_the_cancel(core: Core) -> None:
    filled(core)
    core.prices(AAPL=200)
    core.run(core.send("AAPL"))
    waits = core.run(core.send("AAPL", action="SELL"))

    assert (waits["state"], waits["reason_code"]) == ("held", "order_under_way")
    assert ID.fullmatch(waits["reason_facts"]["request_id"])
    assert signal_history(core.record, waits["execution_id"]).executions[0].moves[-1].request_id


def test_why_shows_the_ids_to_people_and_programs(core: Core, processes: Processes) -> None:
    core.faults({"on": "submit", "kind": "5xx_after", "count": 1})
    execution_id = core.send()
    core.run(execution_id)
    core.due_now(execution_id)
    core.unknowns.run_once()
    sent = core.rows("SELECT request_id FROM attempt")[0]["request_id"]
    found = signal_history(core.record, execution_id).executions[0].moves[-1].request_id

    text = why(core, processes, str(execution_id))
    [body] = json.loads(why(core, processes, str(execution_id), "--json"))["executions"][:1]

    assert f"ms request_id={sent} HTTP 504" in text
    assert f"request_id={found}" in text
    assert [attempt["request_id"] for attempt in body["attempts_made"]] == [sent]
    assert body["moves"][-1]["request_id"] == found


def why(core: Core, processes: Processes, *arguments: str) -> str:
    process = processes.start(core, "why", *arguments)
    assert process.wait(60) == 0
    return processes.said(process)
