"""The producer with its sources and a real PostgreSQL that goes away and comes back."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from structlog.testing import capture_logs

from pipeline.intake.producer import Producer
from pipeline.intake.sources.file import FileSource
from pipeline.intake.sources.protocol import Item
from pipeline.model.errors import InvalidSignal, QueueUnavailable, RecordUnavailable, SourceUnavailable
from tests.embedded_server import EmbeddedServer
from tests.waiting import until


def signal(number: int, **changes: Any) -> dict[str, Any]:
    return {"source_id": str(number), "symbol": "AAPL", "action": "BUY"} | changes


class Script:
    """A source that takes a step per poll: it returns a batch or raises an exception. In the end it has nothing new."""

    cadence_s = 0.0
    pause_s = 0.01
    finished = False

    def __init__(self, *steps: Sequence[Item] | Exception, name: str = "script") -> None:
        self.name = name
        self.steps = list(steps)
        self.closed = threading.Event()

    def poll(self, stop: threading.Event) -> Sequence[Item]:  # noqa: ARG002 - as the protocol has it
        step = self.steps.pop(0) if self.steps else []
        if isinstance(step, Exception):
            raise step
        return step

    def close(self) -> None:
        self.closed.set()


class Ledger:
    """Stores the producer's signals in a table of PostgreSQL, which may be away."""

    def __init__(self, url: str) -> None:
        self._url = url
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE TABLE given (n serial, source_id text UNIQUE, code text, raw jsonb NOT NULL)")

    def deliver(self, raw: Mapping[str, Any], _waited: timedelta) -> None:
        self._insert(raw, None)

    def refuse(self, raw: Mapping[str, Any], code: str, message: str) -> None:
        assert message
        self._insert(raw, code)

    def rows(self) -> list[tuple[str, str | None]]:
        with psycopg.connect(self._url) as connection:
            return connection.execute("SELECT source_id, code FROM given ORDER BY n").fetchall()

    def _insert(self, raw: Mapping[str, Any], code: str | None) -> None:
        try:
            with psycopg.connect(self._url, connect_timeout=2) as connection:
                connection.execute(
                    "INSERT INTO given (source_id, code, raw) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
                    (raw["source_id"], code, json.dumps(raw, default=str)),
                )
        except psycopg.OperationalError as exc:
            raise RecordUnavailable from exc


@contextmanager
def running(producer: Producer) -> Iterator[threading.Event]:
    stop = threading.Event()
    thread = threading.Thread(target=producer.run, args=(stop,))
    thread.start()
    try:
        yield stop
    finally:
        stop.set()
        thread.join(10)
        assert not thread.is_alive()


def eventually(true: Callable[[], bool], within_s: float = 15) -> None:
    until(true, within_s)


@pytest.fixture
def ledger(database_url: str) -> Ledger:
    return Ledger(database_url)


def test_signals_of_a_file_are_recorded_in_order_and_the_bad_lines_refused(ledger: Ledger, tmp_path: Path) -> None:
    path = tmp_path / "signals.jsonl"
    lines = [json.dumps(signal(number)) for number in range(20)]
    path.write_text("\n".join([*lines[:10], "nonsense", *lines[10:]]))
    producer = Producer([FileSource(str(path))], deliver=ledger.deliver, refuse=ledger.refuse)

    with running(producer):
        eventually(lambda: producer.finished)

    rows = ledger.rows()
    assert [row for row in rows if row[1] is None] == [(str(number), None) for number in range(20)]
    assert rows[10][1] == "invalid_json"
    assert len(rows) == 21


def test_while_postgresql_is_away_signals_wait_in_order_and_none_is_lost(servers_home: Path) -> None:
    with EmbeddedServer.postgres(servers_home / "producer") as server:
        ledger = Ledger(server.url)
        source = Script([signal(1)])
        producer = Producer([source], deliver=ledger.deliver, refuse=ledger.refuse)
        with capture_logs() as logs, running(producer):
            eventually(lambda: len(ledger.rows()) == 1)
            server.kill()
            source.steps = [[signal(number)] for number in range(2, 40)]
            eventually(lambda: producer.health().waiting == 38)
            away = producer.health()
            server.start()
            eventually(lambda: producer.health().waiting == 0)

        assert not away.ok
        assert away.record_is_away
        assert away.sources["script"].ok
        assert producer.health().ok
        assert ledger.rows() == [(str(number), None) for number in range(1, 40)]
        events = [line["event"] for line in logs if line["event"].startswith("record.")]
        assert events == ["record.lost", "record.regained"]


