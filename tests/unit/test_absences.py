"""An absence is said once when it lasts, and its end once; a blip is not said."""

from __future__ import annotations

import threading
import time

import pytest
from structlog.testing import capture_logs

from pipeline.model import outages
from pipeline.model.outages import Need, Outage, outage_of


def test_an_outage_is_one_line_and_its_end_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(outages._BLIP_S, Need.QUEUE, 0.02)
    outage = Outage(Need.QUEUE)
    with capture_logs() as logs:
        for _ in range(10):
            outage.record_failure("refused")
            time.sleep(0.005)
        assert outage.away
        for _ in range(3):
            outage.record_success()

    assert [(line["event"], line["log_level"]) for line in logs] == [("queue.away", "error"), ("queue.back", "info")]
    assert not outage.away


def test_a_try_that_fails_between_answers_is_not_said() -> None:
    outage = Outage(Need.RECORD)
    with capture_logs() as logs:
        for _ in range(50):
            outage.record_failure("cut")
            outage.record_success()

    assert logs == []


def test_some_lost_answers_of_a_broker_are_not_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(outages._BLIP_S, Need.BROKER, 0.0)
    outage = Outage(Need.BROKER, executor_id="argo")
    with capture_logs() as logs:
        for _ in range(4):
            outage.record_failure("no answer")
        outage.record_success()
        for _ in range(5):
            outage.record_failure("no answer")

    assert [(line["event"], line["executor_id"]) for line in logs] == [("broker.away", "argo")]


def test_what_comes_and_goes_is_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(outages._BLIP_S, Need.RECORD, 0.0)
    outage = Outage(Need.RECORD)
    with capture_logs() as logs:
        for _ in range(20):
            outage.record_failure("away")
            outage.record_failure("away")
            outage.record_success()

    assert [line["event"] for line in logs] == ["record.away", "record.back"]


def test_all_who_ask_for_the_same_address_share_what_is_known() -> None:
    assert outage_of(Need.RECORD, "here") is outage_of(Need.RECORD, "here")
    assert outage_of(Need.RECORD, "here") is not outage_of(Need.RECORD, "there")
    assert outage_of(Need.RECORD, "here") is not outage_of(Need.QUEUE, "here")


def test_many_threads_say_it_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(outages._BLIP_S, Need.RECORD, 0.0)
    outage = Outage(Need.RECORD)

    def fail() -> None:
        for _ in range(100):
            outage.record_failure("away")

    threads = [threading.Thread(target=fail) for _ in range(8)]
    with capture_logs() as logs:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert len(logs) == 1
