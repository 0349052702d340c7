from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg import Connection
from psycopg.rows import DictRow
from structlog.testing import capture_logs

from config.schema.executor import Executors
from pipeline.intake.intake import ENQUEUE_GRACE, Intake, Recorded, Wait
from pipeline.intake.signal_checks import CLOCK_TOLERANCE
from pipeline.model.errors import InvalidSignal, RecordUnavailable, SourceIdConflict
from pipeline.model.reasons import Code, Reason
from pipeline.model.states import State
from pipeline.store.record import Record, Unit
from pipeline.store.statements import sql
from tests.factories import Core, executor_toml, signal, until
from tests.integration.execution_states import Rows
from tests.integration.record_clock import shift_clock


def by_executor(recorded: Recorded) -> dict[str, tuple[str, str | None]]:
    return {row.executor_id: (row.state.value, row.reason_code) for row in recorded.executions}


def at_live_accounts(executors: Executors) -> dict[str, Any]:
    return {name: executor.model_copy(update={"mode": "live"}) for name, executor in executors.items()}


def test_a_signal_is_recorded_with_one_execution_at_every_executor(intake: Intake, rows: Rows) -> None:
    recorded = intake.record(signal(confidence="98.5", entry_price="190.10"), source="webhook")

    assert not recorded.duplicate
    assert by_executor(recorded) == {"argo": ("queued", None), "prop_firm": ("queued", None)}
    (row,) = rows("SELECT * FROM signal")
    assert (row["signal_id"], row["source"], row["source_id"]) == (recorded.signal_id, "webhook", None)
    assert (str(row["confidence"]), str(row["entry_price"]), row["asset_class"]) == ("98.5", "190.10", "us_equity")
    assert rows("SELECT count(*) AS n FROM execution") == [{"n": 2}]


def test_a_queued_execution_is_due_for_the_keeper_when_its_recorder_had_its_time(intake: Intake, rows: Rows) -> None:
    recorded = intake.record(signal(), source="test")

    for row in rows("SELECT * FROM execution"):
        assert row["due_at"] - row["created_at"] == ENQUEUE_GRACE
        assert (row["job_id"], row["enqueues"]) == (f"{row['execution_id']}-1", 1)
    assert {row.execution_id for row in recorded.executions} == {
        row["execution_id"] for row in rows("SELECT * FROM execution")
    }


def test_an_entry_that_routing_refuses_is_over_at_birth_with_every_reason(intake: Intake, rows: Rows) -> None:
    recorded = intake.record(signal(confidence="75.3"), source="test")

    assert by_executor(recorded) == {"argo": ("queued", None), "prop_firm": ("skipped", "confidence_below_minimum")}
    skipped = recorded.executions[1]
    assert skipped.reason_facts == {"minimum": "82", "was": "75.3"}
    assert skipped.ended_at == skipped.decided_at == skipped.created_at
    assert rows("SELECT due_at FROM execution WHERE state = 'skipped'") == [{"due_at": None}]


def test_further_reasons_are_kept_beside_the_first(intake: Intake) -> None:
    recorded = intake.record(signal(confidence=50, executors=["argo"]), source="test")

    assert recorded.executions[1].reason_code == "not_addressed"
    assert recorded.executions[1].reason_facts == {
        "executors": "argo",
        "also": "confidence_below_minimum minimum=82 was=50",
    }


@pytest.mark.parametrize("denied", ["BTCUSD", "btc-usd", "BTC/USD"])
def test_an_entry_of_a_denied_symbol_is_skipped_in_each_spelling(
    make_core: Callable[..., Core], rows: Rows, denied: str
) -> None:
    route = f'75\ndeny = ["{denied}"]'
    core = make_core(executor_toml(minimum_confidence=route))

    recorded = core.intake.record(signal(symbol="BTCUSD"), source="test")

    assert by_executor(recorded) == {"argo": ("skipped", "symbol_denied")}
    assert rows("SELECT symbol FROM signal") == [{"symbol": "BTC/USD"}]
    assert by_executor(core.intake.record(signal(symbol="ETH/USD"), source="test")) == {"argo": ("queued", None)}


