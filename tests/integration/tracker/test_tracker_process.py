"""The tracker as a process: one leads, it reports itself, and it ends when it is asked to."""

from __future__ import annotations

import signal

from tests.core_fixtures import Processes
from tests.factories import Core, until
from tests.integration.tracker.stages import stream_row


def test_one_of_two_trackers_leads_and_the_streams_are_off_when_it_ends(core: Core, processes: Processes) -> None:
    trackers = [processes.start(core, "track") for _ in range(2)]
    until(lambda: stream_row(core)["state"] == "listening")
    facts = until(lambda: [row for row in beats(core) if row["open"] == 1] if len(beats(core)) == 2 else None)
    assert [row["leads"] for row in facts] == [True]

    for tracker in trackers:
        tracker.send_signal(signal.SIGTERM)

    assert [tracker.wait(10) for tracker in trackers] == [0, 0]
    assert stream_row(core)["state"] == "off"
    assert beats(core) == []
    assert stream_row(core)["problem"] is None


def test_a_tracker_that_lost_the_lead_ends_without_a_word_about_the_streams(core: Core, processes: Processes) -> None:
    tracker = processes.start(core, "track")
    until(lambda: stream_row(core)["state"] == "listening")
    # Another tracker leads now, and has the streams open.
    core.rows(
        "UPDATE leadership SET holder = gen_random_uuid(), lease_until = clock_timestamp() + interval '1 minute' "
        "WHERE role = 'tracker'"
    )

    tracker.send_signal(signal.SIGTERM)

    assert tracker.wait(10) == 0
    assert stream_row(core)["state"] == "listening"


def beats(core: Core) -> list[dict[str, object]]:
    """Return the facts that the trackers report about themselves."""
    return [row["facts"] for row in core.rows("SELECT facts FROM heartbeat WHERE kind = 'tracker' AND healthy")]
