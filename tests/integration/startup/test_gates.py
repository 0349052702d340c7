from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from config.executors import load_executors
from config.schema.executor import Executors, ExecutorSettings, settings_hash
from config.schema.settings import Settings
from pipeline.model.errors import ConfigInvalid, NotPossible
from pipeline.monitoring.heartbeats import Heartbeat
from pipeline.startup.checks import after_checks, check_start
from pipeline.startup.forget_executor import forget
from pipeline.startup.live_limits import accept
from pipeline.store.record import Record
from tests.factories import executor_toml, until
from tests.integration.execution_states import ExecutionStates, Rows

SENTENCE = "I accept real orders on account 123"

WithLimits = Callable[..., dict[str, ExecutorSettings]]


@pytest.fixture
def live(executors: Executors) -> WithLimits:
    """Return a function that makes argo a live executor of account 123 with the given limits."""

    def with_limits(executor_id: str = "argo", **limits: object) -> dict[str, ExecutorSettings]:
        argo = executors["argo"]
        changed = argo.limits.model_copy(update={"open_positions": 10, "daily_loss_percent": 5} | limits)
        update = {"id": executor_id, "mode": "live", "account": "123", "limits": changed}
        return {executor_id: argo.model_copy(update=update)}

    return with_limits


def only(executors: Executors, *names: str) -> dict[str, ExecutorSettings]:
    return {name: executors[name] for name in names}


def refusal(record: Record, executors: dict[str, ExecutorSettings]) -> dict[str, str]:
    with pytest.raises(ConfigInvalid) as caught:
        check_start(record, executors, by="test")
    return {problem.key: problem.message for problem in caught.value.problems}


# --- the settings in use ---


def test_a_start_keeps_what_each_hash_means_and_no_secret(record: Record, executors: Executors, rows: Rows) -> None:
    check_start(record, executors, by="test")
    check_start(record, executors, by="test")

    kept = {row["settings_hash"]: row["body"] for row in rows("SELECT * FROM executor_settings")}
    assert kept == {settings_hash(executor): executor.model_dump(mode="json") for executor in executors.values()}
    words = " ".join(key for body in kept.values() for key in body)
    assert not any(word in words for word in ("key", "secret", "password", "token"))


def test_an_execution_that_routing_ended_has_the_hash_of_the_settings(
    execution_states: ExecutionStates, executors: Executors, rows: Rows
) -> None:
    execution_states.recorded(confidence=80)

    hashes = {row["executor_id"]: row["settings_hash"] for row in rows("SELECT * FROM execution")}
    assert hashes == {"argo": None, "prop_firm": settings_hash(executors["prop_firm"])}


# --- real money ---


def test_the_first_settings_of_a_live_account_are_accepted(record: Record, live: WithLimits, rows: Rows) -> None:
    check_start(record, live(), by="worker argo")
    check_start(record, live(), by="keeper")

    accepted = rows("SELECT account_number, executor_id, settings_hash, accepted_by FROM accepted_settings")
    assert accepted == [
        {
            "account_number": "123",
            "executor_id": "argo",
            "settings_hash": settings_hash(live()["argo"]),
            "accepted_by": "worker argo",
        }
    ]


def test_loosening_a_live_executor_is_refused_key_by_key_with_the_command(record: Record, live: WithLimits) -> None:
    check_start(record, live(), by="test")

    refused = refusal(record, live(open_positions=None, daily_loss_percent=6, entry_age_s=30.0))

    assert refused.keys() == {"executors.argo.limits.open_positions", "executors.argo.limits.daily_loss_percent"}
    message = refused["executors.argo.limits.daily_loss_percent"]
    assert message.startswith("5 -> 6 loosens")
    assert message.endswith(f'tradewire config accept argo --sentence "{SENTENCE}"')


def test_the_sentence_lets_what_is_looser_start(record: Record, live: WithLimits, rows: Rows) -> None:
    check_start(record, live(), by="test")
    looser = live(open_positions=20)

    changes = accept(record, looser["argo"], sentence=SENTENCE, by="ann")
    check_start(record, looser, by="test")

    assert [str(change) for change in changes] == ["limits.open_positions: 10 -> 20"]
    assert [row["accepted_by"] for row in rows("SELECT * FROM accepted_settings ORDER BY 1")] == ["test", "ann"]


@pytest.mark.parametrize("sentence", ["", "yes", "I accept real orders on account 124"])
def test_no_other_sentence_accepts_anything(record: Record, live: WithLimits, rows: Rows, sentence: str) -> None:
    with pytest.raises(NotPossible):
        accept(record, live()["argo"], sentence=sentence, by="ann")

    assert rows("SELECT * FROM accepted_settings") == []