@pytest.mark.parametrize("sent", [{"action": "SELL"}, {"intent": "close"}])
def test_a_possible_exit_is_never_refused_here(intake: Intake, sent: dict[str, Any]) -> None:
    recorded = intake.record(signal(confidence=2, **sent), source="test")

    assert by_executor(recorded) == {"argo": ("queued", None), "prop_firm": ("queued", None)}


def test_an_executor_that_is_not_named_is_not_addressed(intake: Intake) -> None:
    recorded = intake.record(signal(action="SELL", executors=["prop_firm"]), source="test")

    assert by_executor(recorded) == {"argo": ("skipped", "not_addressed"), "prop_firm": ("queued", None)}


def test_practice_reaches_no_live_account(record: Record, executors: Executors) -> None:
    recorded = Intake(record, at_live_accounts(executors), by="test").record(signal(action="SELL"), source="replay")

    assert by_executor(recorded) == {
        "argo": ("skipped", "practice_source"),
        "prop_firm": ("skipped", "practice_source"),
    }
    assert {row.mode.value for row in recorded.executions} == {"live"}


def test_the_same_again_changes_nothing_and_answers_with_the_first(intake: Intake, rows: Rows) -> None:
    first = intake.record(signal(source_id="1"), source="a")
    again = intake.record(signal(source_id="1", generated_at=datetime.now(UTC).isoformat()), source="a")

    assert again == Recorded(signal_id=first.signal_id, duplicate=True, executions=first.executions)
    assert rows("SELECT count(*) AS n FROM history") == [{"n": 2}]


def test_twenty_times_at_once_is_one_signal(intake: Intake, rows: Rows) -> None:
    with ThreadPoolExecutor(20) as pool:
        all_recorded = list(pool.map(lambda _: intake.record(signal(source_id="1"), source="a"), range(20)))

    assert len({recorded.signal_id for recorded in all_recorded}) == 1
    assert [recorded.duplicate for recorded in all_recorded].count(False) == 1
    assert [recorded.executions for recorded in all_recorded] == [all_recorded[0].executions] * 20
    assert rows("SELECT (SELECT count(*) FROM signal) AS signals, (SELECT count(*) FROM execution) AS executions") == [
        {"signals": 1, "executions": 2}
    ]


