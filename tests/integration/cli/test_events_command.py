"""`tradewire events` lists events from an id, and `replay` sends them again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.core_fixtures import Processes
from tests.event_receiver import EventReceiver, event_receiver
from tests.factories import Core, until
from tests.integration.keeper.reconciling import reconcile, trade_by_hand
from tests.integration.limited_stage import filled


def run(core: Core, processes: Processes, *arguments: str, code: int = 0, **environment: str) -> str:
    process = processes.start(core, "events", *arguments, **environment)
    assert process.wait(30) == code, processes.said(process)
    return processes.said(process)


def listed(core: Core, processes: Processes, *arguments: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run(core, processes, "--json", *arguments))
    return found


def test_events_are_listed_from_an_id_on_and_for_people(core: Core, processes: Processes) -> None:
    assert listed(core, processes) == []
    filled(core)
    trade_by_hand(core, 5)
    reconcile(core, times=2)

    every = listed(core, processes)
    ids = [event["event_id"] for event in every]

    assert ids == list(range(1, len(every) + 1))
    assert listed(core, processes, "--since", "1") == every[1:]
    assert listed(core, processes, "--limit", "1") == every[-1:]
    said = run(core, processes)
    assert "BUY accepted" in said
    assert "BUY filled, 1 filled" in said
    assert "position_quantity open: broker=6 record=1 difference=5" in said


@pytest.mark.parametrize("arguments", [["--since", "7"], ["--since", "-1"], ["--since", "2h"], ["replay"]])
def test_what_is_no_event_is_refused(core: Core, processes: Processes, arguments: list[str]) -> None:
    assert "--since" in run(core, processes, *arguments, code=2)


def test_a_replay_needs_a_receiver_and_an_event(core: Core, processes: Processes, tmp_path: Path) -> None:
    assert "no receiver is set up" in run(
        core, processes, "replay", "--since", "0", code=2, TRADEWIRE_ALERTS=nothing(tmp_path)
    )
    with event_receiver() as receiver:
        environment = receiver.environment(tmp_path)
        assert "there is no event 5" in run(core, processes, "replay", "--since", "5", code=2, **environment)


def nothing(folder: Path) -> str:
    """Write an alerts.toml without a receiver, and return its path."""
    (folder / "alerts.toml").write_text("")
    return str(folder / "alerts.toml")


def test_a_replay_lets_the_keeper_send_everything_again(core: Core, processes: Processes, tmp_path: Path) -> None:
    with event_receiver() as receiver:
        environment = receiver.environment(tmp_path)
        processes.start(core, "keep", **environment)
        until(lambda: core.rows("SELECT 1 AS yes FROM event_feed WHERE delivered IS NOT NULL"))
        execution_id = core.send()
        core.run(execution_id)
        # The fill is confirmed by the list of activities, so no further event follows.
        until(lambda: core.rows("SELECT 1 AS yes FROM fill WHERE source = 'activity'"), within_s=30)
        until(lambda: core.state(execution_id) == "filled" and behind(core, receiver) == 0)
        once = list(receiver.ids)

        run(core, processes, "replay", "--since", "0", **environment)

        until(lambda: len(receiver.ids) >= 2 * len(once))
        assert receiver.ids[len(once) : 2 * len(once)] == once == list(range(1, len(once) + 1))


def behind(core: Core, receiver: EventReceiver) -> int:
    """Return how many events the receiver has not got."""
    return core.rows("SELECT count(*) AS n FROM event")[0]["n"] - len(set(receiver.ids))
