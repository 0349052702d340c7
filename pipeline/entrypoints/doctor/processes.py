"""Look at what the living processes say of themselves: their releases, and how far behind the keeper is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.entrypoints.doctor.findings import CheckResult, CheckStatus
from pipeline.monitoring.heartbeats import GONE_AFTER, VERSION, release
from pipeline.store.record import Record
from pipeline.store.statements import sql

_LATE_S, _VERY_LATE_S = 5.0, 30.0


def look_at_releases(record: Record) -> CheckResult:
    """Say whether all processes run the release that this command is of.

    Raises:
        RecordUnavailable: PostgreSQL is away.
    """
    others = [
        f"{row['kind']} {row['name']} (pid {row['pid']} on {row['host']}) {row['facts'].get(VERSION) or 'an older one'}"
        for row in _living(record)
        if row["facts"].get(VERSION) != release()
    ]
    if not others:
        return CheckResult(name="versions", status=CheckStatus.OK, saw=f"all are {release()}")
    return CheckResult(
        name="versions",
        status=CheckStatus.WARNING,
        saw=f"this is {release()}; {'; '.join(others)}",
        cause="They were started before the last upgrade, or run from another installation.",
        remedy="Stop and start them again from this one: `tradewire up`, or your supervisor's restart.",
    )


def look_at_keeper_lag(record: Record) -> list[CheckResult]:
    """Say whether a keeper leads and how far its slowest round is behind; nothing when none is alive.

    Raises:
        RecordUnavailable: PostgreSQL is away.
    """
    keepers = [row for row in _living(record) if row["kind"] == "keeper"]
    if not keepers:
        return []
    leaders = [row["facts"] for row in keepers if row["facts"].get("leads")]
    if not leaders:
        return [
            CheckResult(
                name="keeper lag",
                status=CheckStatus.WARNING,
                saw=f"{len(keepers)} alive, and none leads",
                cause="One has just started, or the leader died seconds ago; its lease runs 3 s.",
                remedy="`tradewire doctor` again; if it stays so, restart `tradewire keep`.",
            )
        ]
    return [_lag(leaders)]


def _lag(leaders: Sequence[Mapping[str, Any]]) -> CheckResult:
    facts = max(leaders, key=lambda each: each.get("behind_s") or 0.0)
    behind_s, slowest = float(facts.get("behind_s") or 0.0), facts.get("slowest")
    if slowest is None or behind_s < _LATE_S:
        return CheckResult(
            name="keeper lag", status=CheckStatus.OK, saw=f"it leads; its slowest round is {behind_s:.1f} s behind"
        )
    return CheckResult(
        name="keeper lag",
        status=CheckStatus.CRITICAL if behind_s >= _VERY_LATE_S else CheckStatus.WARNING,
        saw=f"it leads; its round `{slowest}` is {behind_s:.1f} s behind",
        cause="What that round asks (a broker, Redis, PostgreSQL) is away or slow.",
        remedy="See the other findings; the keeper's log says more (`keeper.waits`, `keeper.task_failed`).",
    )


def _living(record: Record) -> Sequence[Mapping[str, Any]]:
    return record.run(
        lambda connection: connection.execute(sql("heartbeats", "living"), {"within": GONE_AFTER}).fetchall()
    )
