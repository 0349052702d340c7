"""While PostgreSQL is away, the web process reports it through the channels; later the record has the alert."""

from __future__ import annotations

from config.alerts import Alerts
from pipeline.entrypoints.web.api.keeper_watch import KeeperWatch
from pipeline.monitoring.alerts.record_watch import HOLDS_S, RecordWatch
from pipeline.store.record import Record
from tests.core_fixtures import Processes
from tests.factories import Core, until
from tests.integration.monitoring.receivers import alerts_at, receiving
from tests.integration.monitoring.test_alerts_process import set_up

AWAY = "postgresql://127.0.0.1:1/nowhere"


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_the_web_process_sends_the_message_itself(core: Core, processes: Processes) -> None:
    with receiving() as (receiver,):
        environment = set_up(processes.folder, ALERTS_MAIN=receiver) | {"DATABASE_URL": AWAY}
        web = processes.start(core, "serve", TRADEWIRE_API_TOKEN="open-sesame-open-sesame", PORT="0", **environment)

        until(lambda: receiver.messages, within_s=60)

        assert "PostgreSQL is away" in receiver.bodies[0]
        assert "s3cr3t" not in processes.said(web)


def watch(alerts: Alerts, clock: Clock) -> RecordWatch:
    return RecordWatch(alerts, clock=clock)


def test_a_short_absence_is_no_alert_and_a_long_one_is_told_once_by_the_first_channel_that_accepts() -> None:
    with receiving(2) as (first, second):
        first.down, clock = True, Clock()
        watched = watch(alerts_at({"ALERTS_A": first.url, "ALERTS_B": second.url}), clock)
        watched.note_away("refused")
        clock.now += HOLDS_S / 2
        watched.note_away("refused")
        assert (first.refused, second.messages) == (0, [])

        for _ in range(3):
            clock.now += HOLDS_S
            watched.note_away("refused")

        assert (first.refused, len(second.messages)) == (1, 1)


def test_a_message_that_no_channel_accepts_is_tried_again() -> None:
    with receiving() as (receiver,):
        receiver.down, clock = True, Clock()
        watched = watch(alerts_at({"ALERTS_A": receiver.url}), clock)
        for _ in range(4):
            watched.note_away("refused")
            clock.now += HOLDS_S
        receiver.down = False

        clock.now += 60
        watched.note_away("refused")

        assert (receiver.refused, len(receiver.messages)) == (1, 1)


def test_the_absence_is_an_alert_of_the_record_when_it_is_over(record: Record, database_url: str) -> None:
    def alerts() -> list[str]:
        return record.all(str, "SELECT subject FROM alert WHERE kind = 'record_away'")

    clock = Clock()
    watched = watch(alerts_at({}), clock)
    keeper_watch = KeeperWatch(database_url, alerts_at({}), record_watch=watched)
    try:
        watched.note_away("refused")
        clock.now += 1
        keeper_watch.run_once()
        assert alerts() == []

        watched.note_away("refused")
        clock.now += HOLDS_S + 2
        keeper_watch.run_once()
        keeper_watch.run_once()
    finally:
        keeper_watch.close()

    assert [subject.split(" from ")[0] for subject in alerts()] == ["PostgreSQL was away for 12 s"]