class Outage:
    """A delivery that fails while `away` is set, and stores the signals that it accepts."""

    def __init__(self) -> None:
        self.away = False
        self.got: list[tuple[str, str | None]] = []
        self.waited: list[timedelta] = []

    def deliver(self, raw: Mapping[str, Any], waited: timedelta) -> None:
        self._take(raw, None)
        self.waited.append(waited)

    def refuse(self, raw: Mapping[str, Any], code: str, message: str) -> None:
        assert message
        self._take(raw, code)

    def _take(self, raw: Mapping[str, Any], code: str | None) -> None:
        if self.away:
            raise RecordUnavailable
        self.got.append((raw["source_id"], code))


def test_what_waits_is_recorded_with_the_time_that_it_waited_however_full_the_buffer_is() -> None:
    outage, now = Outage(), [0.0]
    source = Script([signal(1), signal(2, intent="close")], [signal(3)])
    producer = Producer([source], deliver=outage.deliver, refuse=outage.refuse, limit=3, clock=lambda: now[0])
    outage.away = True

    with capture_logs():
        producer.run_once()
        now[0] = 61.0
        producer.run_once()
        outage.away = False
        settled = producer.run_once()

    assert settled == 3
    assert outage.got == [("1", None), ("2", None), ("3", None)]
    assert [waited.total_seconds() for waited in outage.waited] == [61, 61, 0]


@pytest.mark.parametrize(
    ("error", "event", "refused"),
    [
        (InvalidSignal("invalid_signal", "no price"), "signal.refused", False),
        (QueueUnavailable(), "signal.not_enqueued", False),
        (ValueError("a fault of ours"), "signal.failed", True),
    ],
)
def test_any_other_error_is_of_that_signal_only(error: Exception, event: str, *, refused: bool) -> None:
    outage = Outage()

    def deliver(raw: Mapping[str, Any], waited: timedelta) -> None:
        if raw["source_id"] == "1":
            raise error
        outage.deliver(raw, waited)

    producer = Producer([Script([signal(1), signal(2)])], deliver=deliver, refuse=outage.refuse)
    with capture_logs() as logs:
        producer.run_once()

    assert [line["event"] for line in logs] == [event]
    assert outage.got == [*([("1", "internal_error")] if refused else []), ("2", None)]
    assert producer.health().waiting == 0


def test_a_refusal_that_cannot_be_recorded_is_logged_and_stops_nothing() -> None:
    outage = Outage()

    def broken(*_: object) -> None:
        raise ValueError("a fault of ours")

    producer = Producer([Script([signal(1)])], deliver=broken, refuse=broken)
    with capture_logs() as logs:
        producer.run_once()

    assert [line["event"] for line in logs] == ["signal.failed", "signal.failed"]
    assert (producer.health().waiting, outage.got) == (0, [])


def test_a_source_that_raises_makes_the_producer_unwell_and_the_others_go_on() -> None:
    outage = Outage()
    sick = Script(SourceUnavailable("no bars today"), name="sick")
    producer = Producer([sick, Script([signal(1)])], deliver=outage.deliver, refuse=outage.refuse)

    with capture_logs():
        producer.run_once()
        unwell = producer.health()
        producer.run_once()

    assert not unwell.ok
    assert unwell.sources["sick"].error == "no bars today"
    assert unwell.sources["script"].ok
    assert outage.got == [("1", None)]
    assert producer.health().ok


def test_a_stop_records_the_rest_and_logs_the_signals_that_remain() -> None:
    outage = Outage()
    outage.away = True
    source = Script([signal(1), signal(2)])
    producer = Producer([source], deliver=outage.deliver, refuse=outage.refuse)
    stop, left = threading.Event(), []
    thread = threading.Thread(target=lambda: left.append(producer.run(stop)))

    with capture_logs() as logs:
        thread.start()
        eventually(lambda: producer.health().waiting == 2)
        stop.set()
        thread.join(10)

    assert left == [2]
    assert source.closed.is_set()
    remained = [line["source_id"] for line in logs if line["event"] == "signal.left_unrecorded"]
    assert remained == ["1", "2"]
    assert logs[-1]["event"] == "producer.stopped"


def test_a_stop_in_an_absence_that_ends_leaves_nothing() -> None:
    outage = Outage()
    outage.away = True
    producer = Producer([Script([signal(1), signal(2)])], deliver=outage.deliver, refuse=outage.refuse)

    with capture_logs(), running(producer) as stop:
        eventually(lambda: producer.health().waiting == 2)
        stop.set()
        outage.away = False

    assert outage.got == [("1", None), ("2", None)]
