"""An outage that lasts is logged once, and so is its end. A short failure is not logged."""

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
        for _ in range(3):
            outage.record_success()

    assert [(line["event"], line["log_level"]) for line in logs] == [("queue.away", "error"), ("queue.back", "info")]
    assert not outage.failing


def test_a_single_failure_between_successes_is_not_logged() -> None:
    outage = Outage(Need.RECORD)
    with capture_logs() as logs:
        for _ in range(50):
            outage.record_failure("cut")
            outage.record_success()

    assert logs == []


def test_a_few_lost_answers_of_a_broker_are_not_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(outages._BLIP_S, Need.BROKER, 0.0)
    outage = Outage(Need.BROKER, executor_id="argo")
    with capture_logs() as logs:
        for _ in range(4):
            outage.record_failure("no answer")
        outage.record_success()
        for _ in range(5):
            outage.record_failure("no answer")

    assert [(line["event"], line["executor_id"]) for line in logs] == [("broker.away", "argo")]


def test_failures_that_come_and_go_are_one_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(outages._BLIP_S, Need.RECORD, 0.0)
    outage = Outage(Need.RECORD)
    with capture_logs() as logs:
        for _ in range(20):
            outage.record_failure("away")
            outage.record_failure("away")
            outage.record_success()

    assert [line["event"] for line in logs] == ["record.away", "record.back"]


def test_one_address_has_one_outage_in_the_process() -> None:
    assert outage_of(Need.RECORD, "here") is outage_of(Need.RECORD, "here")
    assert outage_of(Need.RECORD, "here") is not outage_of(Need.RECORD, "there")
    assert outage_of(Need.RECORD, "here") is not outage_of(Need.QUEUE, "here")


def test_many_threads_log_an_outage_once(monkeypatch: pytest.MonkeyPatch) -> None:
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
