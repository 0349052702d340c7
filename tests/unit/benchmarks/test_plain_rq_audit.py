"""The audit of plain RQ has the same three kinds of findings as the audit of tradewire."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import pytest

from pipeline.entrypoints.drill.findings import AuditVerdict
from pipeline.entrypoints.drill.ledgers import HeldOrder
from tests.benchmarks.plain_rq_audit import PlainJob, PlainLedgers, audit_plain


def a_job(status: str, order_id: str | None = None) -> PlainJob:
    return PlainJob(executor_id="argo", symbol="QAAA", status=status, order_id=order_id)


def an_order(order_id: str) -> HeldOrder:
    return HeldOrder(
        id=order_id, client_order_id=order_id, symbol="QAAA", side="buy", status="filled", filled_qty=Decimal(1)
    )


def ledgers(jobs: Sequence[PlainJob], orders: Sequence[str]) -> PlainLedgers:
    held = {"argo": [an_order(order_id) for order_id in orders]}
    return PlainLedgers(symbols=["QAAA"], executors=["argo"], jobs=jobs, held=held)


def test_a_finished_job_with_its_order_is_fine() -> None:
    assert audit_plain(ledgers([a_job("finished", "o1")], ["o1"])) == []


def test_a_failed_job_without_an_order_is_explained() -> None:
    assert audit_plain(ledgers([a_job("failed")], [])) == []


@pytest.mark.parametrize("jobs", [[], [a_job("started")], [a_job("scheduled")], [a_job("queued")]])
def test_no_order_and_no_failed_job_is_lost(jobs: list[PlainJob]) -> None:
    assert [finding.verdict for finding in audit_plain(ledgers(jobs, []))] == [AuditVerdict.LOST]


def test_two_orders_of_a_signal_are_doubled() -> None:
    found = audit_plain(ledgers([a_job("finished", "o2")], ["o1", "o2"]))

    assert [finding.verdict for finding in found] == [AuditVerdict.DOUBLED]


def test_a_failed_job_with_a_live_order_is_unexplained() -> None:
    found = audit_plain(ledgers([a_job("failed")], ["o1"]))

    assert [finding.verdict for finding in found] == [AuditVerdict.UNEXPLAINED]


@pytest.mark.parametrize("jobs", [[], [a_job("started")]])
def test_an_order_that_no_job_tells_of_is_unexplained(jobs: list[PlainJob]) -> None:
    assert [finding.verdict for finding in audit_plain(ledgers(jobs, ["o1"]))] == [AuditVerdict.UNEXPLAINED]


def test_an_order_id_that_the_exchange_does_not_know_is_unexplained() -> None:
    found = audit_plain(ledgers([a_job("finished", "o9"), a_job("finished", "o1")], ["o1"]))

    assert [finding.verdict for finding in found] == [AuditVerdict.UNEXPLAINED]
