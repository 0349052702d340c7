"""The wait of an exit counts from its recording to its decision, without times in which no decision was possible."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO
from uuid import UUID

import pytest
from rich.console import Console

from pipeline.entrypoints.drill.exit_waits import ExitWait, exit_waits
from pipeline.entrypoints.drill.ledgers import AuditedExecution, AuditedIntent, HistoryRow, Ledgers
from pipeline.entrypoints.drill.result import result_of
from pipeline.entrypoints.drill.table import show
from pipeline.model.states import State

BEGAN = datetime(2026, 1, 2, tzinfo=UTC)
ENTRY, EXIT = UUID(int=1), UUID(int=2)


def execution(execution_id: UUID, *, closes: bool = True, symbol: str = "QAAA") -> AuditedExecution:
    return AuditedExecution(
        execution_id=execution_id,
        seq=execution_id.int,
        signal_id=execution_id,
        executor_id="argo",
        symbol=symbol,
        state=State.FILLED,
        reason_code=None,
        decided_at=None,
        closes=closes,
    )


def changes(execution_id: UUID, *rows: tuple[float, str, str | None]) -> list[HistoryRow]:
    return [
        HistoryRow(
            execution_id=execution_id, at=BEGAN + timedelta(seconds=at_s), to_state=State(state), reason_code=reason
        )
        for at_s, state, reason in rows
    ]


def fill(execution_id: UUID, side: str, quantity: int) -> AuditedIntent:
    return AuditedIntent(
        execution_id=execution_id,
        executor_id="argo",
        client_order_id=str(execution_id),
        order_id=None,
        symbol="QAAA",
        side=side,
        filled_quantity=Decimal(quantity),
    )


def books(
    executions: Sequence[AuditedExecution],
    history: Sequence[HistoryRow],
    fills: Sequence[AuditedIntent] = (),
    *,
    opened: bool = True,
) -> Ledgers:
    """Return ledgers with *executions*; if *opened*, a position in each symbol was bought before these executions."""
    symbols = dict.fromkeys(execution.symbol for execution in executions) if opened else {}
    before = [execution(UUID(int=100 + n), closes=False, symbol=symbol) for n, symbol in enumerate(symbols)]
    return Ledgers(
        sent=[],
        source="drill",
        executors=["argo"],
        signals=[],
        executions=[*before, *executions],
        intents=[*(fill(each.execution_id, "buy", 9) for each in before), *fills],
        held={},
        history=history,
    )


def wait_of(*rows: tuple[float, str, str | None]) -> ExitWait:
    (found,) = exit_waits(books([execution(EXIT)], changes(EXIT, *rows)))
    return found


def test_the_wait_ends_at_the_first_decision() -> None:
    found = wait_of((0, "queued", None), (1, "submitting", None), (2, "accepted", None), (9, "filled", None))

    assert (found.seconds, found.excused_s, found.is_decided) == (2, 0, True)


@pytest.mark.parametrize(
    ("state", "reason", "excused_s"),
    [
        ("queued", None, 0),
        ("held", "order_under_way", 0),
        ("held", "exit_not_done", 0),
        ("held", "market_closed", 30),
        ("held", "rate_limited", 5),
        ("held", "broker_away", 5),
        ("unknown", "no_answer", 30),
    ],
)
def test_only_what_the_broker_causes_is_left_out(state: str, reason: str | None, excused_s: float) -> None:
    found = wait_of((0, state, reason), (30, "submitting", None), (31, "filled", None))

    assert (found.seconds, found.excused_s) == (31 - excused_s, excused_s)


@pytest.mark.parametrize(("state", "reason"), [("queued", None), ("unknown", "lease_ran_out"), ("held", "broker_away")])
def test_a_dead_workers_lease_and_a_request_without_an_answer_are_left_out(state: str, reason: str | None) -> None:
    found = wait_of((0, "queued", None), (1, "submitting", None), (4, state, reason), (5, "skipped", "no_position"))

    assert found.seconds == (1 if state == "unknown" or reason else 2)


def test_a_worker_that_holds_an_exit_for_a_reason_of_ours_is_counted() -> None:
    found = wait_of((0, "submitting", None), (4, "held", "order_under_way"), (5, "filled", None))

    assert found.seconds == 5


def test_the_time_in_which_an_earlier_order_of_the_symbol_is_unknown_is_left_out_once() -> None:
    earlier = changes(ENTRY, (0, "queued", None), (1, "unknown", "no_answer"), (10, "filled", None))
    own = changes(EXIT, (2, "queued", None), (9, "unknown", "no_answer"), (12, "filled", None))

    (found,) = exit_waits(books([execution(ENTRY, closes=False), execution(EXIT)], [*earlier, *own]))

    assert (found.seconds, found.excused_s, found.nothing_to_close_s) == (0, 10, 0)


@pytest.mark.parametrize(("sold", "seconds"), [(3, 2), (2, 10), (0, 10)])
def test_an_unsent_entry_before_it_is_left_out_only_while_nothing_is_held(sold: int, seconds: float) -> None:
    bought, closed, entry, close = (UUID(int=number) for number in range(1, 5))
    executions = [
        execution(bought, closes=False),
        execution(closed, closes=False),
        execution(entry, closes=False),
        execution(close),
    ]
    history = [
        *changes(bought, (0, "filled", None)),
        *changes(closed, (0, "filled", None)),
        *changes(entry, (1, "queued", None), (3, "held", "entries_refused"), (13, "filled", None)),
        *changes(close, (5, "queued", None), (15, "filled", None)),
    ]
    fills = [fill(bought, "buy", 3), fill(closed, "sell", sold), fill(entry, "buy", 1)]

    (found,) = exit_waits(books(executions, history, fills, opened=False))

    assert (found.seconds, found.nothing_to_close_s) == (seconds, 10 - seconds)


def test_a_close_signal_that_found_nothing_to_close_is_no_exit() -> None:
    history = changes(EXIT, (0, "queued", None), (60, "skipped", "no_position"))

    assert exit_waits(books([execution(EXIT)], history, opened=False)) == []


def test_another_symbols_unknown_order_excuses_nothing() -> None:
    earlier = changes(ENTRY, (0, "unknown", "no_answer"), (10, "filled", None))
    own = changes(EXIT, (2, "queued", None), (12, "filled", None))

    (found,) = exit_waits(books([execution(ENTRY, closes=False, symbol="QAAB"), execution(EXIT)], [*earlier, *own]))

    assert found.seconds == 10


def test_entries_are_not_timed_and_the_longest_wait_comes_first() -> None:
    slow = UUID(int=3)
    rows = [
        *changes(ENTRY, (0, "queued", None), (50, "filled", None)),
        *changes(EXIT, (0, "queued", None), (1, "filled", None)),
        *changes(slow, (0, "queued", None), (7, "held", "order_under_way")),
    ]

    executions = [execution(ENTRY, closes=False, symbol="QAAC"), execution(EXIT), execution(slow, symbol="QAAB")]
    found = exit_waits(books(executions, rows))

    assert [(slow, 7.0, False), (EXIT, 1.0, True)] == [
        (each.execution_id, each.seconds, each.is_decided) for each in found
    ]
    assert found[0].to_json() == {
        "execution_id": str(slow),
        "seconds": 7.0,
        "excused_s": 0.0,
        "nothing_to_close_s": 0.0,
        "decided": False,
    }


def test_the_longest_wait_is_in_the_json_and_in_the_table() -> None:
    longest = ExitWait(execution_id=EXIT, seconds=12.5, excused_s=1.0)
    waits = [longest, *(ExitWait(execution_id=ENTRY, seconds=1.0, excused_s=0.0) for _ in range(9))]
    result = replace(result_of(books([], []), seed=1, findings=[]), exit_waits=waits)
    output = StringIO()

    show(Console(file=output, width=100), result)

    found = result.to_json()
    assert (found["exits"], found["late"], len(found["longest_exit_waits"])) == (10, 0, 5)
    assert found["longest_exit_waits"][0] == longest.to_json()
    assert "12.50 s" in output.getvalue()
