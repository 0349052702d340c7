"""Doctor reports rates with their denominators, unknown orders, lag, releases, request budgets and clocks."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from psycopg import Connection
from psycopg.rows import DictRow

from pipeline.accounts.account_key import account_key_of
from pipeline.accounts.switches import turn_on
from pipeline.entrypoints.doctor.clocks import Skew, check_record_clock
from pipeline.entrypoints.doctor.disk import check_disks
from pipeline.entrypoints.doctor.findings import CheckResult, CheckStatus
from pipeline.entrypoints.doctor.switches import check_switches
from pipeline.model.switches import SwitchKind
from pipeline.monitoring.heartbeats import Heartbeat, release
from tests.factories import Core, until
from tests.integration.doctor.test_doctor import at_work, examined


def looked(core: Core) -> dict[str, CheckResult]:
    with at_work(core):
        return examined(core)


def test_a_rate_says_what_it_is_counted_from_and_low_ones_why(core: Core) -> None:
    core.run(core.send("AAPL"))
    core.send("AAPL", confidence=10)
    well = looked(core)["execution rate argo (exchange)"]
    core.faults({"on": "submit", "kind": "reject"})
    for _ in range(12):
        core.run(core.send("MSFT"))
    core.rows("UPDATE broker_order SET order_id = NULL WHERE order_status IS NULL")
    low = looked(core)
    rate = low["execution rate argo (exchange)"]

    assert well.status is CheckStatus.OK
    assert well.saw.startswith("100.0%: 1 orders of 1 decided and not skipped; 1 skipped by our rules")
    assert rate.status is CheckStatus.WARNING
    assert "1 orders of 13" in rate.saw
    assert "rejected_by_broker (12)" in str(rate.cause)
    assert "rejected_by_broker 12 (argo)" in low["top reasons"].saw


def test_what_waits_on_purpose_is_no_problem_and_what_waits_for_long_is(core: Core) -> None:
    execution = core.send("AAPL")
    core.rows("UPDATE execution SET created_at = now() - interval '2 minutes'")
    waits = looked(core)["unfinished"]
    core.rows("ALTER TABLE execution DISABLE TRIGGER USER")
    core.rows(
        "UPDATE execution SET state = 'held', reason_code = 'market_closed', due_at = now() + interval '1 day' "
        "WHERE execution_id = %s",
        [execution],
    )
    held = looked(core)["unfinished"]

    assert waits.status is CheckStatus.WARNING
    assert waits.saw.startswith("1 queued at argo, the oldest for 12")
    assert (held.status, held.saw) == (CheckStatus.OK, "0 on their way, 1 held on purpose")


def test_an_outcome_that_is_unknown_for_half_a_minute_is_critical(core: Core) -> None:
    execution = core.send("AAPL")
    core.rows("ALTER TABLE execution DISABLE TRIGGER USER")
    core.rows(
        "UPDATE execution SET state = 'unknown', due_at = now(), unknown_since = now() - interval '31 seconds' "
        "WHERE execution_id = %s",
        [execution],
    )
    found = looked(core)["unknown"]

    assert found.status is CheckStatus.CRITICAL
    assert f"tradewire why {execution}" in str(found.remedy)


@pytest.mark.parametrize(
    ("facts", "status"),
    [
        ({"leads": False}, CheckStatus.WARNING),
        ({"leads": True, "slowest": "follow argo", "behind_s": 6.0}, CheckStatus.WARNING),
        ({"leads": True, "slowest": "follow argo", "behind_s": 31.0}, CheckStatus.CRITICAL),
        ({"leads": True, "slowest": "follow argo", "behind_s": 0.4}, CheckStatus.OK),
    ],
)
def test_the_keepers_lag(core: Core, facts: dict[str, Any], status: CheckStatus) -> None:
    heartbeat = Heartbeat(core.database_url, kind="keeper", name="keeper", health=lambda: (True, facts))
    with closing(heartbeat):
        until(lambda: core.rows("SELECT 1 AS one FROM heartbeat"))
        found = examined(core)["keeper lag"]

    assert found.status is status
    assert ("follow argo" in found.saw) is (status is not CheckStatus.OK and bool(facts["leads"]))


def test_a_keepers_task_that_fails_is_the_cause_of_its_lag(core: Core) -> None:
    late = {"slowest": "stops argo", "behind_s": 40.0, "failing": {"stops argo": "AttributeError"}}
    heartbeat = Heartbeat(
        core.database_url, kind="keeper", name="keeper", health=lambda: (False, {"leads": True, **late})
    )
    with closing(heartbeat):
        until(lambda: core.rows("SELECT 1 AS one FROM heartbeat"))
        found = examined(core)["keeper lag"]

    assert (found.status, found.cause) == (
        CheckStatus.CRITICAL,
        "The task `stops argo` fails with AttributeError each time.",
    )


def test_a_process_of_another_release_is_named(core: Core) -> None:
    with at_work(core):
        core.rows(
            "INSERT INTO heartbeat (process_id, kind, name, host, pid, facts) "
            "VALUES (gen_random_uuid(), 'web', 'web', 'there', 7, '{\"version\": \"0.0.1\"}')"
        )
        found = examined(core)["versions"]

    assert found.status is CheckStatus.WARNING
    assert found.saw == f"this is {release()}; web web (pid 7 on there) 0.0.1"


def test_a_hold_after_a_429_is_reported(core: Core) -> None:
    core.run(core.send("AAPL"))
    core.rows(
        "INSERT INTO request_budget (holder, closed_until, refusals) "
        "SELECT account_number, now() + interval '30 seconds', 1 FROM account_snapshot"
    )
    found = looked(core)["request budget argo"]

    assert found.status is CheckStatus.WARNING
    assert "429" in found.saw


@pytest.mark.parametrize(
    ("seconds", "status"), [(1, CheckStatus.OK), (10, CheckStatus.WARNING), (60, CheckStatus.CRITICAL)]
)
def test_the_exchanges_clock_is_compared_with_the_records(core: Core, seconds: int, status: CheckStatus) -> None:
    shown = datetime.now(UTC) + timedelta(seconds=seconds)
    core.exchange.admin("clock", {"mode": "fixed", "now": shown.isoformat()})
    found = looked(core)

    assert found["clock broker argo"].status is status
    assert found["clock postgresql"].status is CheckStatus.OK
    assert found["market argo"].status is CheckStatus.OK


def test_a_slow_answer_is_not_taken_for_a_wrong_clock() -> None:
    assert check_record_clock(Skew(ahead_s=-2.5, unsure_s=1.0)).status is CheckStatus.OK
    assert check_record_clock(Skew(ahead_s=-3.5, unsure_s=1.0)).status is CheckStatus.WARNING


def test_the_disk_of_a_home_that_is_not_there_yet_is_looked_at(tmp_path: Path) -> None:
    home, temporary = check_disks(tmp_path / "not" / "yet")

    assert str(tmp_path) in home.saw
    assert "GiB free" in temporary.saw


def test_a_position_and_an_order_that_cannot_be_read_are_named(core: Core) -> None:
    core.run(core.send("AAPL"))
    well = looked(core)["rows argo"]
    core.rows("INSERT INTO unreadable_order (executor_id, order_id, why) VALUES ('argo', 'o-1', 'no side')")
    core.rows("UPDATE account_snapshot SET unreadable = '[\"XY Z\"]'")

    odd = looked(core)["rows argo"]

    assert well.status is CheckStatus.OK
    assert (odd.status, odd.saw) == (CheckStatus.CRITICAL, "cannot be read: order o-1; position XY Z")


def test_a_stop_that_ends_by_itself_asks_nobody_to_resume(core: Core) -> None:
    def stop(connection: Connection[DictRow]) -> None:
        key = account_key_of(connection, "argo")
        turn_on(connection, account_key=key, kind=SwitchKind.REDUCING, cause="unreadable", facts={}, by="keeper")

    core.record.run(stop)

    (finding,) = check_switches(core.record, ["argo"])

    assert finding.status is CheckStatus.WARNING
    assert "ends by itself" in finding.remedy
    assert "resume" not in finding.remedy