def test_play_money_is_not_accepted_and_may_be_loosened_freely(
    record: Record, executors: Executors, rows: Rows
) -> None:
    with pytest.raises(NotPossible):
        accept(record, executors["argo"], sentence=SENTENCE, by="ann")
    check_start(record, executors, by="test")

    assert rows("SELECT * FROM accepted_settings") == []


def test_tightening_is_accepted_by_itself_and_its_undoing_is_not(record: Record, live: WithLimits) -> None:
    check_start(record, live(), by="test")
    check_start(record, live(open_positions=5), by="test")

    assert refusal(record, live()).keys() == {"executors.argo.limits.open_positions"}


def test_a_new_name_for_a_live_executor_loosens_nothing(record: Record, live: WithLimits) -> None:
    check_start(record, live(), by="test")
    check_start(record, live("argo_two"), by="test")

    assert refusal(record, live("argo_three", open_positions=11)).keys() == {
        "executors.argo_three.limits.open_positions"
    }


def test_processes_that_start_at_once_accept_once(record: Record, live: WithLimits, rows: Rows) -> None:
    threads = [threading.Thread(target=check_start, args=(record, live()), kwargs={"by": "test"}) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)

    assert len(rows("SELECT * FROM accepted_settings")) == 1


# --- executors that were removed from the file ---


@pytest.mark.parametrize("state", ["queued", "held", "submitting", "unknown", "accepted", "partially_filled", "dead"])
def test_open_work_of_a_removed_executor_prevents_a_start(
    record: Record, executors: Executors, execution_states: ExecutionStates, state: str
) -> None:
    execution_id = execution_states.recorded(confidence=80)
    if state != "queued":
        execution_states.claimed(execution_id)
    if state not in {"queued", "submitting"}:
        execution_states.moved(execution_id, state, "broker_away")

    refused = refusal(record, only(executors, "prop_firm"))

    assert refused.keys() == {"executors.argo"}
    assert f"executions: 1 {state}" in refused["executors.argo"]
    assert "tradewire config forget argo --why TEXT" in refused["executors.argo"]


def test_a_removed_executor_without_open_work_allows_a_start(
    record: Record, executors: Executors, execution_states: ExecutionStates
) -> None:
    execution_states.reached("filled")

    check_start(record, only(executors, "prop_firm"), by="test")


def holds(rows: Rows, executor_id: str, account_number: str, **quantities: int) -> None:
    """Record the account number of an executor, and holdings in that account."""
    rows(
        "INSERT INTO account_snapshot (executor_id, account_number, taken_at, account, positions) "
        "VALUES (%s, %s, now(), '{}', '[]')",
        [executor_id, account_number],
    )
    for symbol, quantity in quantities.items():
        rows("INSERT INTO holding VALUES (%s, %s, 'one', %s)", [account_number, symbol, quantity])


def test_positions_of_a_removed_executor_prevent_a_start(record: Record, executors: Executors, rows: Rows) -> None:
    holds(rows, "old", "PA7", AAPL=5, MSFT=-2, TSLA=0)

    message = refusal(record, dict(executors))["executors.old"]

    assert "positions: 5 AAPL (account PA7), -2 MSFT (account PA7)" in message
    assert 'account = "PA7"' in message


def test_positions_of_a_renamed_executor_belong_to_its_new_name(
    record: Record, executors: Executors, tmp_path: Path, rows: Rows
) -> None:
    holds(rows, "old", "PA7", AAPL=5)
    path = tmp_path / "pinned.toml"
    path.write_text(executor_toml("argo", top='account = "PA7"'))
    pinned = load_executors(path, settings=Settings(executors=path, home=tmp_path))

    check_start(record, pinned, by="test")
    assert refusal(record, dict(executors)).keys() == {"executors.old"}
    holds(rows, "argo", "PA7")
    check_start(record, executors, by="test")


