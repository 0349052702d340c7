"""Check the processes by their heartbeats: which run, which releases they run, and how late the keeper is."""

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.entrypoints.doctor.findings import CheckResult, CheckStatus, critical, ok, warning
from pipeline.monitoring.heartbeats import release
from pipeline.store.processes import SETTINGS, VERSION, LivingProcess, living_processes
from pipeline.store.record import Record

_LATE_S, _VERY_LATE_S = 5.0, 30.0  # A keeper's delay from the first on is a warning, from the second on critical.


def check_processes(record: Record, executor_ids: tuple[str, ...]) -> list[CheckResult]:
    """Check whether each queue has a running worker, whether a keeper and a tracker run, and whether all are well.

    Raises:
        RecordUnavailable: PostgreSQL is away.
    """
    processes = record.run(living_processes)
    workers = [process.name for process in processes if process.kind == "worker"]
    keepers = sum(process.kind == "keeper" for process in processes)
    trackers = sum(process.kind == "tracker" for process in processes)
    findings = [
        _present(
            f"worker {executor_id}",
            workers.count(executor_id),
            cause=f"No worker process of {executor_id} runs; its executions wait.",
            remedy=f"Run `tradewire work {executor_id}`.",
        )
        for executor_id in executor_ids
    ]
    cause = "No keeper runs: lost jobs, unknown orders and fills are not looked after."
    findings.append(_present("keeper", keepers, cause=cause, remedy="Run `tradewire keep`."))
    findings.append(_tracker(trackers))
    return findings + [_unwell(process) for process in processes if not process.healthy]


def check_releases(record: Record) -> CheckResult:
    """Check whether all processes run the same release as this command. Raises RecordUnavailable."""
    others = [
        f"{process} {process.facts.get(VERSION) or 'an older one'}"
        for process in record.run(living_processes)
        if process.facts.get(VERSION) != release()
    ]
    if not others:
        return ok("versions", f"all are {release()}")
    return warning(
        "versions",
        f"this is {release()}; {'; '.join(others)}",
        cause="They started before the last upgrade, or run from another installation.",
        remedy="Restart them from this installation: `tradewire up`, or your supervisor.",
    )


def check_keeper_lag(record: Record) -> list[CheckResult]:
    """Check whether a keeper leads, and how late its slowest task is. Return nothing when no keeper runs.

    Raises:
        RecordUnavailable: PostgreSQL is away.
    """
    keepers = [process for process in record.run(living_processes) if process.kind == "keeper"]
    if not keepers:
        return []
    leaders = [keeper.facts for keeper in keepers if keeper.facts.get("leads")]
    if not leaders:
        return [
            warning(
                "keeper lag",
                f"{len(keepers)} alive, and none leads",
                cause="One has just started, or the leader died seconds ago; its lease lasts 3 s.",
                remedy="Run `tradewire doctor` again; if nothing has changed, restart `tradewire keep`.",
            )
        ]
    return [_lag(leaders)]


def _lag(leaders: Sequence[Mapping[str, Any]]) -> CheckResult:
    facts = max(leaders, key=lambda each: each.get("behind_s") or 0.0)
    behind_s, slowest = float(facts.get("behind_s") or 0.0), facts.get("slowest")
    if slowest is None or behind_s < _LATE_S:
        return ok("keeper lag", f"it leads; its slowest task is {behind_s:.1f} s behind")
    failure = (facts.get("failing") or {}).get(slowest)
    cause = "A server that this task uses (a broker, Redis, PostgreSQL) is away or slow."
    return CheckResult(
        name="keeper lag",
        status=CheckStatus.CRITICAL if behind_s >= _VERY_LATE_S else CheckStatus.WARNING,
        saw=f"it leads; its task `{slowest}` is {behind_s:.1f} s behind",
        cause=cause if failure is None else f"The task `{slowest}` fails with {failure} each time.",
        remedy="See the other findings and the keeper's log (`keeper.waits`, `keeper.task_failed`).",
    )


def _present(name: str, count: int, *, cause: str, remedy: str) -> CheckResult:
    if count:
        return ok(name, f"{count} alive")
    return critical(name, "none is alive", cause=cause, remedy=remedy)


def _tracker(count: int) -> CheckResult:
    if count:
        return ok("tracker", f"{count} alive")
    # The keeper polls the orders all the same.
    cause = "No tracker runs: fills are found by polls, every 2 s."
    return warning("tracker", "none is alive", cause=cause, remedy="Run `tradewire track`.")


def _unwell(process: LivingProcess) -> CheckResult:
    # Settings and versions have findings of their own.
    facts = {name: value for name, value in process.facts.items() if name not in (SETTINGS, VERSION)}
    return warning(
        f"{process.kind} {process.name}",
        f"alive, and reports that it is not well: {facts}"[:300],
        cause="One of its tasks fails, or a server that it needs is away or does not answer.",
        remedy="See its log.",
    )
