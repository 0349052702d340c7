"""An alert is open exactly as long as its condition in the record lasts."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from psycopg.types.json import Jsonb

from config.alerts import ExecutionRateAlert
from config.schema.executor import Executors
from pipeline.accounts.switches import turn_off, turn_on
from pipeline.intake.intake import Intake
from pipeline.model.errors import InvalidSignal
from pipeline.model.switches import SwitchKind
from pipeline.monitoring.alerts import execution_conditions
from pipeline.monitoring.alerts.alert_store import AlertStore
from pipeline.monitoring.alerts.conditions import conditions
from pipeline.monitoring.alerts.kinds import HOLDS_S, AlertKind
from pipeline.monitoring.alerts.monitor import AlertMonitor, check_keeper
from pipeline.monitoring.heartbeats import Heartbeat
from pipeline.store.record import Record
from tests.factories import until
from tests.integration.execution_states import ExecutionStates, Rows
from workers.keeper.alert_tasks import limits

RATE = ExecutionRateAlert(below_percent=90, minimum=4, window_s=900)
QUIET = {AlertKind.WORKER_MISSING: 3600.0}


def watching(record: Record, executors: Executors, **changes: Any) -> AlertMonitor:
    """Return a monitor that raises each alert at once, except that of a missing worker."""
    store = changes.pop("store", None) or AlertStore(calm=timedelta(0), holds_s=QUIET)
    checked = [limits, *conditions(RATE)]
    return AlertMonitor(record=record, executors=executors, conditions=checked, store=store, **changes)


@pytest.fixture
def watch(record: Record, executors: Executors) -> AlertMonitor:
    return watching(record, executors)


@pytest.fixture
def open_(rows: Rows) -> Callable[[], dict[str, str]]:
    """Return a function that reads the subjects of the open alerts by kind; each kind has at most one."""

    def read() -> dict[str, str]:
        found = rows("SELECT kind, subject FROM alert WHERE over_at IS NULL")
        assert len({row["kind"] for row in found}) == len(found)
        return {row["kind"]: row["subject"] for row in found}

    return read


Open = Callable[[], dict[str, str]]


def test_a_healthy_record_has_no_alert(watch: AlertMonitor, execution_states: ExecutionStates, open_: Open) -> None:
    for _ in range(5):
        execution_states.recorded()
    execution_states.reached("skipped", "halted")

    assert watch.run_once() == 0
    assert open_() == {}


def test_a_dead_letter_is_one_until_it_is_closed(
    watch: AlertMonitor, execution_states: ExecutionStates, rows: Rows, kill: Callable[..., None], open_: Open
) -> None:
    execution_id = execution_states.recorded()
    kill(execution_id)
    assert (watch.run_once(), watch.run_once()) == (1, 0)
    assert open_()["dead_letter"].startswith("dead letter at argo, BUY AAPL: ")

    rows("UPDATE execution SET state = 'discarded', ended_at = now() WHERE execution_id = %s", [execution_id])

    assert watch.run_once() == 1
    assert open_() == {}


def test_a_second_dead_letter_of_the_same_execution_is_another_alert(
    watch: AlertMonitor, execution_states: ExecutionStates, rows: Rows, kill: Callable[..., None]
) -> None:
    execution_id = execution_states.recorded()
    for _ in range(2):
        kill(execution_id)
        watch.run_once()
        rows("UPDATE execution SET state = 'queued', reason_code = NULL WHERE execution_id = %s", [execution_id])
        watch.run_once()

    assert rows("SELECT count(*) AS n FROM alert WHERE kind = 'dead_letter' AND over_at IS NOT NULL")[0]["n"] == 2


def test_an_unknown_one_is_an_alert_after_30_s(
    watch: AlertMonitor, execution_states: ExecutionStates, rows: Rows, open_: Open
) -> None:
    execution_id = execution_states.reached("unknown", "timed_out")
    rows("UPDATE execution SET unknown_since = now() - interval '29 seconds' WHERE execution_id = %s", [execution_id])
    watch.run_once()
    assert open_() == {}

    rows("UPDATE execution SET unknown_since = now() - interval '31 seconds' WHERE execution_id = %s", [execution_id])
    watch.run_once()

    assert "argo, BUY AAPL" in open_()["unknown"]


@pytest.mark.parametrize(("kind", "severity"), [("paused", "warning"), ("reducing", "warning"), ("halted", "critical")])
def test_an_account_that_is_stopped_is_an_alert_until_it_is_resumed(
    record: Record, watch: AlertMonitor, rows: Rows, kind: str, severity: str, open_: Open
) -> None:
    switch = {"account_key": "executor:argo", "by": "ada"}
    cause = {"cause": "person", "facts": {}, "why": "lunch"}
    record.run(lambda connection: turn_on(connection, kind=SwitchKind(kind), **switch, **cause))
    watch.run_once()

    assert open_() == {"stopped": f"argo is {kind}: person (lunch), by ada"}
    assert rows("SELECT severity FROM alert")[0]["severity"] == severity
    record.run(lambda connection: turn_off(connection, kinds=None, causes=None, **switch))
    watch.run_once()
    assert open_() == {}


def test_a_refused_account_is_an_alert(watch: AlertMonitor, rows: Rows, open_: Open) -> None:
    rows("INSERT INTO account_refusal (executor_id, probe_at, message) VALUES ('argo', now(), 'forbidden')")

    watch.run_once()

    assert open_() == {"account_refused": "the broker refuses the account of argo: forbidden"}


def test_a_broker_that_refuses_every_entry_is_an_alert(watch: AlertMonitor, rows: Rows, open_: Open) -> None:
    rows("INSERT INTO entries_refusal (executor_id, probe_at, message) VALUES ('argo', now(), 'liquidation only')")

    watch.run_once()

    assert open_() == {"account_refused": "the broker refuses every entry of argo: liquidation only"}


def test_an_order_that_cannot_be_read_is_an_alert_while_the_broker_lists_it(
    watch: AlertMonitor, rows: Rows, open_: Open
) -> None:
    rows("INSERT INTO unreadable_order (executor_id, order_id, why) VALUES ('argo', 'o-1', 'no side')")
    watch.run_once()
    assert open_() == {"unreadable_row": "the order o-1 at the broker of argo cannot be read"}

    rows("UPDATE unreadable_order SET seen_at = seen_at - interval '11 minutes'")
    watch.run_once()

    assert open_() == {}


def test_a_low_execution_rate_is_an_alert_from_the_minimum_on(
    watch: AlertMonitor, execution_states: ExecutionStates, kill: Callable[..., None], rows: Rows, open_: Open
) -> None:
    execution_states.reached("filled", order_id="o-1", filled=5)
    for _ in range(2):
        execution_states.reached("rejected", "rejected_by_broker")
    execution_states.reached("skipped", "halted")
    watch.run_once()
    assert open_() == {}

    execution_states.reached("rejected", "rejected_by_broker")
    until(watch.run_once)

    assert open_() == {"execution_rate": "argo (exchange) made orders of 1 out of 4 executions in 15 min"}
    rows("UPDATE execution SET created_at = created_at - interval '16 minutes'")
    until(watch.run_once)
    assert open_() == {}


def test_a_queue_without_a_worker_is_an_alert_when_that_lasts(
    record: Record, executors: Executors, database_url: str, rows: Rows
) -> None:
    watch = watching(record, executors, store=AlertStore(calm=timedelta(0), holds_s={AlertKind.WORKER_MISSING: 0.5}))
    alive = Heartbeat(database_url, kind="worker", name="prop_firm")
    try:
        until(lambda: rows("SELECT count(*) AS n FROM heartbeat")[0]["n"])
        assert watch.run_once() == 0

        until(watch.run_once)

        subjects = [row["subject"] for row in rows("SELECT subject FROM alert")]
        assert subjects == ["argo has no worker; its executions wait"]
    finally:
        alive.close()


def test_processes_that_are_started_anew_have_time_for_it() -> None:
    assert HOLDS_S[AlertKind.WORKER_MISSING] >= 10
    assert HOLDS_S[AlertKind.KEEPER_DOWN] >= 10


@pytest.mark.parametrize("source", ["tradewire:exit", "tradewire:hand"])
def test_an_exit_that_was_tried_twice_in_vain_is_an_alert(
    watch: AlertMonitor, execution_states: ExecutionStates, rows: Rows, open_: Open, source: str
) -> None:
    root, execution_id = execution_states.recorded(), execution_states.recorded(symbol="MSFT", action="SELL")
    for tries, expected in ((2, set()), (3, {"exit_not_done"})):
        values = [source, f"{root}:{tries}"]
        rows("UPDATE signal SET source = %s, source_id = %s WHERE symbol = 'MSFT'", values)
        watch.run_once()
        assert set(open_()) == expected

    execution_states.moved(execution_id, "skipped", "no_position")
    rows(
        "UPDATE execution SET state = 'skipped', reason_code = 'no_position', ended_at = now() WHERE symbol = 'MSFT' "
        "AND state = 'queued'"
    )
    watch.run_once()
    assert open_() == {}


def test_the_id_that_a_person_gives_a_close_is_no_number_of_tries(
    watch: AlertMonitor, execution_states: ExecutionStates, rows: Rows, open_: Open
) -> None:
    execution_states.recorded(symbol="MSFT", action="SELL")
    rows("UPDATE signal SET source = 'tradewire:hand', source_id = 'close:9'")

    watch.run_once()

    assert open_() == {}


def test_an_exit_that_waits_for_a_quarter_of_an_hour_is_an_alert(
    watch: AlertMonitor, execution_states: ExecutionStates, rows: Rows, open_: Open
) -> None:
    execution_id = execution_states.recorded(action="SELL")
    rows("UPDATE execution SET created_at = now() - interval '17 minutes' WHERE execution_id = %s", [execution_id])

    watch.run_once()

    assert open_()["exit_late"] == "an exit of AAPL at argo waits for 17 min"


def test_an_alert_of_an_exit_stays_while_more_exits_are_late_than_are_read(
    watch: AlertMonitor, execution_states: ExecutionStates, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    for symbol in ("AAPL", "MSFT"):
        execution_states.recorded(action="SELL", symbol=symbol)
    rows("UPDATE execution SET created_at = now() - interval '17 minutes'")
    for most in (1000, 1):
        monkeypatch.setattr(execution_conditions, "_MOST", most)
        watch.run_once()
        assert rows("SELECT count(*) AS n FROM alert WHERE kind = 'exit_late' AND over_at IS NULL") == [{"n": 4}]


def test_the_time_before_the_market_opened_does_not_make_an_exit_late(
    watch: AlertMonitor, execution_states: ExecutionStates, rows: Rows, open_: Open
) -> None:
    execution_id = execution_states.recorded(action="SELL")
    execution_states.moved(execution_id, "submitting")
    execution_states.moved(execution_id, "held", "market_closed")
    execution_states.moved(execution_id, "submitting")
    opened = "UPDATE history SET at = now() - %s::interval WHERE history_id = (SELECT max(history_id) FROM history)"
    rows("UPDATE execution SET created_at = now() - interval '14 hours' WHERE execution_id = %s", [execution_id])
    rows("UPDATE history SET at = at - interval '14 hours' WHERE execution_id = %s", [execution_id])
    rows(opened, ["10 minutes"])

    watch.run_once()
    assert "exit_late" not in open_()

    rows(opened, ["16 minutes"])
    watch.run_once()
    assert open_()["exit_late"] == "an exit of AAPL at argo waits for 16 min"


def test_a_refused_exit_is_an_event_of_an_hour_and_a_refused_entry_is_none(
    watch: AlertMonitor, record: Record, executors: Executors, rows: Rows, open_: Open
) -> None:
    intake = Intake(record, executors, by="test")
    for action in ("BUY", "SELL"):
        with suppress(InvalidSignal):
            intake.record({"symbol": "AAPL", "action": action, "close_percent": 0, "confidence": 90}, source="mine")
        assert watch.run_once() == (1 if action == "SELL" else 0)

    subject = open_()["exit_refused"]
    assert subject.startswith("an exit from mine was refused, so a position may be open: invalid_signal, close_percent")
    assert watch.run_once() == 0
    rows("UPDATE refusal SET at = at - interval '1 hour'")
    watch.run_once()
    assert open_() == {}


def test_a_late_order_is_an_event_of_an_hour(
    watch: AlertMonitor, execution_states: ExecutionStates, rows: Rows, open_: Open
) -> None:
    execution_states.reached("skipped", "halted")
    rows("UPDATE execution SET state = 'accepted', reason_code = 'late_order', ended_at = NULL WHERE state = 'skipped'")
    assert watch.run_once() == 1
    assert "the broker holds an order of an execution that had ended: argo, BUY AAPL" in open_().values()

    rows("UPDATE history SET at = at - interval '61 minutes'")

    watch.run_once()
    assert open_() == {}


@pytest.mark.parametrize(
    ("health", "says"),
    [
        ({"ok": "True", "silent": "False", "finished": "False"}, None),
        ({"ok": "True", "silent": "True", "finished": "True"}, None),
        ({"ok": "True", "silent": "True", "finished": "False"}, "the source tv is silent for longer than its rhythm"),
        ({"ok": "False", "silent": "False", "finished": "False"}, "the source tv cannot be read"),
    ],
)
def test_a_source_that_is_silent_or_away_is_an_alert(
    watch: AlertMonitor, rows: Rows, health: dict[str, str], says: str | None, open_: Open
) -> None:
    rows(
        "INSERT INTO heartbeat (process_id, kind, name, host, pid, facts) "
        "VALUES (gen_random_uuid(), 'producer', 'tv', 'here', 1, %s)",
        [Jsonb({"sources": {"tv": health}})],
    )
    watch.run_once()

    assert open_() == ({} if says is None else {"source_silent": says})


@pytest.mark.parametrize(
    ("equity", "rungs"), [(97_000, []), (96_400, [70]), (95_400, [70, 90]), (94_000, [70, 90, 100])]
)
def test_each_rung_of_a_loss_limit_is_an_alert(make_core: Any, rows: Rows, equity: int, rungs: list[int]) -> None:
    core = make_core(LIMITED)
    account_key = core.runtimes["argo"].snapshots.fresh(within=timedelta(0)).account.number
    rows("UPDATE account_watch SET equity = %s WHERE holder = %s", [equity, account_key])
    watch = watching(core.record, core.executors)

    watch.run_once()

    found = rows("SELECT facts, severity FROM alert WHERE kind = 'limit' AND key LIKE '%%daily_loss%%' ORDER BY key")
    assert sorted(int(row["facts"]["percent"]) for row in found) == rungs
    assert [row["severity"] for row in found if row["facts"]["percent"] == "100"] == ["critical"] * (100 in rungs)


def test_a_missing_keeper_is_seen_by_others_and_is_over_when_one_leads(
    record: Record, executors: Executors, rows: Rows, open_: Open
) -> None:
    store = AlertStore(calm=timedelta(0), holds_s={AlertKind.KEEPER_DOWN: 0.3})
    assert check_keeper(record, store) == 0
    until(lambda: check_keeper(record, store))
    assert set(open_()) == {"keeper_down"}

    watching(record, executors).run_once()
    assert open_() == {}

    rows("INSERT INTO leadership VALUES ('keeper', gen_random_uuid(), now() + interval '1 minute')")
    assert check_keeper(record, store) == 0


def test_the_next_keeper_says_for_how_long_there_was_none(
    record: Record, executors: Executors, execution_states: ExecutionStates, rows: Rows, open_: Open
) -> None:
    watching(record, executors).run_once()
    execution_states.recorded()
    watching(record, executors).run_once()
    assert open_() == {}

    rows("UPDATE alert_look SET looked_at = looked_at - interval '90 seconds'")
    watching(record, executors).run_once()

    assert open_()["keeper_was_down"].startswith("no keeper ran for 9")


def test_two_watchers_at_once_open_each_alert_once(
    record: Record, executors: Executors, execution_states: ExecutionStates, kill: Callable[..., None], rows: Rows
) -> None:
    for _ in range(3):
        kill(execution_states.recorded())
    two = [watching(record, executors), watching(record, executors)]

    assert sorted(watch.run_once() for watch in two) == [0, 3]
    assert rows("SELECT count(*) AS n FROM alert")[0]["n"] == 3


def test_a_flapping_trouble_is_one_alert(record: Record, executors: Executors, rows: Rows) -> None:
    watch = watching(record, executors, store=AlertStore(calm=timedelta(seconds=30), holds_s=QUIET))
    for _ in range(3):
        rows("INSERT INTO account_refusal (executor_id, probe_at, message) VALUES ('argo', now(), 'no')")
        watch.run_once()
        rows("DELETE FROM account_refusal")
        watch.run_once()

    assert rows("SELECT count(*) AS n, count(over_at) AS over FROM alert") == [{"n": 1, "over": 0}]


LIMITED = """
[executors.argo]
broker = "alpaca"
mode = "exchange"
[executors.argo.size]
method = "quantity"
value = 1
[executors.argo.limits]
daily_loss_percent = 5
drawdown_percent = "off"
"""