def test_forgetting_an_executor_ends_what_waits_and_allows_a_start(
    record: Record, executors: Executors, execution_states: ExecutionStates, rows: Rows
) -> None:
    waiting, held = (
        execution_states.recorded(confidence=80, symbol="MSFT"),
        execution_states.recorded(confidence=80, symbol="TSLA"),
    )
    execution_states.claimed(held)
    execution_states.moved(held, "held", "market_closed")
    lost = execution_states.reached("unknown", order_id=None)
    working = execution_states.reached("accepted", order_id="o-1")
    execution_states.recorded(confidence=80, symbol="NVDA")
    holds(rows, "argo", "PA1", AAPL=5)
    left = only(executors, "prop_firm")

    gone = forget(record, left, "argo", by="ann", why="closed the account")
    check_start(record, left, by="test")

    states = {row["execution_id"]: row for row in rows("SELECT * FROM execution WHERE executor_id = 'argo'")}
    assert [states[one]["state"] for one in (waiting, held, lost, working)] == [
        "skipped",
        "skipped",
        "dead",
        "accepted",
    ]
    assert {states[one]["reason_code"] for one in (waiting, held, lost)} == {"executor_gone"}
    assert states[waiting]["moved_why"] == "closed the account"
    assert (gone.ended, gone.buried, gone.dead) == (3, 1, 1)
    assert [order.split(" (")[0] for order in gone.orders] == ["perhaps an order", "order o-1"]
    assert gone.positions == ("5 AAPL (account PA1)",)
    assert rows("SELECT forgotten_by, why FROM forgotten_executor") == [
        {"forgotten_by": "ann", "why": "closed the account"}
    ]


def test_a_requeue_after_forgetting_prevents_a_start_again(
    record: Record, executors: Executors, execution_states: ExecutionStates, rows: Rows
) -> None:
    letter = execution_states.reached("dead", "attempts_used_up")
    left = only(executors, "prop_firm")
    forget(record, left, "argo", by="ann", why="gone")
    check_start(record, left, by="test")

    rows("UPDATE execution SET state = 'queued', due_at = now() WHERE execution_id = %s", [letter])

    assert "1 queued" in refusal(record, left)["executors.argo"]


def test_having_been_forgotten_does_not_cover_an_executor_that_came_back(
    record: Record, executors: Executors, execution_states: ExecutionStates
) -> None:
    execution_states.reached("accepted", order_id="o-1")
    left = only(executors, "prop_firm")
    forget(record, left, "argo", by="ann", why="gone")
    check_start(record, executors, by="test")

    assert refusal(record, left).keys() == {"executors.argo"}


def test_an_executor_of_the_file_or_an_unknown_one_cannot_be_forgotten(record: Record, executors: Executors) -> None:
    with pytest.raises(NotPossible, match="is in the executors file"):
        forget(record, executors, "argo", by="ann", why="gone")
    with pytest.raises(NotPossible, match="the record knows no executor"):
        forget(record, executors, "arog", by="ann", why="gone")


def test_an_executor_at_work_cannot_be_forgotten(
    record: Record, executors: Executors, execution_states: ExecutionStates, rows: Rows, database_url: str
) -> None:
    waiting, busy = execution_states.recorded(confidence=80, symbol="MSFT"), execution_states.recorded(confidence=80)
    execution_states.claimed(busy)
    left = only(executors, "prop_firm")

    with pytest.raises(NotPossible, match="works on execution"):
        forget(record, left, "argo", by="ann", why="gone")
    rows("UPDATE execution SET lease_until = now() - interval '1 second' WHERE execution_id = %s", [busy])
    heartbeat = Heartbeat(database_url, kind="worker", name="argo")
    until(lambda: rows("SELECT * FROM heartbeat"))
    with pytest.raises(NotPossible, match="stop it first"):
        forget(record, left, "argo", by="ann", why="gone")
    heartbeat.close()

    assert forget(record, left, "argo", by="ann", why="gone").ended == 2
    states = rows("SELECT state FROM execution WHERE execution_id = ANY(%s)", [[waiting, busy]])
    assert {row["state"] for row in states} == {"skipped"}


# --- a record that is away at the start ---


def test_a_record_that_is_away_at_the_start_is_asked_later_and_its_refusal_ends_the_process(
    record: Record, executors: Executors, execution_states: ExecutionStates, monkeypatch: pytest.MonkeyPatch
) -> None:
    execution_states.recorded(confidence=80)
    away = Record("postgresql://127.0.0.1:1/nobody", connections=1, retry_for_s=0.0)
    ended = threading.Event()
    monkeypatch.setattr("pipeline.startup.checks.os.kill", lambda _pid, _signal: ended.set())
    asked = [away, record]

    def check() -> None:
        check_start(asked.pop(0), only(executors, "prop_firm"), by="test")

    with pytest.raises(ConfigInvalid, match="is no longer in the file"), after_checks([check]):
        assert ended.wait(15)
    away.close()


def test_a_refusal_at_the_start_runs_nothing(
    record: Record, executors: Executors, execution_states: ExecutionStates
) -> None:
    execution_states.recorded(confidence=80)
    ran = []

    def check() -> None:
        check_start(record, only(executors, "prop_firm"), by="test")

    with pytest.raises(ConfigInvalid), after_checks([check]):
        ran.append("the process")

    assert ran == []