def test_a_unit_that_runs_again_finds_its_own_signal_which_is_no_duplicate(
    intake: Intake, record: Record, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A unit of work runs a second time when the answer to its COMMIT was lost."""
    runs: list[Recorded] = []
    run = record.run

    def lose_the_first_commit(unit: Unit[Recorded]) -> Recorded:
        def committed_and_lost(connection: Connection[DictRow]) -> Recorded:
            runs.append(unit(connection))
            if len(runs) == 1:
                connection.commit()
                connection.close()
            return runs[-1]

        return run(committed_and_lost)

    monkeypatch.setattr(record, "run", lose_the_first_commit)
    recorded = intake.record(signal(source_id="1"), source="a")

    assert runs == [recorded, recorded]
    assert not recorded.duplicate
    assert rows("SELECT count(*) AS n FROM execution") == [{"n": 2}]


def test_without_a_source_id_nothing_is_a_repeat(intake: Intake) -> None:
    assert intake.record(signal(), source="a").signal_id != intake.record(signal(), source="a").signal_id


def test_sources_do_not_share_their_ids(intake: Intake) -> None:
    first = intake.record(signal(source_id="1"), source="a")
    second = intake.record(signal(source_id="1", action="SELL"), source="b")
    third = intake.record(signal(source_id="1", source="b", action="SELL"), source="c")

    assert not second.duplicate
    assert first.signal_id != second.signal_id == third.signal_id


def test_one_source_id_for_other_content_is_refused_and_changes_nothing(intake: Intake, rows: Rows) -> None:
    first = intake.record(signal(source_id="1"), source="a")

    with pytest.raises(SourceIdConflict, match=str(first.signal_id)) as caught:
        intake.record(signal(source_id="1", action="SELL"), source="a")

    assert caught.value.code == "source_id_conflict"
    assert rows("SELECT action FROM signal") == [{"action": "BUY"}]
    assert rows("SELECT source, source_id, code FROM refusal") == [
        {"source": "a", "source_id": "1", "code": "source_id_conflict"}
    ]


def test_a_source_id_used_for_two_signals_at_once_is_one_signal_and_refusals(intake: Intake, rows: Rows) -> None:
    def send(number: int) -> str:
        try:
            return str(intake.record(signal(("AAPL", "MSFT")[number % 2], source_id="1"), source="a").signal_id)
        except SourceIdConflict:
            return "conflict"

    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(send, range(10)))

    assert answers.count("conflict") == 5
    assert len(set(answers)) == 2
    assert rows("SELECT count(*) AS n FROM signal") == [{"n": 1}]


def test_executions_of_a_symbol_are_numbered_in_the_order_in_which_they_are_seen(
    intake: Intake, rows: Rows, database_url: str
) -> None:
    intake.record(signal(), source="test")
    (numbered,) = rows("SELECT max(seq) AS seq FROM execution")
    with ThreadPoolExecutor(1) as pool, psycopg.connect(database_url) as other:
        # Another transaction records a signal of the symbol, and is not committed yet.
        other.execute(sql("signals", "lock_symbol"), {"symbol": "AAPL"})
        later = pool.submit(intake.record, signal(), source="test")
        until(lambda: later.done() or rows("SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"))
        given = rows("SELECT last_value AS seq FROM pg_sequences WHERE sequencename = 'execution_seq_seq'")
        other.commit()
        later.result()

    assert given == [numbered]


def test_an_executor_that_is_not_configured_makes_it_invalid(intake: Intake, rows: Rows) -> None:
    with pytest.raises(InvalidSignal, match="nobody not configured; there is argo, prop_firm") as caught:
        intake.record(signal(executors=["argo", "nobody"]), source="test")

    assert caught.value.code == "unknown_executor"
    assert rows("SELECT signal_id FROM signal") == []


@pytest.mark.parametrize("ahead", [timedelta(minutes=10), timedelta(minutes=-10)])
def test_the_records_clock_decides_whether_a_time_is_in_the_future(
    ahead: timedelta, executors: Executors, database_url: str, rows: Rows
) -> None:
    shift_clock(rows, ahead)
    now = datetime.now(UTC) + ahead
    with Record(database_url) as record:
        intake = Intake(record, executors, by="test")
        recorded = intake.record(signal(generated_at=(now + CLOCK_TOLERANCE / 2).isoformat()), source="test")
        with pytest.raises(InvalidSignal, match=r"^generated_at: .* is in the future") as caught:
            intake.record(signal(generated_at=(now + timedelta(minutes=1)).isoformat()), source="test")

    assert caught.value.code == "invalid_signal"
    assert rows("SELECT signal_id FROM signal") == [{"signal_id": recorded.signal_id}]
    assert rows("SELECT code FROM refusal") == [{"code": "invalid_signal"}]


def test_a_signal_that_was_recorded_stays_a_duplicate_when_the_records_clock_goes_back(
    executors: Executors, database_url: str, rows: Rows
) -> None:
    sent = signal(source_id="1", generated_at=datetime.now(UTC).isoformat())
    with Record(database_url) as record:
        first = Intake(record, executors, by="test").record(sent, source="test")
    shift_clock(rows, timedelta(minutes=-10))
    with Record(database_url) as record:
        again = Intake(record, executors, by="test").record(sent, source="test")

    assert (again.duplicate, again.signal_id) == (True, first.signal_id)


def test_an_order_of_our_own_is_recorded_whatever_its_signals_time(
    executors: Executors, intake: Intake, rows: Rows
) -> None:
    later = (datetime.now(UTC) + timedelta(minutes=10)).isoformat()
    intake.record_own(signal(source_id="1", generated_at=later, executors=["argo"]), cause="test")

    assert rows("SELECT count(*) AS n FROM execution") == [{"n": 1}]


def test_an_absent_record_is_reported_and_nothing_is_recorded(executors: Executors) -> None:
    with Record("postgresql://127.0.0.1:1/nowhere", retry_for_s=0.1) as record:
        intake = Intake(record, executors, by="test")
        for sent in (signal(), {"not": "a signal"}):
            with pytest.raises(RecordUnavailable):
                intake.record(sent, source="test")


def test_a_record_that_lost_the_first_of_two_is_asked_again(intake: Intake, rows: Rows) -> None:
    """A trigger drops the new row, as if a person had deleted it. The sender's request must not fail for that."""
    rows("CREATE FUNCTION forget() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$")
    rows("CREATE TRIGGER forget BEFORE INSERT ON signal FOR EACH ROW EXECUTE FUNCTION forget()")
    with ThreadPoolExecutor(1) as pool, capture_logs() as logs:
        sending = pool.submit(intake.record, signal(source_id="1"), source="a")
        until(lambda: "record.away" in [entry["event"] for entry in logs])
        rows("DROP TRIGGER forget ON signal")
        recorded = sending.result(20)

    assert isinstance(recorded.signal_id, UUID)
    assert recorded.executions[0].state is State.QUEUED


def test_a_sender_cannot_use_our_own_source_names(intake: Intake, rows: Rows) -> None:
    with pytest.raises(InvalidSignal, match="tradewire's own"):
        intake.record(signal(source="tradewire:flatten"), source="a")

    assert rows("SELECT code FROM refusal") == [{"code": "reserved_source"}]


def test_an_order_of_our_own_is_one_executors_and_is_recorded_once(intake: Intake) -> None:
    raw = {"symbol": "AAPL", "action": "SELL", "intent": "close", "executors": ["argo"], "source_id": "s-AAPL-1"}

    first, second = intake.record_own(raw, cause="flatten"), intake.record_own(raw, cause="flatten")

    assert [row.executor_id for row in first.executions] == ["argo"]
    assert (second.duplicate, second.signal_id) == (True, first.signal_id)


def test_an_order_of_our_own_may_wait_from_its_birth(intake: Intake) -> None:
    raw = {"symbol": "AAPL", "action": "SELL", "intent": "close", "executors": ["argo"], "source_id": "1"}
    wait = Wait(reason=Reason(code=Code.EXIT_NOT_DONE, facts={"tries": 1}), due_in=timedelta(seconds=60))

    [execution] = intake.record_own(raw, cause="exit", wait=wait).executions

    assert (execution.state, execution.reason_code) == (State.HELD, "exit_not_done")


def test_a_buy_that_may_cover_a_short_is_not_refused_by_routing(intake: Intake, rows: Rows) -> None:
    rows(
        "INSERT INTO account_snapshot (executor_id, account_number, taken_at, account, positions) VALUES "
        """('argo', 'PA1', now(), '{}', '[{"symbol": "AAPL", "quantity": "-5"}]')"""
    )

    covering = intake.record(signal(confidence=10), source="a").executions
    elsewhere = intake.record(signal(symbol="MSFT", confidence=10), source="a").executions

    assert [row.state for row in covering] == [State.QUEUED, State.SKIPPED]
    assert [row.state for row in elsewhere] == [State.SKIPPED, State.SKIPPED]


def test_a_signal_that_waited_is_as_old_as_its_receipt_by_the_clock_of_the_record(intake: Intake, rows: Rows) -> None:
    """Signals do not contain the producer's time of day, because the producer's clock may be wrong."""
    minute = timedelta(minutes=1)
    recorded = intake.record(signal(), source="test", waited=minute)
    dated = intake.record(signal(generated_at="2026-01-31T09:00:00Z"), source="test", waited=minute)
    asked = intake.record(signal(), source="test")

    ages = {row["signal_id"]: row for row in rows("SELECT *, recorded_at - generated_at AS age FROM signal")}
    assert minute - timedelta(seconds=5) < ages[recorded.signal_id]["age"] <= minute
    assert ages[dated.signal_id]["generated_at"] == datetime(2026, 1, 31, 9, tzinfo=UTC)
    assert ages[asked.signal_id]["generated_at"] is None
