"""The audit compares positions of exchange and record, and finds exits that were late or left a position."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from pipeline.entrypoints.drill.audit import audit
from pipeline.entrypoints.drill.exit_waits import ExitWait
from pipeline.entrypoints.drill.findings import AuditVerdict
from pipeline.entrypoints.drill.ledgers import HeldOrder
from pipeline.entrypoints.drill.position_audit import exit_findings, stop_findings
from pipeline.model.states import State
from tests.unit.drill.test_audit import ARGO, an_execution, an_intent, an_order, ledgers, one


def by_hand(filled: str, *, status: str = "filled", side: str = "buy") -> HeldOrder:
    bought = an_order(an_intent(an_execution()), client_order_id="by-hand-1", status=status, filled_qty=filled)
    return bought.model_copy(update={"side": side})


@pytest.mark.parametrize(
    ("at_exchange", "recorded", "orders"),
    [
        ({}, {}, []),
        ({"QAAA": "3"}, {"QAAA": "3.0"}, []),
        ({"QAAA": "3.4"}, {"QAAA": "3"}, [by_hand("0.4")]),
        ({"QAAA": "0.4"}, {}, [by_hand("0.4"), by_hand("0", status="canceled", side="sell")]),
    ],
)
def test_equal_positions_are_no_finding(
    at_exchange: dict[str, str], recorded: dict[str, str], orders: list[HeldOrder]
) -> None:
    assert audit(replace(ledgers(orders=orders), **positions(at_exchange, recorded))) == []


@pytest.mark.parametrize(
    ("at_exchange", "recorded"), [({"QAAA": "3"}, {}), ({}, {"QAAA": "3"}), ({"QAAA": "3"}, {"QAAA": "2"})]
)
def test_positions_that_differ_are_unexplained(at_exchange: dict[str, str], recorded: dict[str, str]) -> None:
    found = audit(replace(ledgers(), **positions(at_exchange, recorded)))

    one(found, AuditVerdict.UNEXPLAINED, "position at the exchange that differs from the record")


def test_a_holding_of_an_account_that_the_exchange_does_not_have_is_found() -> None:
    found = audit(replace(ledgers(), holdings={"PA1": {"QAAA": Decimal(1)}}))

    one(found, AuditVerdict.UNEXPLAINED, "position at the exchange that differs from the record")


@pytest.mark.parametrize(("resting", "stopped", "fits"), [("3", "3", True), ("2", "3", False), ("3", "0", False)])
def test_stop_orders_that_do_not_fit_the_holding_are_found(*, resting: str, stopped: str, fits: bool) -> None:
    stop = an_order(an_intent(an_execution()), client_order_id="tw-1", status="new", filled_qty="0")
    stop = stop.model_copy(update={"side": "sell", "type": "stop", "qty": Decimal(resting)})

    found = list(stop_findings(replace(ledgers(orders=[stop]), stopped={ARGO: {stop.symbol: Decimal(stopped)}})))

    assert [each.what for each in found] == ([] if fits else ["stop orders that do not fit the holding"])


@pytest.mark.parametrize(("seconds", "late"), [(15.0, False), (15.1, True)])
def test_an_exit_that_waited_for_too_long_is_late(*, seconds: float, late: bool) -> None:
    execution = an_execution(closes=True)
    wait = ExitWait(execution_id=execution.execution_id, seconds=seconds, excused_s=2.0)

    found = list(exit_findings(ledgers(execution), [wait]))

    assert [AuditVerdict.LATE] * late == [finding.verdict for finding in found]


def test_a_position_that_is_left_after_its_exit_is_unexplained() -> None:
    entry, close = an_execution(1), an_execution(2, closes=True)
    books = replace(ledgers(entry, close), holdings={ARGO: {"QAAA": Decimal(1)}})

    one(list(exit_findings(books, [])), AuditVerdict.UNEXPLAINED, "position left after its exit")


@pytest.mark.parametrize(
    ("state", "reason"), [("dead", "attempts_used_up"), ("accepted", None), ("filled", "late_order")]
)
def test_a_position_whose_symbol_has_an_open_matter_is_explained(state: str, reason: str | None) -> None:
    entry, close = an_execution(1, state=State(state), reason_code=reason), an_execution(2, closes=True)
    books = replace(ledgers(entry, close), holdings={ARGO: {"QAAA": Decimal(1)}})

    assert list(exit_findings(books, [])) == []


def test_a_position_that_was_opened_again_is_no_finding() -> None:
    close, entry = an_execution(1, closes=True), an_execution(2)
    books = replace(ledgers(close, entry), holdings={ARGO: {"QAAA": Decimal(1)}})

    assert list(exit_findings(books, [])) == []


def positions(at_exchange: dict[str, str], recorded: dict[str, str]) -> dict[str, dict[str, dict[str, Decimal]]]:
    sides = {"positions": at_exchange, "holdings": recorded}
    return {
        name: {ARGO: {symbol: Decimal(quantity) for symbol, quantity in side.items()}} for name, side in sides.items()
    }
